"""Healthy networks of many kinds raise no alarm about what arrives and what answers."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate import NODE1, NODE2, TCP, Flow, Traffic, checks, comparison, ping
from vxlanalyze import diagnostics
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.wire.model import Checksum

CODES = {
    "wrong-tunnel-endpoint",
    "corrupted-in-transit",
    "outer-checksum-bad",
    "inner-checksum-bad",
    "port-unreachable",
    "vni-mismatch",
    "stale-tunnel-mac",
    "duplicate-tunnel-mac",
    "not-answered",
    "reordering",
    "duplication",
    "delay-spike",
    "checksum-offload",
    "outer-address-rewritten",
    "nested-tunnel",
    "encrypted-underlay",
}
OWN = [d for d in diagnostics.DIAGNOSTICS if d.code in CODES]
SYN, ACK = 0x02, 0x10
SEEDS = 150


class _Network:
    """One random cluster: how it names its tunnel ends, what it offloads, how fast it is, what it loses."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.cilium = seed % 3 == 0
        self.ipv6 = seed % 5 == 0
        self.offload = seed % 2 == 0
        self.loss = self.rng.choice([0, 0, 0.001, 0.02])
        self.base_s = 10 ** self.rng.uniform(-4, -2)
        self.jitter_s = self.base_s * self.rng.uniform(0.02, 0.5)
        self.gateway = "172.26.50.9" if seed % 7 == 0 else None

    def flow(self, made: Flow, way: int) -> Flow:
        """Dress a flow as this cluster does; `way` 0 there, 1 back."""
        outer = ("fd00:50::1", "fd00:50::2") if self.ipv6 else (NODE1, NODE2)
        outer = outer if way == 0 else outer[::-1]
        devices = (0x0E0000000001, 0x0E0000000002)[:: 1 if way == 0 else -1]
        changes = {"outer_src": outer[0], "outer_dst": outer[1], "vni": 1}
        changes |= {"inner_src_mac": devices[0], "inner_dst_mac": devices[1]}
        if self.cilium:  # identities, and the pod's own Ethernet header
            changes |= {
                "vni": 256 + sum(made.src.encode()) % 5000,
                "inner_src_mac": 0x020000000000 + sum(made.src.encode()) % 65536,
                "inner_dst_mac": 0x060000000000 + sum(made.src.encode()) % 65536,
            }
        return replace(made, **changes)

    def traffic(self, made: Flow, way: int, time_s: np.ndarray, **more: object) -> Traffic:
        n = len(time_s)
        flow = self.flow(made, way)
        sent = checks(outer_l4=Checksum.OK)
        if self.offload:
            sent = checks(outer_l4=Checksum.LCO, inner_l4=Checksum.PARTIAL)
        if self.gateway and way == 0 and not self.ipv6:
            more["received_flow"] = replace(flow, outer_src=self.gateway)
        return Traffic(
            flow,
            time_s=time_s,
            delay_s=self.base_s + self.rng.exponential(self.jitter_s / 20, n),
            lost=self.rng.random(n) < self.loss,
            sent_checks=sent,
            received_checks=checks(outer_l4=Checksum.OK),
            **more,
        )

    def conversation(self, number: int) -> tuple[list[Traffic], list[Traffic]]:
        """What goes one way and what comes back; either side may have begun."""
        kind = int(self.rng.integers(4))
        n = int(self.rng.integers(1, 60))
        begin = self.rng.uniform(0, 20)
        sent = begin + np.cumsum(self.rng.exponential(0.05, n))
        answered = sent + 2 * self.base_s + self.rng.uniform(0.0001, 0.005, n)
        src, dst = f"10.233.64.{10 + number % 7}", f"10.233.65.{20 + number % 5}"
        way = int(self.rng.integers(2))
        if way:
            src, dst = dst, src
        if kind == 0:
            there = ping(src=src, dst=dst, dport=number)
            pair = self.traffic(there, way, sent), self.traffic(there.reverse(), 1 - way, answered)
        elif kind == 1:
            there = Flow(src=src, dst=dst, sport=30000 + number, dport=53)
            ids = np.arange(n) << 16
            pair = (
                self.traffic(there, way, sent, seq=ids | 0x0100),
                self.traffic(there.reverse(), 1 - way, answered, seq=ids | 0x8180),
            )
        elif kind == 2:
            there = Flow(src=src, dst=dst, sport=40000 + number, dport=8080, protocol=TCP)
            flags = np.full(n, ACK)
            flags[0] = SYN
            payload = np.where(np.arange(n) == 0, 0, 800)
            seq = 1000 + np.concatenate(([0], np.cumsum(payload)[:-1] + 1))[:n]
            pair = (
                self.traffic(there, way, sent, tcp_flags=flags, payload=payload, seq=seq),
                self.traffic(there.reverse(), 1 - way, answered, payload=0, ack=seq + np.maximum(payload, 1)),
            )
        else:
            there = Flow(src=src, dst=dst, sport=50000 + number, dport=5201)
            return (
                ([self.traffic(there, way, sent)], []) if way == 0 else ([], [self.traffic(there, way, sent)])
            )
        return ([pair[0]], [pair[1]]) if way == 0 else ([pair[1]], [pair[0]])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_alarm(seed):
    network = _Network(seed)
    forward, backward = [], []
    for number in range(int(network.rng.integers(1, 25))):
        there, back = network.conversation(number)
        forward += there
        backward += back
    pair = comparison(forward, backward, relative_clock=not backward or not forward)

    found = [a for d in OWN for a in d.check(pair) if isinstance(a, Finding)]

    assert [(f.code, f.direction, f.summary) for f in found if f.severity > Severity.INFO] == []


def test_all_of_these_diagnostics_are_asked():
    assert {d.code for d in OWN} == CODES
