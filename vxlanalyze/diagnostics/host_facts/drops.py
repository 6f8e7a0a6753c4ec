"""Packets that an agent, a tracer or the kernel's log saw being dropped: Cilium, Hubble, pwru, retis.

A drop of the same two addresses on one of the two nodes is the cause, with the reason that was given.

Sources: Cilium ``pkg/monitor/api/drop.go``; Linux ``include/net/dropreason-core.h``.
"""

from collections import Counter
from collections.abc import Iterator

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.host_facts.model import Statement, inner, node_of, outer, rows
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text import commands
from vxlanalyze.text.words import count

_RECEIVING = frozenset(
    (
        *("not-answered", "source-unanswered", "endpoint-silent", "dns-unanswered", "flow-blocked"),
        *("new-flows-blocked", "answer-not-accepted", "protocol-blocked", "path-blocked", "packet-loss"),
        *("not-encapsulated", "mtu-blackhole", "rate-limited", "inner-checksum-bad", "outer-checksum-bad"),
        *("tcp-stalled", "header-blocked"),
    )
)
_CURES = {
    "policy": ("Look at the policies that select these pods:", "kubectl get networkpolicies -A"),
    "netfilter": ("Find the rule whose counter rises:", "iptables-save -c | grep -E 'DROP|REJECT'"),
    "rpfilter": ("Compare the route to the source with the device:", "nstat -az TcpExtIPReversePathFilter"),
    "tunnel": ("Compare the agent's map of endpoints:", "cilium-dbg bpf ipcache list"),
    "unroutable": ("Compare the agent's map of endpoints:", "cilium-dbg bpf ipcache list"),
    "ct_": ("Look at the size of its connection tracking maps:", "cilium-dbg bpf ct list global | wc -l"),
}


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """Say which drops of these packets were seen on either node, the receiving one first."""
    if finding.code not in _RECEIVING:
        return
    packets = [*inner(pair, direction, finding), *outer(pair, direction)]
    ends = {(p.source, p.destination) for p in packets}
    for point in dict.fromkeys(map(_Key, (direction.receiver, direction.sender))):
        yield from _seen(pair, point.point, ends)


class _Key:
    """A point, equal to others of its capture."""

    def __init__(self, point: Point) -> None:
        self.point = point

    def __hash__(self) -> int:
        return hash(self.point.capture)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.point.capture == self.point.capture


def _seen(pair: Comparison, point: Point, ends: set[tuple[str, str]]) -> Iterator[Statement]:
    reasons: Counter[str] = Counter()
    first: dict[str, tuple[dict[str, str], str]] = {}
    for row, where in rows(pair, point, "drops"):
        there = (row.get("src", ""), row.get("dst", ""))
        if there in ends or there[::-1] in ends:
            reasons[row["value"]] += 1
            first.setdefault(row["value"], (row, where))
    for reason, dropped in reasons.most_common(3):
        row, where = first[reason]
        at = f" at {row['at']}" if row.get("at") else ""
        sentence = (
            f"{node_of(point)} dropped {count(dropped, 'packet')} of these, the first from {row['src']} to "
            f"{row['dst']}{at}: {reason} ({where})."
        )
        yield Statement(sentence, True, where, _cure(node_of(point), reason))


def _cure(node: str, reason: str) -> str:
    key = next(
        (k for k in _CURES if k in reason.lower().replace(" ", "_").replace("rp_filter", "rpfilter")), ""
    )
    if not key:
        return ""
    lead, command = _CURES[key]
    return lead + (
        commands.anywhere(command) if command.startswith("kubectl") else commands.on(node, command)
    )
