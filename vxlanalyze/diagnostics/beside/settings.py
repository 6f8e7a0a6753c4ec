"""Saved sysctl settings: the reverse path filter, forwarding, and the size of the connection table."""

from collections.abc import Iterator

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.beside.model import Said, facts, place
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text import commands

_DIE_INSIDE = frozenset(("not-answered", "source-unanswered", "answer-not-accepted"))
_TABLE_FULL = frozenset(("new-flows-blocked", "packet-loss", *_DIE_INSIDE))
_FULL = 0.95
_Setting = tuple[str, str]


def said(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Said]:
    """Say which setting of the receiving node drops packets of this kind, or that none does."""
    if finding.code not in _DIE_INSIDE | _TABLE_FULL:
        return
    found: dict[str, _Setting] = {}
    for fact in facts(pair, direction.receiver, "settings"):
        for row in fact.rows:
            found[row["name"]] = (row["value"], place(fact.path, row["line"]))
    node = direction.receiver.name
    if finding.code in _DIE_INSIDE:
        yield from _forwarding(node, found)
        yield from _reverse_path(node, found)
    yield from _table(node, found, finding.code)


def _forwarding(node: str, found: dict[str, _Setting]) -> Iterator[Said]:
    value, where = found.get("net.ipv4.ip_forward", ("1", ""))
    if value == "0":
        sentence = (
            f"{node} does not forward IPv4 (net.ipv4.ip_forward = 0, {where}): no pod that is reached by a "
        )
        yield Said(sentence + "route gets anything.", False, where)


def _reverse_path(node: str, found: dict[str, _Setting]) -> Iterator[Said]:
    """The larger of the setting for all devices and that of a device holds (Linux ip-sysctl)."""
    strict = [n for n, (value, _) in found.items() if n.endswith(".rp_filter") and value == "1"]
    loose = found.get("net.ipv4.conf.all.rp_filter", ("", ""))[0] == "2"
    if strict and not loose:
        _, where = found[strict[0]]
        yield Said(
            f"The reverse path filter of {node} is strict ({strict[0]} = 1, {where}): it drops what comes in "
            "by a device by which its source is not reached, and counts it in TcpExtIPReversePathFilter.",
            False,
            where,
        )


def _table(node: str, found: dict[str, _Setting], code: str) -> Iterator[Said]:
    used, where = found.get("net.netfilter.nf_conntrack_count", ("", ""))
    most, _ = found.get("net.netfilter.nf_conntrack_max", ("", ""))
    if used.isdecimal() and most.isdecimal() and int(most) and int(used) >= _FULL * int(most):
        yield Said(
            f"The table of connections of {node} is full: {int(used):,} entries of {int(most):,} ({where}); "
            "the kernel drops the first packets of new connections.",
            code != "packet-loss",
            where,
            "Make it larger, and find what fills it:"
            + commands.on(
                node,
                f"sysctl -w net.netfilter.nf_conntrack_max={2 * int(most)}",
                "conntrack -L | awk '{print $1}' | sort | uniq -c",
            ),
        )
