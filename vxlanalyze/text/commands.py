"""Remedies: sentences, and commands on lines of their own, each with the node that it runs on.

A remedy is one string. A line that begins with a prompt, as in manuals, is a command: ``node2# iptables ...``
runs as root on node2, ``$ kubectl ...`` wherever the cluster can be reached.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from vxlanalyze.text.words import listed

_COMMAND = re.compile(r"^(?:\$ |(?P<node>[^#]*[^\s#])# )(?P<command>\S.*)$")


class RemedyStep(NamedTuple):
    """A part of a remedy: a sentence (`command` is ""), or a command with its node or nodes ("" for any)."""

    text: str
    node: str = ""
    command: str = ""


def on(node: str, *commands: str) -> str:
    """Format commands to run as root on a node, one per line."""
    return "".join(f"\n{node}# {command}" for command in commands)


def anywhere(*commands: str) -> str:
    """Format commands to run wherever the cluster can be reached, one per line."""
    return "".join(f"\n$ {command}" for command in commands)


def written(*parts: str) -> str:
    """Join sentences and commands; each part begins on a new line."""
    return "\n".join(filter(None, (part.strip() for part in parts)))


def steps(remedy: str) -> list[RemedyStep]:
    """Split a remedy into sentences and commands."""
    found: list[RemedyStep] = []
    for line in filter(None, (line.strip() for line in remedy.splitlines())):
        match = _COMMAND.match(line)
        if match is not None:
            found.append(RemedyStep(line, match["node"] or "", match["command"]))
        else:
            found.append(RemedyStep(line))
    return found


def parts(remedy: str) -> list[tuple[list[str], list[str]]]:
    """Split a remedy into sentences with the commands that follow them."""
    found: list[tuple[list[str], list[str]]] = []
    for step in steps(remedy):
        if not found or (found[-1][1] and not step.command):
            found.append(([], []))
        found[-1][bool(step.command)].append(step.text)
    return found


def merged_steps(remedy: str) -> list[RemedyStep]:
    """Split a remedy for reading: a command that several nodes run appears once, with all of them."""
    found: list[RemedyStep] = []
    for is_command, group in groupby(steps(remedy), key=lambda step: bool(step.command)):
        run = list(group)
        found += _merged(run) if is_command else run
    return found


def _merged(run: Sequence[RemedyStep]) -> list[RemedyStep]:
    """Merge equal commands of different nodes, unless a node would run its commands in another order."""
    nodes_of: dict[tuple[str, bool], list[str]] = {}
    for step in run:
        nodes_of.setdefault((step.command, bool(step.node)), []).append(step.node)
    merged = [RemedyStep("", listed(nodes), command) for (command, _), nodes in nodes_of.items()]
    in_order = [(node, command) for (command, _), nodes in nodes_of.items() for node in nodes]
    same = all(
        [command for n, command in in_order if n == node] == [s.command for s in run if s.node == node]
        for node in {step.node for step in run}
    )
    return merged if same else list(run)


def allow(node: str, peers: Sequence[str], match: str) -> str:
    """Format the firewall rules that admit packets of peers, and how to undo them, one per line.

    Parameters
    ----------
    node : str
        Where they run.
    peers : sequence of str
        Addresses that the packets come from; a rule without them would admit anyone.
    match : str
        Further matches of the rule: ``-p udp --dport 8472``.
    """

    def rules(action: str) -> list[str]:
        return [f"{_tool(peer)} -{action} INPUT -s {peer} {match} -j ACCEPT" for peer in peers]

    return on(node, *rules("I")) + "\nTo undo it:" + on(node, *rules("D"))


def _tool(peer: str) -> str:
    return "ip6tables" if ":" in peer else "iptables"
