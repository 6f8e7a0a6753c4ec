"""A plain comparison of the captures, against which the network's log is checked packet by packet.

It knows neither the log nor the program under test: dpkt reads, dictionaries count. The packets that
one capture holds and the next on the way lacks must be exactly the lost ones of ``truth.json``.
"""

from __future__ import annotations

import ipaddress
import json
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dpkt
import pyarrow

HEADER_BYTES = 8  # VXLAN's, and Geneve's without options
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
LINUX_SLL2 = 276
TCP, UDP = 6, 17
SYN = 0x02
MSS_OPTION = 2

Identity = tuple[str, str, int, int, int, int]
Lost = Counter[tuple[Any, ...]]


class Sighting(NamedTuple):
    """One packet at one point.

    `ends` are the addresses directly inside the tunnel (those of the pods); `identity` is that of the
    innermost packet; `room_bytes` is the payload that one TCP segment with such a header may have.
    """

    ends: tuple[str, str]
    identity: Identity
    payload_bytes: int
    room_bytes: int


def differences(folder: Path) -> list[str]:
    """Compare a recording with its truth; returns in words what is wrong, or nothing."""
    truth = json.loads((folder / "truth.json").read_text())
    if truth["lost"] is None:
        return []
    points = truth["captures"]
    seen = [sightings(folder / point["path"], frozenset(truth["ports"]), point["pod"]) for point in points]
    missing: Lost = Counter()
    without_ends: set[str] = set()
    for first in range(len(points) - 1):
        for sender, receiver, towards in ((first, first + 1, "node2"), (first + 1, first, "node1")):
            chosen = [seen[sender], seen[receiver]]
            pods = {points[place]["pod"] for place in (sender, receiver)} - {None}
            translated = bool(pods) and truth.get("translated", False)
            if not translated:
                chosen = [_towards(side, truth["networks"][towards]) for side in chosen]
                chosen = [[one for one in side if pods <= set(one.ends)] for side in chosen]
            else:  # the addresses differ between the points; only the pod uses the tunnel
                place = 0 if _lives(pods, truth["networks"]) != towards else 1
                chosen = [
                    [one for one in side if one.ends[place] in pods]
                    if points[number]["pod"]
                    else _towards(side, truth["networks"][towards])
                    for number, side in zip((sender, receiver), chosen, strict=True)
                ]
            direction = _direction(points, sender, receiver)
            absent = _absent(*chosen, translated=translated)
            missing += Counter({(direction, *packet): n for packet, n in absent.items()})
            without_ends |= {direction} if translated else set()
    lost: Lost = Counter()
    for way, *row in truth["lost"]:
        lost[way, *(("", "", 0, 0, *row[4:]) if way in without_ends else row)] += 1
    wrong = [f"the network lost {row}, yet both captures hold it" for row in lost - missing]
    if truth["complete"]:
        wrong += [f"{row} is missing, yet the network delivered it" for row in missing - lost]
    return wrong


def _direction(points: list[dict[str, Any]], sender: int, receiver: int) -> str:
    if len(points) == 2:
        return "ab" if sender < receiver else "ba"
    return f"{points[sender]['name']}>{points[receiver]['name']}"


def _towards(side: Iterable[Sighting], networks: list[str]) -> list[Sighting]:
    inside = [ipaddress.ip_network(network) for network in networks]
    return [one for one in side if any(ipaddress.ip_address(one.ends[1]) in network for network in inside)]


def _lives(pods: set[str], networks: dict[str, list[str]]) -> str:
    """Node of a pod."""
    address = ipaddress.ip_address(next(iter(pods)))
    return next(node for node, of in networks.items() if any(address in ipaddress.ip_network(n) for n in of))


def _without_ends(packets: Counter[Identity]) -> Counter[Identity]:
    """Leave out of identities what translation changes: addresses and ports."""
    without: Counter[Identity] = Counter()
    for (*_, protocol, ip_id), count in packets.items():
        without["", "", 0, 0, protocol, ip_id] += count
    return without


def _absent(sent: list[Sighting], received: list[Sighting], translated: bool = False) -> Counter[Identity]:
    """Count the wire packets that were sent and not received."""
    largest: dict[Identity, int] = {}
    for one in received:
        flow = (*one.identity[:5], 0)
        largest[flow] = max(largest.get(flow, 0), one.payload_bytes)
    sides = [Counter(_wire_packets(side, largest)) for side in (sent, received)]
    if translated:
        sides = [_without_ends(side) for side in sides]
    return sides[0] - sides[1]


def _wire_packets(side: list[Sighting], largest: dict[Identity, int]) -> Iterator[Identity]:
    """Take super-packets apart: segments have the room of the connection, datagrams the receiver's size."""
    for one in side:
        *flow, ip_id = one.identity
        room = one.room_bytes
        if flow[4] == UDP:
            room = largest.get((*flow, 0), 0)  # type: ignore[arg-type]
        pieces = -(-one.payload_bytes // room) if room and one.payload_bytes else 1
        for piece in range(pieces):
            yield (*flow, (ip_id + piece) % 65536 if ip_id >= 0 else -1)  # type: ignore[misc]


def sightings(path: Path, ports: frozenset[int], pod: str | None) -> list[Sighting]:
    """List the packets of a point: those inside the tunnel at a NIC, the bare ones at a pod."""
    pieces: dict[tuple[bytes, bytes, int, int], dict[int, tuple[bytes, bool]]] = {}
    found = []
    mss: dict[frozenset[tuple[str, int]], int] = {}
    for packet in packets(path):
        whole = _put_together(packet, pieces)
        layers = list(_layers(whole, ports)) if whole is not None else []
        if len(layers) >= (1 if pod else 2):
            _learn_mss(layers[-1], mss)
            found.append(_sighting(layers[0 if pod else 1], layers[-1], mss))
    return found


def packets(path: Path) -> Iterator[Any]:
    """Yield the IP packet of each frame of a capture, in whatever file, set or compression it is."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with pyarrow.input_stream(str(file), compression=COMPRESSIONS.get(file.suffix)) as stream:
            content = stream.read()
        reader = dpkt.pcap.UniversalReader(pyarrow.BufferReader(content))
        for _, frame in reader:
            if reader.datalink() == LINUX_SLL2:
                carried = dpkt.sll2.SLL2(frame).data
            else:
                carried = dpkt.ethernet.Ethernet(frame).data
            if isinstance(carried, dpkt.ip.IP | dpkt.ip6.IP6):
                yield carried


def _put_together(
    packet: Any, pieces: dict[tuple[bytes, bytes, int, int], dict[int, tuple[bytes, bool]]]
) -> Any:
    """Return a packet that is whole, also when this was its last piece; None while pieces are missing."""
    if packet.v == 6 or not (packet.mf or packet.offset):
        return packet
    key = (packet.src, packet.dst, packet.id, packet.p)
    held = pieces.setdefault(key, {})
    held[packet.offset * 8] = (_transport(packet) if not packet.offset else packet.data, bool(packet.mf))
    content = b""
    while len(content) in held:
        piece, more = held[len(content)]
        content += piece
        if not more:
            del pieces[key]
            packet.mf, packet.offset, packet.len = 0, 0, packet.hl * 4 + len(content)
            return dpkt.ip.IP(packet.pack_hdr() + packet.opts + content)
    return None


def _layers(packet: Any, ports: frozenset[int]) -> Iterator[Any]:
    """Yield the IP packets from the outermost to the innermost."""
    yield packet
    datagram = packet.data
    if isinstance(datagram, dpkt.udp.UDP) and datagram.dport in ports and len(datagram.data) > HEADER_BYTES:
        inner = dpkt.ethernet.Ethernet(datagram.data[HEADER_BYTES:]).data
        if isinstance(inner, dpkt.ip.IP | dpkt.ip6.IP6):
            yield from _layers(inner, ports)


def _transport(packet: Any) -> bytes:
    """Return the octets after the IP header; empty for all pieces of an inner packet but the first."""
    if packet.v == 4 and packet.offset:
        return b""
    return packet.data if isinstance(packet.data, bytes) else bytes(packet.data)


def _learn_mss(packet: Any, mss: dict[frozenset[tuple[str, int]], int]) -> None:
    """Keep the smaller of the two MSS that a connection's ends announce."""
    if not isinstance(packet.data, dpkt.tcp.TCP) or not packet.data.flags & SYN:
        return
    ends = frozenset({(_text(packet.src), packet.data.sport), (_text(packet.dst), packet.data.dport)})
    for code, value in dpkt.tcp.parse_opts(packet.data.opts):
        if code == MSS_OPTION:
            announced = struct.unpack("!H", value)[0]
            mss[ends] = min(mss.get(ends, announced), announced)


def _sighting(carried: Any, packet: Any, mss: dict[frozenset[tuple[str, int]], int]) -> Sighting:
    src, dst, content = _text(packet.src), _text(packet.dst), _transport(packet)
    protocol = packet.p if packet.v == 4 else packet.nxt
    length = packet.len - packet.hl * 4 if packet.v == 4 else packet.plen
    sport = dport = header_bytes = room_bytes = 0
    if protocol in (TCP, UDP) and len(content) >= HEADER_BYTES:
        sport, dport = struct.unpack_from("!HH", content)
        header_bytes = HEADER_BYTES
    if protocol == TCP and len(content) > 12:
        header_bytes = (content[12] >> 4) * 4
        ends = frozenset({(src, sport), (dst, dport)})
        room_bytes = mss[ends] - (header_bytes - 20) if ends in mss else 0
    ip_id = packet.id if packet.v == 4 else -1
    return Sighting(
        (_text(carried.src), _text(carried.dst)),
        (src, dst, sport, dport, protocol, ip_id),
        length - header_bytes,
        room_bytes,
    )


def _text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))
