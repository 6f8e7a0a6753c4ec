"""Small worlds with known translation: a pod's interface, the node's NIC, and which flow here is which there.

Each conversation is drawn packet by packet as both captures see it: bare at the pod, in the tunnel at the
NIC, with another address or port where the node translates. Beside them stand flows that only one of the two
sees.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.simulate import ICMP, NODE1, NODE2, START_NS, TCP, UDP, Flow
from tests.simulated_tables import flows_of, index_of
from vxlanalyze.wire.model import Decoded, Tunnel

SYN, ACK = 0x02, 0x10
SEGMENT = 1200
Row = dict[str, int]


@dataclass
class Side:
    """One capture being drawn."""

    tunnelled: bool
    offset_ns: int
    flows: list[Flow] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def flow(self, flow: Flow, outward: bool) -> int:
        ends = (NODE1, NODE2) if outward else (NODE2, NODE1)
        tunnel = Tunnel.VXLAN if self.tunnelled else Tunnel.NONE
        self.flows.append(replace(flow, tunnel=tunnel, outer_src=ends[0], outer_dst=ends[1]))
        return len(self.flows) - 1

    def add(self, flow: int, packet: Row, delay_ns: int) -> None:
        self.rows.append(packet | {"flow": flow, "time_ns": packet["time_ns"] + self.offset_ns + delay_ns})

    def decoded(self) -> Decoded:
        rows = sorted(self.rows, key=lambda row: row["time_ns"])
        empty: Row = dict.fromkeys(
            ("seq", "ack", "length", "payload_length", "outer_length", "digest", "digest_length", "anomalies",
             "ip_id", "outer_ip_id", "tcp_flags", "checks", "flow", "time_ns"), 0
        )  # fmt: skip
        columns = {name: np.array([(empty | row)[name] for row in rows], np.int64) for name in empty}
        return Decoded(index_of(columns), flows_of(self.flows))


@dataclass
class TranslatedWorld:
    """What both captures hold; `truth` maps flows of the pod's capture to flows of the NIC's."""

    seed: int
    translated: bool = True
    truth: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.v6 = self.rng.random() < 0.25
        self.merge = self.rng.random() < 0.5
        self.loss = float(self.rng.choice([0, 0.02, 0.2]))
        self.new_ports = self.rng.random() < 0.5
        self.counting = self.rng.random() < 0.7
        self.ids = {False: self._draw(65536), True: self._draw(65536)}
        self.pod, self.nic = Side(False, 0), Side(True, self._draw(10**9) - 5 * 10**8)

    def _draw(self, most: int) -> int:
        return int(self.rng.integers(0, most))

    def _address(self, net: int, host: int) -> str:
        return f"fd00:{net:x}::{host:x}" if self.v6 else f"10.{net}.{host >> 8 & 255}.{host & 255}"

    def play(self) -> tuple[Decoded, Decoded]:
        """Draw conversations that both captures see, and some that only one does."""
        for number in range(int(self.rng.integers(2, 30))):
            mine, theirs = self._ends(number)
            self._talk(mine, theirs if self.translated else mine)
        for only in (self.pod, self.nic):
            for number in range(int(self.rng.integers(0, 15))):
                mine, _ = self._ends(100 + number)
                client = self._address(77 if only is self.nic else 1, 5000 + number)
                self._talk(replace(mine, src=client), None, only)
        return self.pod.decoded(), self.nic.decoded()

    def _ends(self, number: int) -> tuple[Flow, Flow]:
        """A flow as the pod sends it, and as the tunnel carries it: service, masquerade, or both."""
        protocol = int(self.rng.choice([TCP, TCP, UDP, UDP, ICMP]))
        if protocol == ICMP:
            protocol = 58 if self.v6 else ICMP
        pod, service, backend = (self._address(n, 7 + self._draw(3)) for n in (1, 96, 2))
        sport, dport = 32768 + self._draw(28000), int(self.rng.choice([53, 80, 5000]))
        if protocol not in (TCP, UDP):
            sport, dport = (0x8000 if self.v6 else 0x0800), self._draw(65536)
        mine = Flow(src=pod, dst=service, protocol=protocol, sport=sport, dport=dport)
        kind = self.rng.choice(["service", "masquerade", "both"])
        theirs = mine
        if kind != "masquerade":
            port = 8000 + number % 3 if protocol in (TCP, UDP) else dport
            theirs = replace(theirs, dst=backend, dport=port)
        if kind != "service":
            theirs = replace(theirs, src=self._address(1, 1))
            if self.new_ports and protocol in (TCP, UDP):
                theirs = replace(theirs, sport=1024 + self._draw(64000))
        return mine, theirs

    def _talk(self, mine: Flow, theirs: Flow | None, only: Side | None = None) -> None:
        packets = self._packets(mine)
        start = START_NS + self._draw(20_000_000_000)
        flows: dict[tuple[int, bool], int] = {}
        for side, flow in ((self.pod, mine), (self.nic, theirs or mine)):
            if only in (None, side):
                flows[id(side), True] = side.flow(flow, outward=True)
                flows[id(side), False] = side.flow(flow.reverse(), outward=False)
        if only is None and theirs != mine:
            for outward in (True, False):
                self.truth[flows[id(self.pod), outward]] = flows[id(self.nic), outward]
        for outward, packet in packets:
            packet = packet | {"time_ns": start + packet["time_ns"]}
            first, second = (self.pod, self.nic) if outward else (self.nic, self.pod)
            for place, side in enumerate((first, second)):
                if only in (None, side) and not (place and self.rng.random() < self.loss):
                    for piece in self._pieces(packet, side):
                        side.add(flows[id(side), outward], piece, place * (20_000 + self._draw(60_000)))

    def _pieces(self, packet: Row, side: Side) -> list[Row]:
        """A super-packet at the pod, where it is segmented later, is several packets at the NIC."""
        whole = packet["payload_length"]
        if packet["tcp_flags"] == 0 or whole <= SEGMENT or (self.merge and side is self.pod):
            return [packet]
        return [
            packet
            | {
                "seq": (packet["seq"] + at) % 2**32,
                "payload_length": min(SEGMENT, whole - at),
                "length": min(SEGMENT, whole - at) + 52,
                "ip_id": (packet["ip_id"] + n * bool(packet["ip_id"])) % 65536,
                "digest": (packet["digest"] + n * 7919) % 2**32,
                "digest_length": min(SEGMENT, whole - at),
            }
            for n, at in enumerate(range(0, whole, SEGMENT))
        ]

    def _packets(self, flow: Flow) -> list[tuple[bool, Row]]:
        if flow.protocol == TCP:
            return self._tcp()
        count, constant = int(self.rng.integers(1, 25)), self.rng.random() < 0.1
        size, digest = 8 + self._draw(900), self._draw(2**32)
        made = []
        for number in range(count):
            digest = digest if constant else self._draw(2**32)
            at = number * 20_000_000
            for outward in (True, False):
                fields: dict[str, Any] = {"seq": number} if flow.protocol != UDP else {}
                if flow.dport == 53 and flow.protocol == UDP:
                    fields = {"seq": self._draw(65536) << 16}
                made.append(
                    (
                        outward,
                        self._row(at + (not outward) * 400_000, outward, size, digest + outward) | fields,
                    )
                )
        return made

    def _tcp(self) -> list[tuple[bool, Row]]:
        ours, theirs = self._draw(2**32), self._draw(2**32)
        made = [
            (True, self._row(0, True, 0, 0) | {"seq": ours, "tcp_flags": SYN}),
            (False, self._row(400_000, False, 0, 0) | {"seq": theirs, "ack": (ours + 1) % 2**32,
                                                       "tcp_flags": SYN | ACK, "ip_id": 0}),
        ]  # fmt: skip
        sent = [ours + 1, theirs + 1]
        for number in range(int(self.rng.integers(0, 12))):
            outward = bool(self.rng.random() < 0.5)
            size = int(self.rng.choice([0, 200, 5 * SEGMENT]))
            fields = {"seq": sent[not outward] % 2**32, "ack": sent[outward] % 2**32, "tcp_flags": ACK}
            made.append((outward, self._row(10**6 * (number + 1), outward, size, self._draw(2**32)) | fields))
            sent[not outward] += size
        return made

    def _row(self, at: int, outward: bool, size: int, digest: int) -> Row:
        self.ids[outward] = (self.ids[outward] + 1) % 65536 if self.counting else self._draw(65536)
        number = 0 if self.v6 else self.ids[outward]
        return {
            "time_ns": at,
            "ip_id": number,
            "length": size + 52,
            "payload_length": size,
            "digest": digest % 2**32,
            "digest_length": size,
            "tcp_flags": 0,
        }


def judged(world: TranslatedWorld, joined: Callable[[list[Decoded]], Any]) -> tuple[int, int, int]:
    """Count the pairs of flows found, those of them that are right, and those that there are."""
    pod, nic = world.play()
    pod_after, nic_after = joined([pod, nic]).decoded
    assert nic_after is nic  # names are those of the tunnel's side
    at_nic = {identity: flow for flow, identity in enumerate(nic.flows.identity.tolist())}
    changed = np.flatnonzero(pod_after.flows.identity != pod.flows.identity).tolist()
    found = {flow: at_nic[int(pod_after.flows.identity[flow])] for flow in changed}
    right = sum(world.truth.get(flow) == other for flow, other in found.items())
    return len(found), right, len(world.truth)
