"""A small world with known truth: wire packets between two nodes, and what two captures make of them.

`World` draws packets, loses, repeats, delays and reorders them, merges neighbours into super-packets at
either end and moves the clocks; `captures()` gives the two decoded captures as the wire layer would,
each frame knowing which packets it holds. Nothing here knows how packets are matched.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Damage, File, Frames, Interface, InterfaceStatistics
from vxlanalyze.wire.model import UNKNOWN_LENGTH, Anomaly, Checksum, Decoded, Flows, Index, Tunnel

TCP, UDP, ICMP = 6, 17, 1
HEADERS = {TCP: 52, UDP: 28, ICMP: 28}
OUTER_BYTES = 50
SNAP_BYTES = 96
SUPER_PACKET_BYTES = 65000  # an IP packet's length has 16 bits
MOST_MERGED = 9
HELD_NS = 2_000_000  # how long a kernel waits for more to merge


@dataclass
class StubSource:
    """What pairing asks of a capture's source."""

    name: str
    files: tuple[File, ...] = ()
    interfaces: list[Interface] = field(default_factory=lambda: [Interface(0, 1, 262144)])
    statistics: list[InterfaceStatistics] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)

    def fetch(self, places: NDArray[np.int64]) -> Frames:
        """Give frames of which only the length is asked: that of a cut one."""
        lengths, nothing = np.full(len(places), SNAP_BYTES, np.uint32), np.zeros(len(places), np.int64)
        return Frames(
            np.empty(0, np.uint8),
            nothing,
            lengths,
            lengths,
            nothing,
            np.zeros(len(places), np.uint16),
            places,
            1,
        )


@dataclass
class World:
    """Figures of the traffic and of what is done to it; times in nanoseconds."""

    seed: int = 1
    packets: int = 600
    flows: int = 6
    backward: float = 0.45  # share of the packets
    loss: float = 0.03
    duplicates: float = 0.0
    damage: float = 0.0
    delay_ns: int = 300_000
    jitter_ns: int = 50_000
    gap_ns: int = 400_000
    offset_ns: int = 7_000_000_000
    drift_ppm: float = 0.0
    step_ns: int = 0  # the second clock jumps in the middle
    ip_id: str = "counting"  # or "zero", "random", "fixed" (one for a whole super-packet)
    outer_ip_id: str = "counting"  # or "zero"
    protocols: tuple[int, ...] = (TCP, UDP, ICMP)
    mss: int = 1398
    mss_later: int = 0  # segments of the second half, once the path's MTU is known
    handshake: bool = True
    merge_sent: float = 0.0  # chance that a full TCP segment is captured with the one before it
    merge_received: float = 0.0
    udp_gso: bool = False
    retransmit: bool = False  # lost TCP data is sent again after 200 ms
    collapse: bool = False  # ... two small segments in one
    cut_headers: bool = False  # the snap length cuts TCP headers

    def draw(self) -> "Wire":
        """Draw the packets and their fates."""
        rng = np.random.default_rng(self.seed)
        n = self.packets
        flow = rng.integers(0, self.flows, n)
        protocol = np.array([self.protocols[f % len(self.protocols)] for f in range(self.flows)])[flow]
        backward = rng.random(n) < self.backward
        full = rng.random(n) < 0.7
        mss = np.where(np.arange(n) < n // 2, self.mss, self.mss_later or self.mss)
        payload = np.where(protocol == TCP, np.where(full, mss, rng.integers(0, mss, n)), 64)
        payload = np.where((protocol == UDP) & full, 1000, payload)
        sent_ns = 1_700_000_000_000_000_000 + np.arange(n) * self.gap_ns
        lost = rng.random(n) < self.loss
        way = flow + self.flows * backward
        seq = np.zeros(n, np.int64)
        for w in np.unique(way):
            mine = np.flatnonzero(way == w)
            if protocol[mine[0]] == TCP:
                seq[mine] = 1000 + np.cumsum(payload[mine]) - payload[mine]
            else:
                # Replies have numbers of their own: one that answers a lost request would prove it arrived.
                number = 30000 * (w >= self.flows) + np.arange(len(mine))
                seq[mine] = number if protocol[mine[0]] == ICMP else 0
        if self.retransmit:
            again = np.flatnonzero(lost & (protocol == TCP) & (payload > 0))
            again, bytes_again = self._sent_again(again, way, seq, payload)
            every = np.r_[np.arange(n), again]
            flow, protocol, backward, way, seq = (c[every] for c in (flow, protocol, backward, way, seq))
            mss, payload = mss[every], np.r_[payload, bytes_again]
            lost = np.r_[lost, np.zeros(len(again), bool)]
            sent_ns = np.r_[sent_ns, sent_ns[again] + 200_000_000 + np.arange(len(again)) * 1000]
        total = len(flow)
        delay = self.delay_ns + rng.integers(0, self.jitter_ns + 1, total)
        wire = Wire(
            self, rng, flow, protocol, backward, way, payload, seq, mss, sent_ns, delay, lost,
            rng.random(total) < self.duplicates, rng.random(total) < self.damage,
            np.zeros(total, np.int64), np.zeros(total, np.int64),
        )  # fmt: skip
        wire.number()
        return wire

    def _sent_again(
        self,
        again: NDArray[np.int64],
        way: NDArray[np.int64],
        seq: NDArray[np.int64],
        payload: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Packets to send again and their bytes: a small one takes in the next where both fit one segment."""
        kept: list[int] = []
        size: list[int] = []
        for packet in again[np.lexsort((seq[again], way[again]))].tolist():
            follows = kept and way[kept[-1]] == way[packet] and seq[kept[-1]] + size[-1] == seq[packet]
            if self.collapse and follows and size[-1] + payload[packet] <= (self.mss_later or self.mss):
                size[-1] += int(payload[packet])
            else:
                kept.append(packet)
                size.append(int(payload[packet]))
        order = np.argsort(kept, kind="stable")
        return np.array(kept, np.int64)[order], np.array(size, np.int64)[order]


@dataclass
class Wire:
    """The packets drawn, shape ``(p,)`` each."""

    world: World
    rng: np.random.Generator
    flow: NDArray[np.int64]
    protocol: NDArray[np.int64]
    backward: NDArray[np.bool_]
    way: NDArray[np.int64]
    payload: NDArray[np.int64]
    seq: NDArray[np.int64]
    mss: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    delay_ns: NDArray[np.int64]
    lost: NDArray[np.bool_]
    duplicated: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    ip_id: NDArray[np.int64]
    outer_ip_id: NDArray[np.int64]
    sent_as: list[tuple[list[list[int]], list[int]]] = field(default_factory=list)

    def number(self) -> None:
        """Let both senders make super-packets, and number the packets in the order of these."""
        next_inner = self.rng.integers(0, 60000, 2 * self.world.flows)
        for side in (False, True):
            mine = np.flatnonzero(self.backward == side)
            mine = mine[np.argsort(self.sent_ns[mine], kind="stable")]
            groups, times = self._merge(mine, self.sent_ns[mine], self.world.merge_sent)
            self.sent_as.append((groups, times))
            next_outer = int(self.rng.integers(0, 60000))
            for group in groups:
                way, places = self.way[group[0]], np.arange(len(group))
                kind = self.world.ip_id
                first = {"zero": 0, "random": int(self.rng.integers(0, 65536))}.get(
                    kind, int(next_inner[way])
                )
                # Linux counts on within a super-packet, whatever its own ID is, unless told to keep it.
                self.ip_id[group] = first + places * (kind != "fixed")
                next_inner[way] += 1 if kind == "fixed" else len(group)
                if self.world.outer_ip_id == "counting":
                    self.outer_ip_id[group] = next_outer + places
                next_outer += len(group)

    def second_clock(self, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Read the second node's clock at true (the first node's) times."""
        w, start, middle = self.world, self.sent_ns.min(), (self.sent_ns.min() + self.sent_ns.max()) // 2
        drift = ((time_ns - start) * w.drift_ppm * 1e-6).astype(np.int64)
        return time_ns + w.offset_ns + drift + np.where(time_ns > middle, w.step_ns, 0)

    def captures(self) -> tuple[tuple["Seen", "Seen"], tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Both captures, and for each the packets of each frame (rows of -1 where there are fewer)."""
        arrive_ns = self.sent_ns + self.delay_ns
        every = np.arange(len(self.flow))
        arrived = every[~self.lost]
        again = arrived[self.duplicated[arrived]]
        at = []
        for second in (False, True):
            theirs, twice = arrived[self.backward[arrived] != second], again[self.backward[again] != second]
            packets = np.r_[theirs, twice]
            times = np.r_[arrive_ns[theirs], arrive_ns[twice] + 20_000]
            order = np.argsort(times, kind="stable")
            received, received_ns = self._merge(packets[order], times[order], self.world.merge_received)
            sent, sent_ns = self.sent_as[second]
            every_ns = np.r_[np.array(sent_ns, np.int64), np.array(received_ns, np.int64)]
            order = np.argsort(every_ns, kind="stable")
            groups = [(sent + received)[i] for i in order.tolist()]
            at.append(Seen.of(self, groups, every_ns[order], order < len(sent), second))
        return (at[0], at[1]), (at[0].packets_of, at[1].packets_of)

    def _merge(
        self, packets: NDArray[np.int64], times: NDArray[np.int64], chance: float
    ) -> tuple[list[list[int]], list[int]]:
        """Frames of some packets in the order given: the packets of each, and the time of its first."""
        groups: list[list[int]] = []
        first_ns: list[int] = []
        open_: dict[int, int] = {}
        for packet, time in zip(packets.tolist(), times.tolist(), strict=True):
            at = open_.get(int(self.way[packet]))
            fits = at is not None and len(groups[at]) < MOST_MERGED and time - first_ns[at] < HELD_NS
            if fits and self._joins(groups[at], packet) and self.rng.random() < chance:
                groups[at].append(packet)
            else:
                open_[int(self.way[packet])] = len(groups)
                groups.append([packet])
                first_ns.append(time)
        return groups, first_ns

    def _joins(self, group: list[int], packet: int) -> bool:
        last = group[-1]
        if int(self.payload[group].sum() + self.payload[packet]) > SUPER_PACKET_BYTES:
            return False
        # Where IP IDs count, the packet merged must be the next one; before they are given, all are 0.
        if self.ip_id.any() and self.world.ip_id == "counting" and self.ip_id[packet] != self.ip_id[last] + 1:
            return False
        if self.protocol[packet] == UDP:
            return bool(
                self.world.udp_gso
                and self.payload[last] == 1000
                and self.payload[packet] <= 1000
                and packet != last
            )
        size = self.payload[group[0]]
        full = self.protocol[packet] == TCP and self.payload[last] == size == self.mss[group[0]]
        full = full and 0 < self.payload[packet] <= size
        return bool(full and self.seq[packet] == self.seq[last] + self.payload[last])


@dataclass
class Seen:
    """One capture."""

    decoded: Decoded
    packets_of: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        wire: Wire,
        groups: list[list[int]],
        time: NDArray[np.int64],
        out: NDArray[np.bool_],
        second: bool,
    ) -> "Seen":
        """Make the rows of the frames given by the packets they hold; `out` marks those sent here."""
        w = wire.world
        first = np.array([g[0] for g in groups], dtype=np.int64)
        time = wire.second_clock(time) if second else time
        payload = np.array([wire.payload[g].sum() for g in groups], dtype=np.int64)
        inner = payload + np.array([HEADERS[int(p)] for p in wire.protocol[first]], dtype=np.int64)
        n = len(groups)
        packets_of = np.full((n, MOST_MERGED), -1, dtype=np.int64)
        for i, g in enumerate(groups):
            packets_of[i, : len(g)] = g
        digest = (first * 2654435761 % 2**32).astype(np.uint32)
        tcp = wire.protocol[first] == TCP
        # A retransmission carries the same bytes as the original.
        digest = np.where(tcp, (wire.way[first] * 7919 + wire.seq[first] * 104729) % 2**32, digest).astype(
            np.uint32
        )
        damaged = wire.damaged[first] & ~out
        digest = np.where(damaged, digest ^ 1, digest).astype(np.uint32)
        merged = np.array([len(g) > 1 for g in groups], dtype=np.bool_)
        digest = np.where(merged, 0, digest).astype(np.uint32)
        cut = w.cut_headers
        index = Index(
            time_ns=time,
            place=np.arange(n, dtype=np.int64),
            flow=wire.way[first].astype(np.int32),
            seq=(wire.seq[first] % 2**32).astype(np.uint32),
            ack=np.zeros(n, np.uint32),
            length=inner.astype(np.uint32),
            payload_length=np.where(tcp & cut, UNKNOWN_LENGTH, payload).astype(np.uint32),
            outer_length=(inner + OUTER_BYTES).astype(np.uint32),
            digest=np.zeros(n, np.uint32) if cut else digest,
            digest_length=(np.zeros(n) if cut else payload).astype(np.uint32),
            anomalies=np.full(n, Anomaly.CUT | Anomaly.HEADER_CUT if cut else 0, np.uint32),
            window=np.zeros(n, np.uint32),
            ip_id=(wire.ip_id[first] % 65536).astype(np.uint16),
            outer_ip_id=(wire.outer_ip_id[first] % 65536).astype(np.uint16),
            tcp_flags=np.where(tcp, 0x10, 0).astype(np.uint16),
            checks=np.full(n, Checksum.OK << 9, np.uint16),
        )
        return cls(Decoded(index, _flows(w)), packets_of)


def _flows(w: World) -> Flows:
    """The flows of both ways: row `f` forward, row ``w.flows + f`` back."""
    count = 2 * w.flows
    f = np.arange(count) % w.flows
    back = np.arange(count) >= w.flows
    protocol = np.array([w.protocols[i % len(w.protocols)] for i in f], dtype=np.uint8)

    def address(*parts: object) -> NDArray[np.uint8]:
        rows = np.zeros((count, 16), np.uint8)
        for at, part in enumerate(parts):
            rows[:, at] = part
        return rows

    near, far = address(192, 0, 2, 1), address(192, 0, 2, 2)
    pod, peer = address(10, 1, 1, f + 2), address(10, 1, 2, f + 2)
    port, server = 40000 + f, np.full(count, 8080)
    zero8, zero16, zero64 = (np.zeros(count, t) for t in (np.uint8, np.uint16, np.uint64))
    icmp = protocol == ICMP
    sport = np.where(icmp, np.where(back, 0, 8 << 8), np.where(back, server, port))
    dport = np.where(icmp, 77, np.where(back, port, server))
    sides = back[:, None]
    return Flows(
        interface=zero16,
        if_index=np.zeros(count, np.uint32),
        packet_type=np.full(count, 255, np.uint8),
        tunnel=np.full(count, Tunnel.VXLAN, np.uint8),
        tunnel_depth=np.ones(count, np.uint8),
        encryption=zero8,
        vni=np.ones(count, np.uint32),
        outer_family=np.full(count, 4, np.uint8),
        outer_src=np.where(sides, far, near),
        outer_dst=np.where(sides, near, far),
        outer_protocol=np.full(count, UDP, np.uint8),
        outer_sport=(50000 + f).astype(np.uint16),
        outer_dport=np.full(count, 8472, np.uint16),
        outer_src_mac=zero64,
        outer_dst_mac=zero64,
        inner_src_mac=zero64,
        inner_dst_mac=zero64,
        family=np.full(count, 4, np.uint8),
        src=np.where(sides, peer, pod),
        dst=np.where(sides, pod, peer),
        protocol=protocol,
        sport=sport.astype(np.uint16),
        dport=dport.astype(np.uint16),
        mss=np.where((protocol == TCP) & w.handshake, w.mss + 12, 0).astype(np.uint16),
        identity=(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)),
    )
