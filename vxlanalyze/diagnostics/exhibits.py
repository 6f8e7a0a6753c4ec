"""The frames that show a finding, and a display filter that finds them again in Wireshark.

A filter is made of the outer headers alone: Wireshark takes the tunnel off only on the ports it knows
(4789, not Linux's 8472), and the outer source port, a hash of the inner flow, picks the flow out (RFC 7348
section 5).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW

FRAMES_SHOWN = 100  # a capture, in a finding
_PATHS_IN_FILTER = 4
_PORTS_IN_FILTER = 12


class Exhibit(NamedTuple):
    """What a finding shows: first frames by capture name, how many there are in all, and the filter."""

    frames: dict[str, NDArray[np.int64]]
    frame_count: int
    display_filter: str


def of_packets(pair: Comparison, direction: Direction, chosen: NDArray[np.bool_]) -> Exhibit:
    """Show wire packets of a direction at both of its points; `chosen` has shape ``(m,)``."""
    sides = (
        (direction.sender, direction.sent_row[chosen]),
        (direction.receiver, direction.received_row[chosen]),
    )
    return of_rows(pair, sides)


def of_rows(pair: Comparison, sides: Iterable[tuple[Point, NDArray[np.int32]]]) -> Exhibit:
    """Show rows of some points' captures; NO_ROW is passed over."""
    frames: dict[str, NDArray[np.int64]] = {}
    total = 0
    terms: list[str] = []
    of_capture: dict[int, tuple[Point, list[NDArray[np.int32]]]] = {}
    for point, rows in sides:
        of_capture.setdefault(point.capture, (point, []))[1].append(rows[rows != NO_ROW])
    for point, parts in of_capture.values():
        rows = present(np.concatenate(parts))
        if len(rows):
            frames[pair.captures[point.capture].name] = point.frame(rows[:FRAMES_SHOWN])
            total += len(rows)
            terms += [t for t in _terms(point, rows) if t not in terms]
    return Exhibit(frames, total, _joined(terms))


def merged(exhibits: Iterable[Exhibit]) -> Exhibit:
    """Show several exhibits as one."""
    frames: dict[str, NDArray[np.int64]] = {}
    total, filters = 0, []
    for exhibit in exhibits:
        for name, numbers in exhibit.frames.items():
            frames[name] = np.union1d(frames.get(name, np.empty(0, np.int64)), numbers)[:FRAMES_SHOWN]
        total += exhibit.frame_count
        filters += [exhibit.display_filter] * bool(exhibit.display_filter)
    return Exhibit(frames, total, _joined(filters))


def _joined(terms: Sequence[str]) -> str:
    return terms[0] if len(terms) == 1 else " || ".join(f"({t})" for t in terms)


def _terms(point: Point, rows: NDArray[np.int32]) -> list[str]:
    """One filter term for each pair of addresses; the tunnel's or the bare packets' own."""
    flow = point.index.flow[rows]
    flows = np.flatnonzero(np.bincount(flow[flow != NO_FLOW], minlength=1))
    paths: dict[str, set[int]] = {}
    for row in flows[: 64 * _PATHS_IN_FILTER]:
        term, port = _path(point, int(row))
        paths.setdefault(term, set()).add(port)
    terms = []
    for term, ports in list(paths.items())[:_PATHS_IN_FILTER]:
        chosen = sorted(ports - {0})
        few = 0 < len(chosen) <= _PORTS_IN_FILTER
        terms.append(f"{term} && udp.srcport in {{{', '.join(map(str, chosen))}}}" if few else term)
    return terms


def _path(point: Point, row: int) -> tuple[str, int]:
    """Filter for the addresses and destination port of one flow, and its outer source port."""
    flows = point.flows
    if flows.outer_family[row]:
        family = int(flows.outer_family[row])
        ends = text(np.stack([flows.outer_src[row], flows.outer_dst[row]]), np.full(2, family, np.uint8))
        ip, port = ("ip" if family == 4 else "ipv6"), int(flows.outer_dport[row])
        term = f"{ip}.src == {ends[0]} && {ip}.dst == {ends[1]}"
        return (f"{term} && udp.dstport == {port}", int(flows.outer_sport[row])) if port else (term, 0)
    family = int(flows.family[row])
    ends = text(np.stack([flows.src[row], flows.dst[row]]), np.full(2, family, np.uint8))
    if family == 0:
        return f"arp.src.proto_ipv4 == {ends[0]} && arp.dst.proto_ipv4 == {ends[1]}", 0
    ip = "ip" if family == 4 else "ipv6"
    return f"{ip}.src == {ends[0]} && {ip}.dst == {ends[1]}", 0
