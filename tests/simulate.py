"""Comparisons made from declared traffic, without captures: what diagnostics are tried on.

A `Flow` says who talks, a `Traffic` which packets of it are sent when and what becomes of each, and
`comparison` plays them along a path of points:

>>> web = Flow(protocol=TCP, sport=40000, dport=8080)
>>> pair = comparison(
...     forward=[Traffic(web, packets=200, payload=100)],
...     backward=[Traffic(web.reverse(), packets=300, payload=1300, lost=np.arange(300) >= 100)],
... )
>>> [(d.label, len(d), int(d.lost.sum())) for d in pair.directions]
[('node1>node2', 200, 0), ('node2>node1', 300, 200)]

Everything has a default: 100 UDP packets of 100 bytes, 10 ms apart, all delivered after 0.3 ms, in a
VXLAN on port 8472 between 172.26.50.200 and .201. Whatever is said of packets may be one value or one
a packet. A sender's super-packets are made with `segment_bytes`; then `payload` is that of the frame,
and fates are those of the wire packets (or one a frame, for all of its wire packets).

Several hops: ``comparison(..., points=("a", "b", "c"))``; ``Traffic(hop=1)`` loses its lost packets
behind the second point. Frames that only one point sees, outside of any direction (ARP, ICMP errors):
``comparison(..., seen_only={"node1": [Traffic(...)]})``; `raw` gives a frame its bytes, for
diagnostics that fetch them.
"""

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.simulated_tables import (
    FIRST_KEPT,
    FIRST_ONLY,
    REASSEMBLED,
    REST_ONLY,
    WHOLE,
    RawFrames,
    flows_of,
    fragments_of,
    index_of,
)
from vxlanalyze.capture.model import File, Interface
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import (
    NO_DELAY,
    NO_ROW,
    CaptureFacts,
    Clock,
    ClockPiece,
    Comparison,
    Direction,
    Hop,
    Outcome,
    Point,
    Reason,
)
from vxlanalyze.wire.model import (
    INNER_IP_SHIFT,
    INNER_L4_SHIFT,
    OUTER_IP_SHIFT,
    OUTER_L4_SHIFT,
    Anomaly,
    Checksum,
    Decoded,
    Index,
    Tunnel,
)

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
NODE1, NODE2 = "172.26.50.200", "172.26.50.201"
POD1, POD2 = "10.233.64.10", "10.233.65.20"
START_NS = 1_700_000_000_000_000_000
_MARKS = np.zeros(5, np.int64)  # what the receiver's row says, by how the packet travelled
_MARKS[REASSEMBLED] = Anomaly.REASSEMBLED
_MARKS[[FIRST_ONLY, FIRST_KEPT]] = Anomaly.FIRST_FRAGMENT
_L4_HEADER_BYTES = {TCP: 32, UDP: 8, ICMP: 8, ICMP6: 8}  # TCP with time stamps


@dataclass(frozen=True)
class Flow:
    """Who talks to whom, one way. ICMP: `sport` is ``type << 8 | code``, `dport` the identifier."""

    src: str = POD1
    dst: str = POD2
    protocol: int = UDP
    sport: int = 40000
    dport: int = 5201
    vni: int = 1
    tunnel: Tunnel = Tunnel.VXLAN
    outer_src: str = NODE1
    outer_dst: str = NODE2
    outer_sport: int | None = None  # None: a hash of the inner flow, as Linux makes it
    outer_dport: int = 8472
    outer_src_mac: int = 0x0200AC1A32C8
    outer_dst_mac: int = 0x0200AC1A32C9
    inner_src_mac: int = 0x0E0000000001
    inner_dst_mac: int = 0x0E0000000002
    mss: int = 0
    interface: int = 0
    if_index: int = 0
    packet_type: int = 255
    tunnel_depth: int = 1
    encryption: int = 0

    def reverse(self, **changes: Any) -> "Flow":
        """The other direction of the same conversation; echo requests become replies."""
        ports = (self.dport, self.sport)
        if self.protocol in (ICMP, ICMP6):
            ports = ({0x0800: 0, 0x8000: 0x8100}.get(self.sport, self.sport), self.dport)
        swapped = replace(
            self,
            src=self.dst,
            dst=self.src,
            sport=ports[0],
            dport=ports[1],
            outer_src=self.outer_dst,
            outer_dst=self.outer_src,
            outer_src_mac=self.outer_dst_mac,
            outer_dst_mac=self.outer_src_mac,
            inner_src_mac=self.inner_dst_mac,
            inner_dst_mac=self.inner_src_mac,
        )
        return replace(swapped, **changes)

    @property
    def family(self) -> int:
        return ipaddress.ip_address(self.src).version

    @property
    def outer_family(self) -> int:
        return ipaddress.ip_address(self.outer_src).version if self.tunnel else 0

    @property
    def identity(self) -> int:
        key = (self.family, self.src, self.dst, self.protocol, self.sport, self.dport)
        return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big")

    @property
    def header_bytes(self) -> int:
        """Inner IP and L4 header."""
        return (20 if self.family == 4 else 40) + _L4_HEADER_BYTES.get(self.protocol, 0)

    @property
    def overhead_bytes(self) -> int:
        """Outer IP, UDP, tunnel header and inner Ethernet: 50 over IPv4, 70 over IPv6."""
        return {4: 50, 6: 70, 0: 0}[self.outer_family]


def ping(**changes: Any) -> Flow:
    """An echo request flow."""
    return Flow(**{"protocol": ICMP, "sport": 0x0800, "dport": 77, **changes})


def checks(
    outer_ip: Checksum = Checksum.OK,
    outer_l4: Checksum = Checksum.ABSENT,
    inner_ip: Checksum = Checksum.OK,
    inner_l4: Checksum = Checksum.OK,
) -> int:
    """The four checksum states as `Index.checks` packs them."""
    return (
        outer_ip << OUTER_IP_SHIFT
        | outer_l4 << OUTER_L4_SHIFT
        | inner_ip << INNER_IP_SHIFT
        | inner_l4 << INNER_L4_SHIFT
    )


GOOD_CHECKS = checks()


@dataclass(frozen=True)
class Traffic:
    """Packets of one flow. Every ``ArrayLike`` is one value or one a packet.

    `time_s` overrides `start_s` and `every_s`; `length` (inner IP total length) overrides `payload`.
    `lost` packets vanish behind point `hop` (counted in their direction); `unknown` ones are not seen
    there either, but for `unknown_reason`. `unsent` packets are seen by the receiver only. `copies` counts
    arrivals. `pieces` says how packets are fragmented on the way (see `simulated_tables`). `seq` defaults
    to the bytes sent before (TCP) or the packet's number.
    """

    flow: Flow = field(default_factory=Flow)
    packets: int = 100
    start_s: float = 0.0
    every_s: float = 0.01
    time_s: ArrayLike | None = None
    payload: ArrayLike = 100
    length: ArrayLike | None = None
    segment_bytes: ArrayLike = 0
    lost: ArrayLike = False
    unknown: ArrayLike = False
    unknown_reason: Reason = Reason.WINDOW
    unsent: bool = False
    unsent_reason: Reason = Reason.NONE
    ambiguous: ArrayLike = False
    hop: int = 0
    delay_s: ArrayLike = 0.0003
    copies: ArrayLike = 1
    corrupted: ArrayLike = False
    pieces: ArrayLike = WHOLE
    seq: ArrayLike | None = None
    ack: ArrayLike = 0
    tcp_flags: ArrayLike = 0x018
    window: ArrayLike = 0xFFFF
    ip_id: ArrayLike | None = None
    digest: ArrayLike | None = None  # of the payload; None: all packets differ
    anomalies: ArrayLike = 0
    received_anomalies: ArrayLike | None = None  # None: as sent
    sent_checks: ArrayLike = GOOD_CHECKS
    received_checks: ArrayLike = GOOD_CHECKS
    received_flow: Flow | None = None  # None: as sent; else what it looks like behind point `hop`
    raw: Sequence[bytes] | None = None
    received_raw: Sequence[bytes] | None = None  # behind point `hop`; None: as sent

    @property
    def size(self) -> int:
        """Frames at the sender."""
        return self.packets if self.time_s is None else len(np.atleast_1d(np.asarray(self.time_s)))


def comparison(
    forward: Sequence[Traffic] = (),
    backward: Sequence[Traffic] = (),
    *,
    points: Sequence[str] = ("node1", "node2"),
    bare: Sequence[str] = (),
    seen_only: Mapping[str, Sequence[Traffic]] | None = None,
    clock_offset_ns: Sequence[int] | None = None,
    relative_clock: bool = False,
    cluster: Cluster | None = None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    directions: Mapping[str, Mapping[str, Any]] | None = None,
    addresses: Mapping[str, tuple[str, ...]] | None = None,
    ports: tuple[int, ...] = (),
) -> Comparison:
    """Play traffic along a path and tell the outcome, as pairing would.

    Parameters
    ----------
    bare : names
        Points that see packets without the tunnel.
    seen_only : mapping of name to traffic
        Frames of one capture that belong to no direction.
    clock_offset_ns : ints
        What each point's clock is ahead of the first's.
    facts, directions : mappings of name or label to field values
        What to say otherwise of a capture (`CaptureFacts`) or a direction (`Direction`).
    """
    offsets = list(clock_offset_ns or [0] * len(points))
    runs = [_Run(t, list(range(len(points)))) for t in forward]
    back = [_Run(t, list(range(len(points)))[::-1]) for t in backward]
    alone = [_Run(t, [points.index(n)]) for n, ts in (seen_only or {}).items() for t in ts]
    built = [
        _point(name, i, [*runs, *back, *alone], offsets[i], name in bare, (addresses or {}).get(name))
        for i, name in enumerate(points)
    ]
    changes = directions or {}
    hops = tuple(
        Hop(
            _direction(built[i], built[i + 1], runs, changes),
            _direction(built[i + 1], built[i], back, changes),
            _clock(built[i], built[i + 1], offsets[i + 1] - offsets[i], relative_clock),
        )
        for i in range(len(points) - 1)
    )
    return Comparison(
        captures=tuple(_facts(p, (facts or {}).get(p.name, {}), [*runs, *back, *alone]) for p in built),
        points=tuple(built),
        hops=hops,
        cluster=cluster or Cluster(),
        ports=ports,
    )


class _Run:
    """One traffic on its way: wire packets, and the row of each at every point."""

    def __init__(self, traffic: Traffic, path: list[int]) -> None:
        self.traffic, self.path = traffic, path
        n = traffic.size
        seconds = traffic.start_s + traffic.every_s * np.arange(n)
        if traffic.time_s is not None:
            seconds = np.atleast_1d(np.asarray(traffic.time_s, float))
        self.frame_time_ns = START_NS + np.round(seconds * 1e9).astype(np.int64)
        flow = traffic.flow
        payload = np.broadcast_to(np.asarray(traffic.payload, np.int64), n)
        if traffic.length is not None:
            payload = np.broadcast_to(np.asarray(traffic.length, np.int64), n) - flow.header_bytes
        self.frame_payload = payload
        self.frame_segment_bytes = np.broadcast_to(np.asarray(traffic.segment_bytes, np.int64), n)
        size = self.frame_segment_bytes
        pieces = np.where(size > 0, -(-payload // np.maximum(size, 1)), 1)
        self.frame_segment_bytes = np.where(pieces > 1, size, 0)
        self.frame = np.repeat(np.arange(n), pieces)
        self.segment = np.arange(len(self.frame)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        rest = payload[self.frame] - self.segment * size[self.frame]
        self.payload = np.where(pieces[self.frame] > 1, np.minimum(rest, size[self.frame]), rest)
        self.pieces = self.each(traffic.pieces, int)
        self.lost = self.each(traffic.lost, bool) | (self.pieces == REST_ONLY)
        self.unknown = self.each(traffic.unknown, bool)
        self.copies = np.where(self.lost | self.unknown, 0, self.each(traffic.copies, int))
        self.delay_ns = np.round(self.each(traffic.delay_s, float) * 1e9).astype(np.int64)
        self.rows: dict[int, NDArray[np.int64]] = {}

    def each(self, value: ArrayLike, dtype: type) -> NDArray[Any]:
        """One value a wire packet, from one, one a frame, or one a wire packet."""
        given = np.asarray(value, dtype)
        if given.ndim and len(given) == self.traffic.size != len(self.frame):
            given = given[self.frame]
        return np.broadcast_to(given, len(self.frame))

    def seen(self, step: int) -> NDArray[np.int64]:
        """Wire packets seen at the `step`-th point of the path, once for each time."""
        if step == 0:
            first = np.flatnonzero(self.segment == 0)
            return np.empty(0, np.int64) if self.traffic.unsent else first
        arrives = ~(self.lost | self.unknown) | (step <= self.traffic.hop)
        copies = np.where(arrives & (step == self.traffic.hop + 1), self.copies, arrives.astype(int))
        return np.repeat(np.arange(len(self.frame)), copies)

    def columns(self, step: int, offset_ns: int) -> dict[str, NDArray[Any]]:
        """Index columns of the frames that the `step`-th point sees, in the order sent."""
        traffic, flow = self.traffic, self.traffic.flow
        which = self.seen(step)
        frame = self.frame[which]
        payload = self.frame_payload[frame] if step == 0 else self.payload[which]
        number = np.arange(len(self.frame))
        seq = np.cumsum(self.payload) - self.payload if flow.protocol == TCP else number
        seq = seq if traffic.seq is None else self.each(traffic.seq, np.int64)
        ip_id = 1 + number if traffic.ip_id is None else self.each(traffic.ip_id, np.int64)
        odd, states = traffic.anomalies, traffic.sent_checks
        if step:
            odd = odd if traffic.received_anomalies is None else traffic.received_anomalies
            states = traffic.received_checks
        return {
            "time_ns": self.frame_time_ns[frame] + step * self.delay_ns[which] + offset_ns,
            "seq": seq[which],
            "ack": self.each(traffic.ack, np.int64)[which],
            "length": payload + flow.header_bytes,
            "payload_length": payload,
            "outer_length": payload + flow.header_bytes + flow.overhead_bytes if flow.tunnel else payload * 0,
            "digest": (number if traffic.digest is None else self.each(traffic.digest, np.int64))[which],
            "digest_length": payload,
            "anomalies": self.each(odd, np.int64)[which] | (_MARKS[self.pieces[which]] if step else 0),
            "ip_id": ip_id[which],
            "outer_ip_id": np.arange(len(self.frame))[which],
            "window": self.each(traffic.window, np.int64)[which] * (flow.protocol == TCP),
            "tcp_flags": self.each(traffic.tcp_flags, np.int64)[which] * (flow.protocol == TCP),
            "checks": self.each(states, np.int64)[which],
            "segment_bytes": self.frame_segment_bytes[frame] if step == 0 else frame * 0,
        }


def _point(
    name: str, at: int, runs: list[_Run], offset_ns: int, bare: bool, addresses: tuple[str, ...] | None
) -> Point:
    flows: dict[Flow, int] = {}
    parts, owners = [], []
    for run in runs:
        if at not in run.path:
            continue
        step = run.path.index(at)
        flow = run.traffic.received_flow if step > run.traffic.hop else None
        flow = flow or run.traffic.flow
        flow = replace(flow, tunnel=Tunnel.NONE) if bare else flow
        columns = run.columns(step, offset_ns)
        if bare:
            columns["outer_length"] = columns["outer_length"] * 0
        columns["flow"] = np.full(len(columns["time_ns"]), flows.setdefault(flow, len(flows)))
        parts.append(columns)
        owners.append((run, step))
    names = list(parts[0]) if parts else [*Index.__slots__, "segment_bytes"]
    whole = {n: np.concatenate([p[n] for p in parts] or [np.empty(0, np.int64)]) for n in names}
    order = np.argsort(whole["time_ns"], kind="stable") if parts else np.empty(0, np.int64)
    place_of = np.empty(len(order), np.int64)
    place_of[order] = np.arange(len(order))
    taken = 0
    for part, (run, step) in zip(parts, owners, strict=True):
        run.rows[at] = _first_rows(run, step, place_of[taken : taken + len(part["time_ns"])])
        taken += len(part["time_ns"])
    index = index_of({n: v[order] for n, v in whole.items()})
    segment_bytes = whole["segment_bytes"][order].astype(np.uint16)
    seen = addresses if addresses is not None else _own_addresses(flows, runs, at, bare)
    pieces = [p for run, step in owners if step for p in _pieces_of(run, at)]
    decoded = Decoded(index, flows_of(list(flows)), fragments_of(pieces))
    return Point(name, at, not bare, decoded, None, segment_bytes, seen, "its own packets")


def _pieces_of(run: _Run, at: int) -> Iterator[tuple[Flow, int, int, int]]:
    for packet in np.flatnonzero(run.pieces):
        row = int(run.rows[at][packet])
        if row != NO_ROW or run.pieces[packet] == REST_ONLY:
            yield run.traffic.flow, int(run.pieces[packet]), max(row, 0), int(packet)


def _first_rows(run: _Run, step: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row of each wire packet of a run at one point, NO_ROW where it was not seen."""
    result = np.full(len(run.frame), NO_ROW, np.int64)
    which = run.seen(step)
    if step == 0:
        by_frame = np.full(run.traffic.size, NO_ROW, np.int64)
        by_frame[run.frame[which]] = rows
        return by_frame[run.frame]
    result[which[::-1]] = rows[::-1]  # the first copy stays
    return result


def _own_addresses(flows: dict[Flow, int], runs: list[_Run], at: int, bare: bool) -> tuple[str, ...]:
    sending = [r.traffic.flow for r in runs if r.path[0] == at]
    receiving = [r.traffic.flow for r in runs if r.path[-1] == at != r.path[0]]
    own = {f.src if bare else f.outer_src for f in sending}
    return tuple(sorted(own | {f.dst if bare else f.outer_dst for f in receiving}))


def _direction(
    sender: Point, receiver: Point, runs: list[_Run], changes: Mapping[str, Mapping[str, Any]]
) -> Direction:
    gathered: dict[str, list[NDArray[Any]]] = {n: [np.empty(0, np.int64)] for n in _PER_PACKET}
    unsent: dict[str, list[NDArray[Any]]] = {n: [np.empty(0, np.int64)] for n in ("row", "segment", "reason")}
    for run in runs:
        step = run.path.index(sender.capture)
        sent, received = run.rows[sender.capture], run.rows[receiver.capture]
        only = received[(sent == NO_ROW) & (received != NO_ROW)]
        unsent["row"].append(only)
        unsent["segment"].append(only * 0)
        unsent["reason"].append(only * 0 + run.traffic.unsent_reason)
        for name, values in _fates(run, step, sent, received).items():
            gathered[name].append(values[sent != NO_ROW])
    columns = {n: np.concatenate(v) for n, v in gathered.items()}
    rows = columns["sent_row"].astype(np.int64)
    order = np.lexsort((columns["segment"], rows, sender.index.time_ns[rows]))
    label = f"{sender.name}>{receiver.name}"
    times = sender.index.time_ns
    direction = Direction(
        label=label,
        sender=sender,
        receiver=receiver,
        **{n: columns[n][order].astype(d) for n, d in _PER_PACKET.items()},
        unsent_row=np.concatenate(unsent["row"]).astype(np.int32),
        unsent_segment=np.concatenate(unsent["segment"]).astype(np.uint16),
        unsent_reason=np.concatenate(unsent["reason"]).astype(np.uint8),
        window_ns=(int(times.min()), int(times.max())) if len(times) else None,
        window_by="both captures cover the whole time",
    )
    return replace(direction, **changes.get(label, {}))


_PER_PACKET: dict[str, Any] = {
    "sent_row": np.int32,
    "received_row": np.int32,
    "segment": np.uint16,
    "received_segment": np.uint16,
    "outcome": np.uint8,
    "reason": np.uint8,
    "copies": np.uint8,
    "corrupted": np.bool_,
    "delay_ns": np.int64,
}


def _fates(run: _Run, step: int, sent: NDArray[Any], received: NDArray[Any]) -> dict[str, NDArray[Any]]:
    arrived = received != NO_ROW
    unknown = run.unknown & ~arrived
    reason = np.where(unknown, run.traffic.unknown_reason, Reason.NONE)
    reason = np.where(run.each(run.traffic.ambiguous, bool) & arrived, Reason.AMBIGUOUS, reason)
    return {
        "sent_row": sent,
        "received_row": received,
        "segment": run.segment if step == 0 else run.segment * 0,
        "received_segment": run.segment * 0,
        "outcome": np.where(
            arrived & (run.pieces != FIRST_ONLY),
            Outcome.DELIVERED,
            np.where(unknown, Outcome.UNKNOWN, Outcome.LOST),
        ),
        "reason": reason,
        "copies": np.where(arrived, run.copies if step == run.traffic.hop else 1, 0),
        "corrupted": run.each(run.traffic.corrupted, bool) & arrived & (step == run.traffic.hop),
        "delay_ns": np.where(arrived, run.delay_ns, NO_DELAY),
    }


def _clock(sender: Point, receiver: Point, offset_ns: int, relative: bool) -> Clock:
    start = int(sender.index.time_ns.min()) if len(sender.index) else START_NS
    return Clock(
        from_=sender.name,
        to=receiver.name,
        offset_ns=None if relative else offset_ns,
        drift_ppm=None if relative else 0.0,
        uncertainty_ns=None if relative else 50_000,
        method="simulated",
        pieces=(ClockPiece(start, offset_ns, 0.0),),
        relative=relative,
        pairs_forward=1,
        pairs_backward=0 if relative else 1,
    )


def _facts(point: Point, changes: Mapping[str, Any], runs: list[_Run]) -> CaptureFacts:
    index = point.index
    raw = {}
    for run in runs:
        if run.traffic.raw is not None and point.capture in run.rows:
            behind = run.path.index(point.capture) > run.traffic.hop
            frames = run.traffic.received_raw if behind else None
            # What was sent is given by the frame, what was received by the wire packet.
            rows = run.rows[point.capture] if frames else run.rows[point.capture][run.segment == 0]
            for row, data in zip(rows, frames or run.traffic.raw, strict=True):
                raw[int(row)] = data
    facts = CaptureFacts(
        name=point.name,
        source=RawFrames(point.name, raw, index.time_ns),
        files=(File(f"{point.name}.pcap", 0, "pcap", None),),
        interfaces=(Interface(0, 1, 262144),),
        statistics=(),
        damages=(),
        packets=len(index),
        tunnel_packets=int(np.count_nonzero(point.flows.tunnel[index.flow])) if len(index) else 0,
        first_ns=int(index.time_ns.min()) if len(index) else None,
        last_ns=int(index.time_ns.max()) if len(index) else None,
        snaplen_bytes=None,
        dropped_by_kernel=None,
    )
    return replace(facts, **changes)
