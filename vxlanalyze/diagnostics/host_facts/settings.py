"""Saved sysctl settings: forwarding, and the size of the connection table (`routes` has the path filter)."""

from collections.abc import Iterator

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.host_facts.model import Statement, facts, node_of
from vxlanalyze.kubernetes.citing import file_of, place
from vxlanalyze.kubernetes.hosts.model import number_of
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text import commands

_DIE_INSIDE = frozenset(("not-answered", "source-unanswered", "answer-not-accepted"))
_TABLE_FULL = frozenset(("new-flows-blocked", "packet-loss", *_DIE_INSIDE))
_FULL = 0.95
_Setting = tuple[str, str]


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State which setting of the receiving node drops packets of this kind, or that none does."""
    if finding.code not in _DIE_INSIDE | _TABLE_FULL:
        return
    found: dict[str, _Setting] = {}
    for fact in facts(pair, direction.receiver, "settings"):
        for row in fact.rows:
            found[row["name"]] = (row["value"], place(file_of(fact), row["line"]))
    node = node_of(direction.receiver)
    if finding.code in _DIE_INSIDE:
        yield from _forwarding(node, found)
    yield from _table(node, found, finding.code)


def _forwarding(node: str, found: dict[str, _Setting]) -> Iterator[Statement]:
    value, where = found.get("net.ipv4.ip_forward", ("1", ""))
    if value == "0":
        sentence = (
            f"{node} does not forward IPv4 (net.ipv4.ip_forward = 0, {where}): nothing that comes out of the "
            "tunnel gets to a pod."
        )
        cure = "Let it forward, and find out what has set it (the overlay's agent sets it to 1):"
        yield Statement(sentence, True, where, cure + commands.on(node, "sysctl -w net.ipv4.ip_forward=1"))


def _table(node: str, found: dict[str, _Setting], code: str) -> Iterator[Statement]:
    count, where = found.get("net.netfilter.nf_conntrack_count", ("", ""))
    used, most = number_of(count), number_of(found.get("net.netfilter.nf_conntrack_max", ("", ""))[0])
    if most and used >= _FULL * most:
        yield Statement(
            f"The table of connections of {node} is full: {used:,} entries of {most:,} ({where}); "
            "the kernel drops the first packets of new connections.",
            code != "packet-loss",
            where,
            f"Enlarge the table of connections of {node}, and find what fills it:"
            + commands.on(
                node,
                f"sysctl -w net.netfilter.nf_conntrack_max={2 * most}",
                "conntrack -L | awk '{print $1}' | sort | uniq -c",
            ),
        )
