"""The frames that show a finding, and a display filter that finds them again in Wireshark.

A filter begins with the outer headers, of which the source port, a hash of the inner flow, selects the flow
(RFC 7348 section 5). What the frames have in common inside the tunnel (a protocol, a reset) follows only
where Wireshark decodes it: for UDP, on the ports it knows (4789, not Linux's 8472).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW, Encryption
from vxlanalyze.wire.numbers import ACK, DNS_PORTS, RST, SYN
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP

_DECODED_PORTS = (4789, 4790, 6081)  # of UDP, by Wireshark without "Decode As"
FRAMES_SHOWN = 100  # per capture and finding
_PATHS_IN_FILTER = 4
_PORTS_IN_FILTER = 12


class Exhibit(NamedTuple):
    """What a finding shows: the first frames by capture name, their total number, and the filter."""

    frames: dict[str, NDArray[np.int64]]
    frame_count: int
    display_filter: str
    decoded: bool = False  # whether Wireshark decodes what is in the tunnel

    def only(self, condition: str) -> str:
        """Restrict the filter by a condition about the inner packet, where Wireshark can decide it."""
        return _and(self.display_filter, condition) if self.decoded and condition else self.display_filter


def of_packets(pair: Comparison, direction: Direction, chosen: NDArray[np.bool_]) -> Exhibit:
    """Show wire packets of a direction at both of its points; `chosen` has shape ``(m,)``."""
    sides = (
        (direction.sender, direction.sent_row[chosen]),
        (direction.receiver, direction.received_row[chosen]),
    )
    return of_rows(pair, sides)


def of_rows(pair: Comparison, sides: Iterable[tuple[Point, NDArray[np.int32]]]) -> Exhibit:
    """Show rows of some points' captures; NO_ROW is skipped."""
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
    shown = [(point, present(np.concatenate(parts))) for point, parts in of_capture.values()]
    plain = Exhibit(frames, total, _joined(terms), all(_is_decoded(*side) for side in shown))
    return plain._replace(display_filter=plain.only(_in_common(shown)))


def _is_decoded(point: Point, rows: NDArray[np.int32]) -> bool:
    flows, flow = point.flows, point.index.flow[rows]
    mine = flow[flow != NO_FLOW]
    tunnelled = (flows.outer_family[mine] > 0) & (flows.outer_protocol[mine] == UDP)
    return bool(np.isin(flows.outer_dport[mine][tunnelled], _DECODED_PORTS).all())


def _in_common(sides: Sequence[tuple[Point, NDArray[np.int32]]]) -> str:
    """Say what all shown frames are, as a condition; "" if that does not tell them from others."""
    conditions = {_kind_of(point, rows) for point, rows in sides if len(rows)}
    return conditions.pop() if len(conditions) == 1 else ""


def _kind_of(point: Point, rows: NDArray[np.int32]) -> str:
    index, flows, flow = point.index, point.flows, point.index.flow[rows]
    if (flow == NO_FLOW).any():
        return ""
    if (flows.encryption[flow] == Encryption.ESP).all():
        return "esp"
    protocols = np.unique(flows.protocol[flow])
    if len(protocols) != 1 or flows.encryption[flow].any():
        return ""
    if protocols[0] == UDP:
        dns = np.isin(flows.dport[flow], DNS_PORTS) | np.isin(flows.sport[flow], DNS_PORTS)
        return "dns" if dns.all() else ""
    if protocols[0] != TCP:
        return {ICMP: "icmp", ICMPV6: "icmpv6"}.get(int(protocols[0]), "")
    flags = index.tcp_flags[rows]
    if (flags & RST != 0).all():
        return "tcp.flags.reset == 1"
    opening = np.unique(flags & (SYN | ACK))
    if len(opening) == 1 and opening[0] & SYN:
        return f"tcp.flags.syn == 1 && tcp.flags.ack == {int(opening[0] & ACK != 0)}"
    return "tcp"


def merged(exhibits: Iterable[Exhibit]) -> Exhibit:
    """Merge several exhibits."""
    frames: dict[str, NDArray[np.int64]] = {}
    total, filters, decoded = 0, [], True
    for exhibit in exhibits:
        for name, numbers in exhibit.frames.items():
            frames[name] = np.union1d(frames.get(name, np.empty(0, np.int64)), numbers)[:FRAMES_SHOWN]
        total += exhibit.frame_count
        filters += [exhibit.display_filter] * bool(exhibit.display_filter)
        decoded &= exhibit.decoded
    return Exhibit(frames, total, _joined(filters), decoded)


def _and(some: str, condition: str) -> str:
    return f"({some}) && {condition}" if "||" in some else f"{some} && {condition}" if some else condition


def _joined(terms: Sequence[str]) -> str:
    return terms[0] if len(terms) == 1 else " || ".join(f"({t})" for t in terms)


def _terms(point: Point, rows: NDArray[np.int32]) -> list[str]:
    """One filter term for each pair of addresses; the tunnel's, or the unencapsulated packets' own."""
    flow = point.index.flow[rows]
    flows = np.flatnonzero(np.bincount(flow[flow != NO_FLOW], minlength=1))
    paths: dict[str, set[int]] = {}
    for term, port in _paths(point, flows[: 64 * _PATHS_IN_FILTER]):
        paths.setdefault(term, set()).add(port)
    terms = []
    for term, ports in list(paths.items())[:_PATHS_IN_FILTER]:
        chosen = sorted(ports - {0})
        few = 0 < len(chosen) <= _PORTS_IN_FILTER
        terms.append(f"{term} && udp.srcport in {{{', '.join(map(str, chosen))}}}" if few else term)
    return terms


def _paths(point: Point, rows: NDArray[np.intp]) -> Iterator[tuple[str, int]]:
    """Filter for the addresses and destination port of each of some flows, and its outer source port."""
    flows = point.flows
    tunnelled = flows.outer_family[rows] > 0
    family = np.where(tunnelled, flows.outer_family[rows], flows.family[rows])
    outside = tunnelled[:, np.newaxis]
    sources = text(np.where(outside, flows.outer_src[rows], flows.src[rows]), family)
    targets = text(np.where(outside, flows.outer_dst[rows], flows.dst[rows]), family)
    to_port, from_port = (np.where(tunnelled, p[rows], 0) for p in (flows.outer_dport, flows.outer_sport))
    columns = (family.tolist(), sources, targets, to_port.tolist(), from_port.tolist())
    for ip, source, target, to, port in zip(*columns, strict=True):
        if ip == 0:
            yield f"arp.src.proto_ipv4 == {source} && arp.dst.proto_ipv4 == {target}", 0
            continue
        kind = "ip" if ip == 4 else "ipv6"
        term = f"{kind}.src == {source} && {kind}.dst == {target}"
        yield (f"{term} && udp.dstport == {to}", port) if to else (term, 0)
