"""Counters saved before and after: their increase compared with the missing packets.

Files belong to "before" or "after" by the last of these words in their path. A counter that rose by about the
number of missing packets is the cause; one that rose by less is a note.
"""

from collections.abc import Iterator
from pathlib import PurePath
from shlex import quote

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.host_facts.model import (
    Statement,
    accounts_for,
    facts,
    missing,
    node_of,
    rows,
)
from vxlanalyze.kubernetes.citing import file_of, place
from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text import commands
from vxlanalyze.text.words import count

_NAMED = {
    "TcpExtIPReversePathFilter": "the reverse path filter dropped packets",
    "IpExtIPReversePathFilter": "the reverse path filter dropped packets",
    "UdpInCsumErrors": "UDP checksums were wrong",
    "Udp6InCsumErrors": "UDP checksums were wrong",
    "UdpNoPorts": "nothing listened on the port",
    "Udp6NoPorts": "nothing listened on the port",
    "UdpRcvbufErrors": "socket buffers were full",
    "IpInAddrErrors": "the destination was no address of the node",
    "IpOutNoRoutes": "there was no route",
    "IpReasmFails": "fragments could not be put together",
    "TcpExtListenDrops": "listen queues were full",
    "softnet dropped": "the backlog of a core was full",
    "conntrack insert_failed": "connection tracking could not enter connections",
    "conntrack drop": "connection tracking dropped packets",
    "conntrack early_drop": "the table of connections was full",
}
_OF_PROBES = frozenset(
    ("TcpExtIPReversePathFilter", "IpExtIPReversePathFilter", "conntrack insert_failed", "conntrack drop")
)
_PROBED = 2  # of the three requests that a probe sends
_NIC = ("drop", "discard", "missed", "no_buf", "nobuf", "fifo", "crc", "exceeded", "out_of_buffer")
_LACKED = ("dropped_by_kernel", "received_elsewhere", "answered_unseen")  # evidence of capture-loss
_AT_RECEIVER = frozenset(
    (
        *("not-answered", "source-unanswered", "answer-not-accepted", "endpoint-silent", "port-unreachable"),
        *("outer-checksum-bad", "new-flows-blocked", "packet-loss", "capture-loss", "fragments-lost"),
        *("rate-limited", "merged-datagram", "reassembly-timeout", "flow-blocked"),
    )
)


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State which counters of the receiving node rose in between."""
    if finding.code not in _AT_RECEIVER:
        return
    node = node_of(direction.receiver)
    yield from _in_probes(pair, direction.receiver, node)
    for name, (grown, where) in _grown(pair, direction.receiver).items():
        why = _NAMED.get(name) or ("the NIC or a queue dropped packets" if _is_drop(name) else "")
        if not why:
            continue
        same = accounts_for(grown, finding)
        missing_text = (
            f", and {count(missing(finding), 'packet')} are missing here" if missing(finding) else ""
        )
        sentence = f"Between the saves, {name} of {node} rose by {grown:,}{missing_text}: {why} ({where})."
        yield Statement(sentence, same, where, _remedy(node, name) if same else "")


def _in_probes(pair: Comparison, point: Point, node: str) -> Iterator[Statement]:
    """State which counters rose while a probe ran; those that nothing else raises show the cause."""
    for row, where in rows(pair, point, "counters"):
        rise, why = number_in(row, "value"), _NAMED.get(row["name"], "")
        if "rise" in row and rise and why:
            sentence = f"While the probe ran, {row['name']} of {node} rose by {rise:,}: {why} ({where})."
            yield Statement(sentence, row["name"] in _OF_PROBES and rise >= _PROBED, where)


def of_captures(pair: Comparison, finding: Finding) -> Iterator[Statement]:
    """State which drop counters of card, queue or core rose at nodes whose captures lack packets."""
    for number, capture in enumerate(pair.captures):
        names = [f"{capture.name} {what}" for what in _LACKED]
        found = [finding.evidence[name].value for name in names if name in finding.evidence]
        lacked = max((value for value in found if isinstance(value, int)), default=0)
        point = next((p for p in pair.points if p.capture == number), None)
        if point is None or not found:
            continue
        for name, (grown, where) in _grown(pair, point).items():
            if not (_is_drop(name) or name == "softnet dropped"):
                continue
            same = 0 < lacked <= grown <= 1.25 * lacked + 2
            lacking = f", and its capture lacks {count(lacked, 'packet')}" if lacked else ""
            sentence = f"Between the saves, {name} of {node_of(point)} rose by {grown:,}{lacking} ({where})."
            yield Statement(sentence, same, where, _remedy(node_of(point), name) if same else "")


def _remedy(node: str, name: str) -> str:
    """How to examine a queue or enlarge a backlog; "" where the finding's own remedy covers it."""
    kind, _, rest = name.partition(" ")
    if kind == "qdisc":
        device = quote(rest.removesuffix(" dropped"))
        shown = commands.on(node, f"tc -s qdisc show dev {device}")
        return f"A queue of {device} on {node} drops them; see its rate and limit, and who has set it:{shown}"
    if name in ("conntrack drop", "conntrack early_drop"):
        most = "net.netfilter.nf_conntrack_max"
        larger = commands.on(
            node,
            "conntrack -L 2>/dev/null | grep -o 'src=[^ ]*' | sort | uniq -c | sort -rn | head",
            f"sysctl -w {most}=$((2 * $(sysctl -n {most})))",
        )
        return f"The table of connections of {node} is full; see what fills it, and enlarge it:{larger}"
    if name == "softnet dropped":
        longer = commands.on(node, "sysctl -w net.core.netdev_max_backlog=10000")
        return f"The cores of {node} do not keep up; a longer backlog bridges bursts (default 1000):{longer}"
    return ""


def _is_drop(name: str) -> bool:
    return name.startswith(("ethtool ", "link ", "qdisc ")) and any(word in name.lower() for word in _NIC)


def _grown(pair: Comparison, point: Point) -> dict[str, tuple[int, str]]:
    """Increases between the first "before" and the first "after", with the place of the latter."""
    saved: dict[str, dict[str, tuple[int, str]]] = {"before": {}, "after": {}}
    for fact in facts(pair, point, "counters"):
        when = _when(fact.path)
        if when:
            for row in fact.rows:
                value = (number_in(row, "value"), place(file_of(fact), row["line"]))
                saved[when].setdefault(row["name"], value)
    rises = {
        name: (value - saved["before"].get(name, (value, ""))[0], where)
        for name, (value, where) in saved["after"].items()
    }
    return {name: rise for name, rise in rises.items() if rise[0] > 0}


def _when(path: str) -> str:
    words = [w for part in PurePath(path).parts for w in ("before", "after") if w in part.lower()]
    return words[-1] if words else ""
