"""Facts that would decide a finding but were not saved, by the kinds relevant to its code."""

from collections.abc import Iterator, Sequence

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.host_facts.model import Statement, facts, node_of
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text.words import listed

_FIREWALL = ("firewall", "iptables-save -c or nft list ruleset")
_DEVICES = ("devices", "ip -d link")
_ROUTES = ("routes", "ip route show table all")
_SETTINGS = ("settings", "sysctl -a")
_COUNTERS = ("counters", "nstat -asz, before and after")
_TRACKED = ("connections", "conntrack -L")
_FDB = ("bridge-fdb", "bridge fdb show")
_NEIGHBOURS = ("neighbours", "ip neigh")
_AT_RECEIVER = {
    "not-answered": (_FIREWALL, _DEVICES, _ROUTES, _SETTINGS, _COUNTERS),
    "source-unanswered": (_ROUTES, _SETTINGS, _FIREWALL, _COUNTERS),
    "answer-not-accepted": (_FIREWALL, _ROUTES, _SETTINGS, _TRACKED),
    "endpoint-silent": (_FIREWALL, _TRACKED),
    "new-flows-blocked": (_SETTINGS, _FIREWALL, _COUNTERS),
    "port-unreachable": (_DEVICES,),
    "vni-mismatch": (_DEVICES,),
    "stale-tunnel-mac": (_DEVICES,),
    "mtu-blackhole": (_DEVICES,),
    "packet-loss": (_COUNTERS,),
}
_AT_SENDER = {
    "stale-tunnel-mac": (_NEIGHBOURS,),
    "wrong-tunnel-endpoint": (_FDB,),
    "mtu-blackhole": (_DEVICES,),
    "outer-fragmentation": (_DEVICES,),
}


def statements(
    pair: Comparison, direction: Direction, finding: Finding, known: Sequence[Statement]
) -> Iterator[Statement]:
    """Name the facts missing from a node with some saved, where none of these shows the cause."""
    if any(statement.cause for statement in known):
        return
    for point, kinds in ((direction.receiver, _AT_RECEIVER), (direction.sender, _AT_SENDER)):
        lacking = [command for kind, command in kinds.get(finding.code, ()) if not facts(pair, point, kind)]
        if lacking and _anything(pair, point):
            yield Statement(f"Not saved on {node_of(point)}, and would decide: {listed(lacking)}.", False, "")


def _anything(pair: Comparison, point: Point) -> bool:
    name = pair.captures[point.capture].name
    return any(fact.capture == name and fact.kind != "tcpdump-summary" for fact in pair.cluster.facts)
