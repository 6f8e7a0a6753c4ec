"""Remedies: sentences, and commands on lines of their own, each with the node that it runs on.

A remedy is one string. A line of it is a command where it begins with a prompt, as manuals write them:
``node2# iptables ...`` runs as root on node2, ``$ kubectl ...`` wherever the cluster can be reached.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_COMMAND = re.compile(r"^(?:\$ |(?P<node>[^#]*[^\s#])# )(?P<command>\S.*)$")


class Step(NamedTuple):
    """A part of a remedy: a sentence (`command` is ""), or a command with its node ("" for any)."""

    text: str
    node: str = ""
    command: str = ""


def on(node: str, *commands: str) -> str:
    """Write commands to be run as root on a node, each on a line of its own."""
    return "".join(f"\n{node}# {command}" for command in commands)


def anywhere(*commands: str) -> str:
    """Write commands to be run wherever the cluster can be reached, each on a line of its own."""
    return "".join(f"\n$ {command}" for command in commands)


def written(*parts: str) -> str:
    """Put sentences and commands together; each part begins on a line of its own."""
    return "\n".join(filter(None, (part.strip() for part in parts)))


def steps(remedy: str) -> list[Step]:
    """Separate sentences and commands, each on a line of its own."""
    found: list[Step] = []
    for line in filter(None, (line.strip() for line in remedy.splitlines())):
        match = _COMMAND.match(line)
        if match is not None:
            found.append(Step(line, match["node"] or "", match["command"]))
        else:
            found.append(Step(line))
    return found


def allow(node: str, peers: Sequence[str], match: str) -> str:
    """Write the firewall rules that let packets of peers in, and how to undo them; on a line each.

    Parameters
    ----------
    node : str
        Where they run.
    peers : sequence of str
        Addresses that the packets come from; a rule without them would let anybody in.
    match : str
        What else the rule matches: ``-p udp --dport 8472``.
    """

    def rules(action: str) -> list[str]:
        return [f"{_tool(peer)} -{action} INPUT -s {peer} {match} -j ACCEPT" for peer in peers]

    return on(node, *rules("I")) + "\nTo undo it:" + on(node, *rules("D"))


def _tool(peer: str) -> str:
    return "ip6tables" if ":" in peer else "iptables"
