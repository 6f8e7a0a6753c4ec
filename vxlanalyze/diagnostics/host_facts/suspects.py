"""A finding's missing packets, for matching with drops seen inside a node.

A drop is an event of one packet: it matches by protocol, addresses and ports, inner or outer, and by IP
identification and time if the event has them. Events without ports (ICMP in pwru) match by addresses and
protocol.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.exhibits import FRAMES_SHOWN
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.pairing.model import Comparison, Direction, Outcome, Point
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.protocols import RULE_NAMES, UDP, WITH_PORTS

_MOST_FLOWS = 20_000
_TIME_OF_DAY = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?$")
_TOLERANCE_NS = 1_000_000_000
_ZONES_NS = 900 * 1_000_000_000  # time zones differ by multiples of a quarter of an hour
Key = tuple[str, ...]  # addresses, protocol, and ports if known


@dataclass(slots=True)
class _Packets:
    """Packets with one key, and how many of them are still to be matched."""

    left: int = 0
    ids: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Suspects:
    """A finding's missing packets, by all keys that an event may have for them.

    Parameters
    ----------
    total : int
        Number of packets.
    between_ns : tuple of int
        Send times of the first and the last of them, by the clock of the node that saw the drops.
    """

    total: int
    lost: bool
    between_ns: tuple[int, int] | None
    _by_key: dict[Key, _Packets]

    def match(self, event: Mapping[str, str]) -> bool:
        """Match a drop with its packet; whether there is one."""
        if not self._in_time(event.get("time", "")):
            return False
        for key in _keys_of(event):
            packets = self._by_key.get(key)
            if packets is None or packets.left == 0:
                continue
            number = number_in(event, "ip_id")
            if number and packets.ids and not packets.ids[number]:
                return False
            if event.get("ip_id"):
                packets.ids[number] -= 1
            packets.left -= 1
            return True
        return False

    def _in_time(self, moment: str) -> bool:
        time = _parsed(moment)
        if time is None or self.between_ns is None:
            return True
        first, last = self.between_ns[0] - _TOLERANCE_NS, self.between_ns[1] + _TOLERANCE_NS
        if time.tzinfo is not None:
            return first <= int(time.timestamp() * 1e9) <= last
        local_ns = int(time.replace(tzinfo=UTC).timestamp() * 1e9)
        return (local_ns - first) % _ZONES_NS <= last - first


def of(pair: Comparison, direction: Direction, finding: Finding, point: Point) -> Suspects:
    """Give a finding's missing packets in the form in which the node of a point may have dropped them."""
    places = _places(pair, direction, finding)
    rows = direction.sent_row[places]
    lost = bool(len(places)) and bool((direction.outcome[places] == Outcome.LOST).all())
    times = direction.sender.index.time_ns[rows]
    shift = _shift_ns(pair, direction, point)
    between = (
        (int(times.min()) + shift, int(times.max()) + shift) if len(rows) and shift is not None else None
    )
    return Suspects(len(rows), lost, between, _by_key(direction.sender, rows))


def _places(pair: Comparison, direction: Direction, finding: Finding) -> NDArray[np.intp]:
    """Positions in a direction of the shown frames, or of all packets of their flows if not all are shown."""
    numbers = finding.frames.get(pair.captures[direction.sender.capture].name)
    if numbers is None:
        return np.flatnonzero(direction.lost if direction.lost.any() else direction.flow >= 0)
    shown = np.isin(direction.sender.frame(direction.sent_row), numbers)
    if len(numbers) < FRAMES_SHOWN:
        return np.flatnonzero(shown)
    alike = np.isin(direction.flow, np.unique(direction.flow[shown]))
    if (direction.outcome[shown] == Outcome.LOST).all():
        alike = direction.lost
    return np.flatnonzero(alike)


def _shift_ns(pair: Comparison, direction: Direction, point: Point) -> int | None:
    """How far the clock of a point's node is ahead of the sender's; None if unknown."""
    if point.capture == direction.sender.capture:
        return 0
    clock = pair.clock_of(direction)
    if clock.offset_ns is None:
        return None
    return clock.offset_ns if clock.from_ == direction.sender.name else -clock.offset_ns


def _by_key(point: Point, rows: NDArray[np.int32]) -> dict[Key, _Packets]:
    found: dict[Key, _Packets] = {}
    rows = rows[point.index.flow[rows] >= 0]
    rows = rows[np.argsort(point.index.flow[rows], kind="stable")]
    flows, begins = np.unique(point.index.flow[rows], return_index=True)
    parts = np.split(rows, begins[1:])[:_MOST_FLOWS]
    for own, keys in zip(parts, _keys(point, flows[:_MOST_FLOWS].astype(np.intp)), strict=bool(len(rows))):
        ids = Counter(point.index.ip_id[own].tolist())
        outer_ids = Counter(point.index.outer_ip_id[own].tolist())
        for outside, key in keys:
            packets = found.setdefault(key, _Packets())
            packets.left += len(own)
            packets.ids.update(outer_ids if outside else ids)
    return found


def _keys(point: Point, chosen: NDArray[np.intp]) -> Iterator[list[tuple[bool, Key]]]:
    """The keys of each flow: inner, and of the tunnel packet."""
    table = point.flows
    family, outer = table.family[chosen], table.outer_family[chosen]
    ends = zip(text(table.src[chosen], family), text(table.dst[chosen], family), strict=True)
    outside = zip(text(table.outer_src[chosen], outer), text(table.outer_dst[chosen], outer), strict=True)
    inner_ports = zip(table.sport[chosen].tolist(), table.dport[chosen].tolist(), strict=True)
    outer_ports = zip(table.outer_sport[chosen].tolist(), table.outer_dport[chosen].tolist(), strict=True)
    protocols = table.protocol[chosen].tolist()
    for at, (own, below, ports, below_ports) in enumerate(
        zip(ends, outside, inner_ports, outer_ports, strict=True)
    ):
        keys = [(False, key) for key in _forms(own, protocols[at], ports)] if family[at] else []
        if outer[at]:
            keys += [(True, key) for key in _forms(below, UDP, below_ports)]
        yield keys


def _forms(ends: tuple[str, str], protocol: int, ports: tuple[int, int]) -> list[Key]:
    """A packet's keys, from the most to the least specific."""
    name = RULE_NAMES.get(protocol, str(protocol))
    keys: list[Key] = [ends, (*ends, name)]
    if protocol in WITH_PORTS:
        keys.append((*ends, name, str(ports[0]), str(ports[1])))
    return keys


def _keys_of(event: Mapping[str, str]) -> list[Key]:
    """The key of an event."""
    ends = (event.get("src", ""), event.get("dst", ""))
    protocol, sport, dport = (event.get(name, "") for name in ("protocol", "sport", "dport"))
    if protocol in ("tcp", "udp", "sctp") and sport and dport:
        return [(*ends, protocol, sport, dport)]
    return [(*ends, protocol)] if protocol else [ends]


def _parsed(moment: str) -> datetime | None:
    """Parse RFC 3339, with or without a zone, or a time of day."""
    text = f"1970-01-01T{moment}" if _TIME_OF_DAY.match(moment) else moment
    try:
        return datetime.fromisoformat(text[:26].rstrip("Z") + ("+00:00" if text.endswith("Z") else ""))
    except ValueError:
        return None
