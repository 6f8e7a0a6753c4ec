"""A small world with known truth: wire packets between two nodes, and what two captures make of them.

`World` draws packets, loses, repeats, delays and reorders them, merges neighbours into super-packets at
either end and moves the clocks; `captures()` gives the two decoded captures as the wire layer would,
each frame knowing which packets it holds. Nothing here knows how packets are matched.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Damage, File, Interface, InterfaceStatistics
from vxlanalyze.wire.model import UNKNOWN_LENGTH, Anomaly, Checksum, Decoded, Flows, Index, Tunnel

TCP, UDP, ICMP = 6, 17, 1
HEADERS = {TCP: 52, UDP: 28, ICMP: 28}
OUTER_BYTES = 50
HELD_NS = 2_000_000  # how long a kernel waits for more to merge


@dataclass
class StubSource:
    """What pairing asks of a capture's source."""

    name: str
    files: tuple[File, ...] = ()
    interfaces: list[Interface] = field(default_factory=lambda: [Interface(0, 1, 262144)])
    statistics: list[InterfaceStatistics] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)


@dataclass
class World:
    """Figures of the traffic and of what is done to it; times in nanoseconds."""

    seed: int = 1
    packets: int = 600
    flows: int = 6
    loss: float = 0.03
    duplicates: float = 0.0
    damage: float = 0.0
    delay_ns: int = 300_000
    jitter_ns: int = 50_000
    gap_ns: int = 400_000
    offset_ns: int = 7_000_000_000
    drift_ppm: float = 0.0
    step_ns: int = 0  # the second clock jumps in the middle
    ip_id: str = "counting"  # or "zero", "random"
    outer_ip_id: str = "counting"  # or "zero"
    protocols: tuple[int, ...] = (TCP, UDP, ICMP)
    mss: int = 1398
    handshake: bool = True
    merge_sent: float = 0.0  # chance that a full TCP segment is captured with the one before it
    merge_received: float = 0.0
    udp_gso: bool = False
    retransmit: bool = False  # lost TCP data is sent again after 200 ms
    cut_headers: bool = False  # the snap length cuts TCP headers

    def draw(self) -> "Wire":
        """Draw the packets and their fates."""
        rng = np.random.default_rng(self.seed)
        n = self.packets
        flow = rng.integers(0, self.flows, n)
        protocol = np.array([self.protocols[f % len(self.protocols)] for f in range(self.flows)])[flow]
        backward = rng.random(n) < 0.45
        full = rng.random(n) < 0.7
        payload = np.where(protocol == TCP, np.where(full, self.mss, rng.integers(0, self.mss, n)), 64)
        payload = np.where((protocol == UDP) & full, 1000, payload)
        sent_ns = 1_700_000_000_000_000_000 + np.arange(n) * self.gap_ns
        lost = rng.random(n) < self.loss
        way = flow + self.flows * backward
        if self.retransmit:
            again = np.flatnonzero(lost & (protocol == TCP) & (payload > 0))
            flow, protocol = np.r_[flow, flow[again]], np.r_[protocol, protocol[again]]
            backward, payload = np.r_[backward, backward[again]], np.r_[payload, payload[again]]
            way, lost = np.r_[way, way[again]], np.r_[lost, np.zeros(len(again), bool)]
            sent_ns = np.r_[sent_ns, sent_ns[again] + 200_000_000 + np.arange(len(again)) * 1000]
            original = np.r_[np.arange(n), again]
        else:
            original = np.arange(n)
        total = len(flow)
        seq = np.zeros(total, np.int64)
        for w in np.unique(way):
            mine = np.flatnonzero(way[:n] == w)
            if protocol[mine[0]] == TCP:
                seq[mine] = 1000 + np.cumsum(payload[mine]) - payload[mine]
            else:
                # Replies have numbers of their own: one that answers a lost request would prove it arrived.
                number = 30000 * (w >= self.flows) + np.arange(len(mine))
                seq[mine] = number if protocol[mine[0]] == ICMP else 0
        seq = seq[original]
        order = np.argsort(sent_ns, kind="stable")
        ip_id = np.zeros(total, np.int64)
        outer = np.zeros(total, np.int64)
        for w in np.unique(way):
            mine = order[way[order] == w]
            if self.ip_id == "counting":
                ip_id[mine] = rng.integers(0, 60000) + np.arange(len(mine))
            elif self.ip_id == "random":
                ip_id[mine] = rng.integers(0, 65536, len(mine))
        for side in (False, True):
            mine = order[backward[order] == side]
            if self.outer_ip_id == "counting":
                outer[mine] = rng.integers(0, 60000) + np.arange(len(mine))
        delay = self.delay_ns + rng.integers(0, self.jitter_ns + 1, total)
        return Wire(
            self, rng, flow, protocol, backward, way, payload, seq, ip_id, outer, sent_ns, delay, lost,
            rng.random(total) < self.duplicates, rng.random(total) < self.damage,
        )  # fmt: skip


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
    ip_id: NDArray[np.int64]
    outer_ip_id: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    delay_ns: NDArray[np.int64]
    lost: NDArray[np.bool_]
    duplicated: NDArray[np.bool_]
    damaged: NDArray[np.bool_]

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
            sends = self.backward == second
            mine, theirs, twice = every[sends], arrived[~sends[arrived]], again[~sends[again]]
            packets = np.r_[mine, theirs, twice]
            times = np.r_[self.sent_ns[mine], arrive_ns[theirs], arrive_ns[twice] + 20_000]
            outgoing = np.r_[np.ones(len(mine), bool), np.zeros(len(theirs) + len(twice), bool)]
            order = np.argsort(times, kind="stable")
            at.append(self._frames(packets[order], times[order], outgoing[order], second))
        return (at[0], at[1]), (at[0].packets_of, at[1].packets_of)

    def _frames(
        self, packets: NDArray[np.int64], times: NDArray[np.int64], outgoing: NDArray[np.bool_], second: bool
    ) -> "Seen":
        w = self.world
        groups: list[list[int]] = []
        meta: list[tuple[int, bool]] = []
        open_: dict[tuple[int, bool], int] = {}
        for packet, time, out in zip(packets.tolist(), times.tolist(), outgoing.tolist(), strict=True):
            key = (int(self.way[packet]), out)
            at = open_.get(key)
            chance = w.merge_sent if out else w.merge_received
            fits = at is not None and len(groups[at]) < 9 and time - meta[at][0] < HELD_NS
            if fits and self._joins(groups[at][-1], packet) and self.rng.random() < chance:
                groups[at].append(packet)
            else:
                open_[key] = len(groups)
                groups.append([packet])
                meta.append((time, out))
        return Seen.of(self, groups, meta, second)

    def _joins(self, last: int, packet: int) -> bool:
        w = self.world
        if w.ip_id == "counting" and self.ip_id[packet] != self.ip_id[last] + 1:
            return False
        if self.protocol[packet] == UDP:
            return (
                w.udp_gso and self.payload[last] == 1000 and self.payload[packet] <= 1000 and packet != last
            )
        full = self.protocol[packet] == TCP and self.payload[last] == w.mss and self.payload[packet] > 0
        return bool(full and self.seq[packet] == self.seq[last] + self.payload[last])


@dataclass
class Seen:
    """One capture."""

    decoded: Decoded
    packets_of: NDArray[np.int64]

    @classmethod
    def of(cls, wire: Wire, groups: list[list[int]], meta: list[tuple[int, bool]], second: bool) -> "Seen":
        """Make the rows of the frames given by the packets they hold."""
        w = wire.world
        first = np.array([g[0] for g in groups], dtype=np.int64)
        time = np.array([t for t, _ in meta], dtype=np.int64)
        out = np.array([o for _, o in meta], dtype=np.bool_)
        time = wire.second_clock(time) if second else time
        payload = np.array([wire.payload[g].sum() for g in groups], dtype=np.int64)
        inner = payload + np.array([HEADERS[int(p)] for p in wire.protocol[first]], dtype=np.int64)
        n = len(groups)
        packets_of = np.full((n, 9), -1, dtype=np.int64)
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
