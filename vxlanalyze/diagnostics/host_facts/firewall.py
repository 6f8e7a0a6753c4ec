"""A saved firewall rule that drops the tunnel's packets, or the inner ones, where they die."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.host_facts.model import (
    Statement,
    accounts_for,
    facts,
    inner,
    is_before,
    is_inside,
    missing,
    node_of,
    outer,
    returning,
)
from vxlanalyze.kubernetes.citing import file_of, place
from vxlanalyze.kubernetes.hosts.firewall import Drop, FilteredPacket, dropping
from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text import commands
from vxlanalyze.text.words import count, listed

# Where the packets of a finding die: before or after decapsulation.
_ENTERING = frozenset(("not-answered", "answer-not-accepted"))
_FORWARDED = frozenset(
    (
        *("not-answered", "source-unanswered", "endpoint-silent", "dns-unanswered", "new-flows-blocked"),
        "answer-not-accepted",
    )
)
_LATER = frozenset(("path-blocked", "burst-outage"))
_INSIDE = frozenset(
    (
        "path-blocked",
        "flow-blocked",
        "protocol-blocked",
        "packet-loss",
        "new-flows-blocked",
        "not-encapsulated",
    )
)
_AGENTS = (
    ("cali-", "Calico"),
    ("KUBE-POD-FW-", "The node's network policy controller"),
    ("KUBE-NWPLCY-", "The node's network policy controller"),
    ("KUBE-ROUTER-", "kube-router"),
    ("ANTREA-POL-", "Antrea"),
)
_COUNTERS = re.compile(r"^\[\d+:\d+\] |\bcounter packets \d+ bytes \d+ ?|^\s*\d+[KMGT]?\s+\d+[KMGT]?\s+")
_Row = dict[str, str]
_Tables = Sequence[tuple[str, Sequence[_Row]]]


@dataclass(frozen=True, slots=True)
class HookPassage:
    """One hook of a node that packets of a finding go through."""

    hook: str
    packets: Sequence[FilteredPacket]
    what: str


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State which rule of the node drops the packets of a finding, or that none does."""
    point = direction.receiver
    tables = _tables(pair, point)
    passages = _passages(pair, direction, finding)
    if not tables or not passages:
        return
    for passage in passages:
        drop, packet = _first(tables, passage)
        if drop is not None and packet is not None:
            yield _statement(drop, packet, point, passage.what, finding)
            return
    if any(passage.packets for passage in passages) and finding.code not in _LATER:
        files = listed(sorted({file for file, _ in tables}))
        yield Statement(
            f"The saved rules of {node_of(point)} drop none of these packets ({files}).", False, files
        )


def _tables(pair: Comparison, point: Point) -> _Tables:
    """The node's rules, with their counts in between if they were also saved before."""
    # The rules of iptables-nft appear in both outputs; they are changed with iptables.
    saved = sorted(facts(pair, point, "firewall"), key=lambda fact: fact.rows[0].get("tool") == "nft")
    before: dict[tuple[str, ...], int] = {}
    for fact in saved:
        if is_before(fact.path):
            for row in fact.rows:
                before.setdefault(_key(row), number_in(row, "packets"))
    return [
        (file_of(fact), [_since(row, before) for row in fact.rows])
        for fact in saved
        if not is_before(fact.path)
    ]


def _key(row: _Row) -> tuple[str, ...]:
    return row["family"], row["table"], row["chain"], _COUNTERS.sub("", row["text"]).strip()


def _since(row: _Row, before: dict[tuple[str, ...], int]) -> _Row:
    """A rule with the increase of its counters; rules without counters, and chains, are unchanged."""
    earlier = before.get(_key(row)) if "packets" in row and "policy" not in row else None
    if earlier is None or number_in(row, "packets") < earlier:
        return row
    return {**row, "packets": str(number_in(row, "packets") - earlier)}


def _passages(pair: Comparison, direction: Direction, finding: Finding) -> list[HookPassage]:
    """The hooks on the node that packets, and then their responses, pass after the capture point."""
    code = finding.code
    if is_inside(direction):
        return _within(pair, direction, finding) if code in _INSIDE | _FORWARDED else []
    if code not in _ENTERING | _FORWARDED | _LATER:
        return []
    taken = finding.evidence.get("taken_out_of_tunnel")
    entered = taken is not None and taken.value == "yes"
    tunnel = outer(pair, direction)
    found = []
    if code in _ENTERING | _LATER and not entered:
        found.append(HookPassage("input", tunnel, "the tunnel's packets"))
    if code in _FORWARDED:
        requests = inner(pair, direction, finding)
        found.append(HookPassage("forward", requests, "what comes out of the tunnel"))
        found.append(HookPassage("forward", returning(requests), "the responses on their way to the tunnel"))
        back = [FilteredPacket(p.destination, p.source, p.protocol, p.dport, new=True) for p in tunnel]
        found.append(HookPassage("output", back, "the tunnel's packets that carry the responses"))
    return found


def _within(pair: Comparison, direction: Direction, finding: Finding) -> list[HookPassage]:
    """The hooks between two places of one node."""
    sender, receiver = direction.sender, direction.receiver
    packets = inner(pair, direction, finding)
    if sender.encapsulated and not receiver.encapsulated:
        return [
            HookPassage("input", outer(pair, direction), "the tunnel's packets"),
            HookPassage("forward", packets, "what comes out of the tunnel"),
        ]
    return [HookPassage("forward", packets, "what it forwards between its interfaces")]


def _first(tables: _Tables, passage: HookPassage) -> tuple[Drop | None, FilteredPacket | None]:
    """The first certain drop of one of the packets, or else the first possible one with a count."""
    possible: tuple[Drop | None, FilteredPacket | None] = (None, None)
    for packet in passage.packets:
        drop = dropping(tables, packet, passage.hook)
        if drop is not None and drop.certain:
            return drop, packet
        if drop is not None and drop.counted and possible[0] is None:
            possible = (drop, packet)
    return possible


def _statement(drop: Drop, packet: FilteredPacket, point: Point, what: str, finding: Finding) -> Statement:
    where = place(drop.file, drop.row["line"])
    rule = " ".join(drop.row["text"].split())
    node = node_of(point)
    port = f" to port {packet.dport}" if packet.dport else ""
    which = f"{packet.protocol.upper()} from {packet.source} to {packet.destination}{port}"
    if finding.code in _LATER and "/" not in point.name and finding.direction == _label(finding, point):
        sentence = (
            f"A rule of {node} would drop {what} once they arrive there ({where}: {rule}); packets reach it "
            "after the capture, so it is not what loses them now."
        )
        return Statement(sentence, False, where)
    matches = bool(drop.counted) and accounts_for(drop.counted or 0, finding)
    cause = drop.certain or matches
    sentence = f"The firewall of {node} {'drops' if cause else 'may drop'} {what} ({which}): {where}: {rule}."
    if drop.counted:
        sentence += f" It has counted {count(drop.counted, 'packet')}"
        sentence += f", and {count(missing(finding), 'packet')} are missing here." if matches else "."
    return Statement(sentence, cause, where, _remedy(drop, packet, node) if cause else "")


def _label(finding: Finding, point: Point) -> str | None:
    """The finding's direction, where it ends at another node's capture at this point."""
    direction = finding.direction or ""
    return finding.direction if direction.endswith(f">{point.name}") else None


def _remedy(drop: Drop, packet: FilteredPacket, node: str) -> str:
    """How to accept the packets before the rule; an agent's rule is changed through its policy."""
    row = drop.row
    where = place(drop.file, row["line"])
    kept_by = next((who for start, who in _AGENTS if row["chain"].startswith(start)), "")
    if kept_by:
        shown = commands.anywhere("kubectl get networkpolicies -A")
        return f"{kept_by} writes {row['chain']} ({where}); change the policy that it stands for:{shown}"
    port = packet.dport if packet.protocol in ("tcp", "udp", "sctp") else 0
    if row.get("tool") == "nft":
        add, undo = _of_nft(row, packet, port)
        undone = f"\nIts handle, for nft delete rule:{commands.on(node, undo)}"
    else:
        add, undo = _of_iptables(row, packet, port)
        undone = f"\nTo undo it:{commands.on(node, undo)}"
    return f"Accept them before {where}:{commands.on(node, add)}{undone}"


def _of_nft(row: Mapping[str, str], packet: FilteredPacket, port: int) -> tuple[str, str]:
    family, table, chain = row["family"], quote(row["table"]), quote(row["chain"])
    word = "ip6" if ":" in packet.source else "ip"
    match = f"{word} saddr {packet.source}" + (f" {packet.protocol} dport {port}" if port else "")
    add = f"nft insert rule {family} {table} {chain} {match} counter accept"
    return add, f"nft -a list chain {family} {table} {chain}"


def _of_iptables(row: Mapping[str, str], packet: FilteredPacket, port: int) -> tuple[str, str]:
    tool = "ip6tables" if ":" in packet.source else "iptables"
    match = f"-s {packet.source} -p {packet.protocol}" + (f" --dport {port}" if port else "")
    rules = [f"{tool} -t {quote(row['table'])} -{a} {quote(row['chain'])} {match} -j ACCEPT" for a in "ID"]
    return rules[0], rules[1]
