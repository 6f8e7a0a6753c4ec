"""Follow a packet through the saved rules of a host's firewall, as the kernel would.

Each match of a rule holds, fails, or cannot be determined. An undetermined match makes everything after it
uncertain: a drop is certain only if no earlier rule might have accepted the packet.

Sources: iptables(8), "TABLES"; nftables wiki "Netfilter hooks" (priorities).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.wire.protocols import ICMPV6, RULE_NAMES

Row = Mapping[str, str]
_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_PROTOCOLS = {**{str(number): name for number, name in RULE_NAMES.items()}, "icmpv6": RULE_NAMES[ICMPV6]}
_HOOKS = {
    "input": ("prerouting", "input"),
    "forward": ("prerouting", "forward"),
    "output": ("output", "postrouting"),
}
_DROPS = frozenset(("DROP", "REJECT", "TARPIT"))
_MOST_RULES = 50_000
_DEEPEST = 24
_PRIORITY = re.compile(r"-?\d{1,9}")
_PORT = re.compile(r"\d{0,5}")
_Chain = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class FilteredPacket:
    """The fields of a packet that rules match; `new` if no packet of its conversation went the other way."""

    source: str
    destination: str
    protocol: str
    dport: int
    new: bool = True


@dataclass(frozen=True, slots=True)
class Drop:
    """A rule (or a chain's policy) that drops the packet; not `certain` if an earlier one might accept it."""

    row: Row
    file: str
    certain: bool

    @property
    def counted(self) -> int | None:
        """Packets that it has dropped; None without a counter."""
        return number_in(self.row, "packets") if "packets" in self.row else None


def dropping(tables: Iterable[tuple[str, Iterable[Row]]], packet: FilteredPacket, hook: str) -> Drop | None:
    """Find what drops a packet on its path through a hook ("input", "forward" or "output").

    Parameters
    ----------
    tables : iterable of (file, rows)
        As read by `iptables` and `nftables`. A rule with a counter of zero is skipped.
    """
    for file, rows in tables:
        walk = _Walk(file, packet, hook, rows)
        found = walk.drop()
        if found is not None:
            return found
    return None


class _Walk:
    """One walk through the chains of a file."""

    def __init__(self, file: str, packet: FilteredPacket, hook: str, rows: Iterable[Row]) -> None:
        self._file, self._packet, self._hook = file, packet, hook
        self._chains: dict[_Chain, list[Row]] = {}
        self._bases: dict[_Chain, Row] = {}
        self._left = _MOST_RULES
        self._certain = True
        self._maybe: Drop | None = None
        for row in rows:
            key = (row["family"], row["table"], row["chain"], "")
            if "policy" not in row:
                self._chains.setdefault(key, []).append(row)
            elif row["policy"] != "-" and _fits(row["family"], packet.source):
                self._bases[key] = row

    def drop(self) -> Drop | None:
        """The first drop on the path, certain ones before possible ones."""
        for key in self._entered():
            verdict = self._chain(key, 0)
            if isinstance(verdict, Drop):
                return verdict
            policy = self._bases[key]
            if verdict != "ACCEPT" and policy["policy"] == "DROP":  # without -c, its counter is always 0
                return Drop(policy, self._file, self._certain)
        return self._maybe

    def _entered(self) -> Iterator[_Chain]:
        for hook in _HOOKS[self._hook]:
            here = [k for k, row in self._bases.items() if (row.get("hook") or k[2].lower()) == hook]
            yield from sorted(here, key=self._priority)

    def _priority(self, key: _Chain) -> int:
        given = self._bases[key].get("priority", "")
        return int(given) if _PRIORITY.fullmatch(given) else _PRIORITIES.get(key[1], 0)

    def _chain(self, key: _Chain, depth: int) -> Drop | str | None:
        """A chain's verdict on the packet: a drop, "ACCEPT", or nothing."""
        for row in self._chains.get(key, ()):
            self._left -= 1
            if self._left < 0:
                self._certain = False
                return None
            holds = _holds(row, self._packet, self._hook)
            if holds is False:
                continue
            if row["target"] == "RETURN" and holds:
                return None
            verdict = self._rule(row, key, holds, depth)
            if verdict is not None:
                return verdict
        return None

    def _rule(self, row: Row, key: _Chain, holds: bool | None, depth: int) -> Drop | str | None:
        target = row["target"]
        if target in _DROPS:
            if not _has_counted(row):
                return None
            drop = Drop(row, self._file, self._certain and holds is True)
            self._maybe = self._maybe or (None if holds else drop)
            return drop if holds else None
        if target == "ACCEPT":
            self._certain = self._certain and holds is True
            return "ACCEPT" if holds else None
        jumped = (key[0], key[1], target, "")
        if jumped not in self._chains or depth >= _DEEPEST:
            return None
        before = self._certain
        self._certain = before and holds is True
        verdict = self._chain(jumped, depth + 1)
        if holds is True:
            return verdict
        if isinstance(verdict, Drop):
            self._maybe = self._maybe or Drop(verdict.row, verdict.file, False)
        self._certain = before and verdict is None
        return None


def _has_counted(row: Row) -> bool:
    return row.get("packets") != "0"


def _fits(family: str, address: str) -> bool:
    return family in ("", "inet") or family == ("ip6" if ":" in address else "ip")


def _holds(row: Row, packet: FilteredPacket, hook: str) -> bool | None:
    """Whether a rule's matches hold; None if one cannot be determined and the others hold."""
    answers = [_demand(name, value, packet, hook) for name, value in row.items()]
    if False in answers:
        return False
    return None if None in answers else True


def _demand(name: str, value: str, packet: FilteredPacket, hook: str) -> bool | None:
    not_, wanted = value.startswith("!"), value.lstrip("! ")
    if name == "protocol":
        answer: bool | None = _protocol(wanted, packet)
    elif name in ("source", "destination"):
        answer = _inside(wanted, packet.source if name == "source" else packet.destination)
    elif name == "dport":
        answer = _ports(wanted, packet.dport)
    elif name == "in":
        answer = False if wanted == "lo" else None
    elif name == "state":
        answer = _state(wanted, packet)
    elif name == "destination_type":
        answer = (hook == "input") if wanted.lower() == "local" else None
    else:
        answer = None if name in ("other", "mark", "out", "sport") else True
    return (not answer) if not_ and answer is not None else answer


def _protocol(wanted: str, packet: FilteredPacket) -> bool:
    names = {_PROTOCOLS.get(name.lower(), name.lower()) for name in wanted.split(",")}
    return packet.protocol in names or "all" in names


def _state(wanted: str, packet: FilteredPacket) -> bool | None:
    states = {state.strip().upper() for state in wanted.split(",")}
    if "NEW" in states and packet.new:
        return True
    return False if packet.new and states <= {"ESTABLISHED", "RELATED", "INVALID"} else None


def _inside(wanted: str, address: str) -> bool | None:
    parsed = ip_address(address)
    networks = [_network(text) for text in wanted.split(",")[:1000]]
    if any(network is not None and parsed in network for network in networks):
        return True
    return None if None in networks else False


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _ports(wanted: str, port: int) -> bool | None:
    for part in wanted.split(","):
        first, colon, last = part.partition(":")
        if not (_PORT.fullmatch(first) and _PORT.fullmatch(last)):
            return None
        low, high = int(first or 0), int(last or 65535) if colon else int(first or 0)
        if low <= port <= high:
            return True
    return False
