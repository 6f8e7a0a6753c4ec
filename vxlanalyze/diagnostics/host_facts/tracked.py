"""Compare saved connection tracking entries with unanswered requests.

On the requester's node, an entry may still translate a service to a deleted pod. On the receiving node, an
entry without a reply shows how far the request got: it is confirmed once a packet has passed every chain.

Sources: conntrack(8); Linux ``nf_conntrack_core.c`` (confirmed in POSTROUTING and LOCAL_IN).
"""

import re
from collections.abc import Iterator

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.host_facts.model import Statement, facts, inner, is_inside, node_of, rows
from vxlanalyze.kubernetes.citing import file_of
from vxlanalyze.kubernetes.hosts.firewall import FilteredPacket
from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text import commands
from vxlanalyze.text.words import count

_CODES = frozenset(
    (
        *("not-answered", "source-unanswered", "endpoint-silent", "dns-unanswered", "flow-blocked"),
        *("new-flows-blocked", "answer-not-accepted", "path-blocked", "endpoint-refused"),
    )
)
_STALE = frozenset(
    ("endpoint-refused", "endpoint-silent", "dns-unanswered", "not-answered", "flow-blocked", "path-blocked")
)
_TO = re.compile(r"--to-destination (?P<to>[0-9a-fA-F.:\[\]]+)|\bdnat to (?P<nft>[0-9a-fA-F.:\[\]]+)")
_Row = dict[str, str]


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State which entry is stale, or how far the requests got."""
    if finding.code not in _CODES or is_inside(direction):
        return
    packets = inner(pair, direction, finding)
    stale = list(_stale(pair, direction.sender, packets)) if finding.code in _STALE else []
    yield from stale[:1]
    if not stale and finding.code != "endpoint-refused":
        yield from _passed(pair, direction.receiver, packets)


def _stale(pair: Comparison, point: Point, packets: list[FilteredPacket]) -> Iterator[Statement]:
    """Entries of the requester's node that translate to an endpoint no longer in any rule."""
    requested = {(p.source, p.destination, p.protocol) for p in packets}
    chosen = _translations(pair, point)
    node = node_of(point)
    for row, where in rows(pair, point, "connections"):
        old = row.get("reply_src", "")
        if row.get("replied") or (row.get("src"), old, row["protocol"]) not in requested or row["dst"] == old:
            continue
        gone = pair.cluster.lacks(old) or (bool(chosen) and not any(old in to for to in chosen))
        why = (
            f", and no pod of the cluster has {old}"
            if pair.cluster.lacks(old)
            else f", to which no saved rule of {node} translates any more"
            if gone
            else ""
        )
        service = f"{row['dst']}:{row['dport']}" if "dport" in row else row["dst"]
        sentence = (
            f"Connection tracking of {node} still translates {service} to {old} for {row['src']} ({where}: "
            f"{row['text']}){why}; the entry has seen no reply, and every packet of the flow renews it."
        )
        delete = f"conntrack -D -p {row['protocol']} -d {row['dst']} -r {old}"
        cure = f"Delete the entries to {old}; new ones follow today's rules:" + commands.on(node, delete)
        yield Statement(sentence, gone, where, cure if gone else "")


def _translations(pair: Comparison, point: Point) -> list[str]:
    """Targets of the node's saved translation rules."""
    found = []
    for row, _ in rows(pair, point, "firewall"):
        match = _TO.search(row.get("text", ""))
        if match is not None:
            found.append(match["to"] or match["nft"])
    return found


def _passed(pair: Comparison, point: Point, packets: list[FilteredPacket]) -> Iterator[Statement]:
    """Requests that passed the receiving node's chains, without a reply."""
    requested = {(p.source, p.destination, p.protocol, p.dport) for p in packets}
    found = [
        (row, where)
        for row, where in rows(pair, point, "connections")
        if (row.get("src"), row.get("dst"), row["protocol"], number_in(row, "dport")) in requested
    ]
    silent = [(row, where) for row, where in found if "[UNREPLIED]" in row["text"]]
    node = node_of(point)
    if silent and len(silent) == len(found):
        row, where = silent[0]
        yield Statement(
            f"{count(len(silent), 'flow')} of these passed all chains of {node} and saw no reply ({where}: "
            f"{row['text']}): no rule of its FORWARD chain drops them; look at the pod, and at what its "
            "answers meet.",
            False,
            where,
        )
    elif not found and _tracks(pair, point):
        file = file_of(facts(pair, point, "connections")[0])
        yield Statement(
            f"Connection tracking of {node} has no entry of these flows ({file}): they were dropped before "
            "they passed its chains, or the entries have expired.",
            False,
            file,
        )


def _tracks(pair: Comparison, point: Point) -> bool:
    return any(fact.rows for fact in facts(pair, point, "connections"))
