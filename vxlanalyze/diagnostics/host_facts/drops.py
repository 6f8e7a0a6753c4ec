"""Packet drops recorded by an agent, a tracer or the kernel's log: Cilium, Hubble, pwru, retis.

Each is an observation of one packet inside a node. Matched to a finding's missing packets, it shows the
cause: how many were dropped, for which reason, in which function or program.

Sources: Cilium ``pkg/monitor/api/drop.go``; Linux ``include/net/dropreason-core.h``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.host_facts import suspects
from vxlanalyze.diagnostics.host_facts.model import Statement, inner, node_of, outer, rows
from vxlanalyze.diagnostics.host_facts.suspects import Suspects
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
_MOST_REASONS = 3
_Seen = tuple[dict[str, str], str]  # a drop, and its file and line
_CURES = {
    "policy": ("Look at the policies that select these pods:", "kubectl get networkpolicies -A"),
    "netfilter": ("Find the rule whose counter rises:", "iptables-save -c | grep -E 'DROP|REJECT'"),
    "rpfilter": ("Compare the route to the source with the device:", "nstat -az TcpExtIPReversePathFilter"),
    "tunnel": ("Compare the agent's map of endpoints:", "cilium-dbg bpf ipcache list"),
    "unroutable": ("Compare the agent's map of endpoints:", "cilium-dbg bpf ipcache list"),
    "ct_": ("Look at the size of its connection tracking maps:", "cilium-dbg bpf ct list global | wc -l"),
}


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State which drops of these packets were seen on either node, the receiving one first."""
    if finding.code not in _RECEIVING:
        return
    for point in _of_each_capture(direction.receiver, direction.sender):
        seen = list(rows(pair, point, "drops"))
        if seen:
            yield from _of_packets(pair, direction, finding, point, seen)


def _of_each_capture(*points: Point) -> Iterator[Point]:
    captures: set[int] = set()
    for point in points:
        if point.capture not in captures:
            captures.add(point.capture)
            yield point


def _of_packets(
    pair: Comparison, direction: Direction, finding: Finding, point: Point, seen: Sequence[_Seen]
) -> Iterator[Statement]:
    """State how many of a finding's missing packets were dropped, by reason and function."""
    missed = suspects.of(pair, direction, finding, point)
    found: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], _Seen] = {}
    for row, where in seen:
        if missed.match(row):
            key = (row["value"], row.get("at") or row.get("source", ""))
            found[key] += 1
            first.setdefault(key, (row, where))
    for key, dropped in found.most_common(_MOST_REASONS):
        yield _statement(node_of(point), missed, dropped, *first[key])
    if not found:
        yield from _of_responses(pair, direction, finding, point, seen)


def _statement(node: str, missed: Suspects, dropped: int, row: dict[str, str], where: str) -> Statement:
    of = f"{dropped:,} of the {missed.total:,}" if missed.total != dropped else f"all {dropped:,}"
    what = f"{of} {'lost ' if missed.lost else ''}packets"
    if missed.total == 1:
        what = "the lost packet" if missed.lost else "the packet"
    at = f" in {row['at']}" if row.get("at") else ""
    source = f" ({row['source']})" if row.get("source") else ""
    sentence = f"{node} dropped {what}{at}{source}: {row['value']} ({where})."
    return Statement(sentence, True, where, _cure(node, row["value"]))


def _of_responses(
    pair: Comparison, direction: Direction, finding: Finding, point: Point, seen: Sequence[_Seen]
) -> Iterator[Statement]:
    """State which responses to these packets were dropped."""
    packets = [*inner(pair, direction, finding), *outer(pair, direction)]
    ends = {(p.destination, p.source) for p in packets}
    found: Counter[str] = Counter()
    first: dict[str, _Seen] = {}
    for row, where in seen:
        if (row.get("src", ""), row.get("dst", "")) in ends:
            found[row["value"]] += 1
            first.setdefault(row["value"], (row, where))
    for reason, dropped in found.most_common(_MOST_REASONS):
        row, where = first[reason]
        at = f" in {row['at']}" if row.get("at") else ""
        sentence = (
            f"{node_of(point)} dropped {count(dropped, 'response')} to these, the first from {row['src']} to "
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
