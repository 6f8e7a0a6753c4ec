"""A saved firewall rule that drops the tunnel's packets, or the inner ones, where they die."""

from collections.abc import Iterator, Sequence
from shlex import quote

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.beside.model import Said, facts, inner, outer, place
from vxlanalyze.kubernetes.hosts.firewall import Drop, Packet, dropping
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text import commands
from vxlanalyze.text.words import count

# Where the packets of a finding die: before the tunnel takes them, or after.
_ENTERING = frozenset(("not-answered", "answer-not-accepted"))
_FORWARDED = frozenset(
    ("not-answered", "source-unanswered", "endpoint-silent", "dns-unanswered", "new-flows-blocked")
)
_LATER = frozenset(("path-blocked", "burst-outage"))


def said(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Said]:
    """Say which rule of the receiving node drops what the finding is about."""
    point = direction.receiver
    tables = [(fact.path, fact.rows) for fact in facts(pair, point, "firewall")]
    if not tables or finding.code not in _ENTERING | _FORWARDED | _LATER:
        return
    taken = finding.evidence.get("taken_out_of_tunnel")
    inside = taken is not None and taken.value == "yes"
    if finding.code in _ENTERING | _LATER and not inside:
        drop, packet = _first(tables, outer(pair, direction), "input")
        if drop is not None and packet is not None:
            yield _said(drop, packet, point, "the tunnel's packets", later=finding.code in _LATER)
            return
    if finding.code in _FORWARDED:
        drop, packet = _first(tables, inner(pair, direction, finding), "forward")
        if drop is not None and packet is not None:
            yield _said(drop, packet, point, "what comes out of the tunnel")


def _first(
    tables: Sequence[tuple[str, Sequence[dict[str, str]]]], packets: Sequence[Packet], hook: str
) -> tuple[Drop | None, Packet | None]:
    """The first certain drop of one of the packets, or else the first possible one that has counted some."""
    possible: tuple[Drop | None, Packet | None] = (None, None)
    for packet in packets:
        drop = dropping(tables, packet, hook)
        if drop is not None and drop.certain:
            return drop, packet
        if drop is not None and drop.counted and possible[0] is None:
            possible = (drop, packet)
    return possible


def _said(drop: Drop, packet: Packet, point: Point, what: str, later: bool = False) -> Said:
    where = place(drop.file, drop.row["line"])
    rule = drop.row["text"].strip()
    counted = f" It has counted {count(drop.counted, 'packet')}." if drop.counted else ""
    port = f" to port {packet.dport}" if packet.dport else ""
    which = f"{packet.protocol.upper()} from {packet.source} to {packet.destination}{port}"
    if later:
        sentence = (
            f"A rule of {point.name} would drop {what} once they arrive there ({where}: {rule}); it stands "
            "behind the place of the capture, so it is not what loses them now."
        )
        return Said(sentence, False, where)
    may = "drops" if drop.certain else "may drop"
    sentence = f"The firewall of {point.name} {may} {what} ({which}): {where}: {rule}.{counted}"
    return Said(sentence, drop.certain, where, _remedy(drop, packet, point) if drop.certain else "")


def _remedy(drop: Drop, packet: Packet, point: Point) -> str:
    row = drop.row
    where = place(drop.file, row["line"])
    port = packet.dport if packet.protocol in ("tcp", "udp", "sctp") else 0
    chain = quote(row["chain"])
    if "-A " not in row["text"] and not row["text"].startswith(":"):  # nftables' own words
        family, table = row["family"], quote(row["table"])
        word = "ip6" if ":" in packet.source else "ip"
        match = f"{word} saddr {packet.source}" + (f" {packet.protocol} dport {port}" if port else "")
        add = f"nft insert rule {family} {table} {chain} {match} counter accept"
        undo = f"nft -a list chain {family} {table} {chain}"
        add, undo = (commands.on(point.name, line) for line in (add, undo))
        return f"Accept them before {where}:{add}\nIts handle, for nft delete rule:{undo}"
    tool = "ip6tables" if ":" in packet.source else "iptables"
    match = f"-s {packet.source} -p {packet.protocol}" + (f" --dport {port}" if port else "")
    rules = [f"{tool} -t {quote(row['table'])} -{what} {chain} {match} -j ACCEPT" for what in "ID"]
    add, undo = (commands.on(point.name, rule) for rule in rules)
    return f"Accept them before {where}:{add}\nTo undo it:{undo}"
