"""QUIC's spin bit: endpoints of known delays set, leave or randomise it; tshark reads the same bits."""

import random
from itertools import pairwise

import pytest

import vxlanalyze as vx
from tests.reported import frames as f
from tests.reported.frames import Packet
from tests.reported.world import Tunnel, World
from tests.tools import tshark

PATH_S, SERVER_S, CLIENT_S = 0.02, 0.004, 0.006  # each way; until an end answers a change
INITIAL = b"\xc3\0\0\0\1\x08" + bytes(range(8)) + bytes(1180)


class End:
    """One endpoint, which sends every 2 ms and reacts to what it received a while ago."""

    def __init__(self, me, peer, ports, *, flips, delay_s, bits):
        self.me, self.peer, self.ports, self.flips = me, peer, ports, flips
        self.delay_s, self.bits, self.value, self.number = delay_s, bits, 0, 0
        self.random = random.Random(5)
        me.sockets[f.UDP, ports[0], peer.address, ports[1]] = self.take

    def take(self, packet):
        first = packet.payload[0]
        if first & 0xC0 == 0x40:
            value = first >> 5 & 1
            self.me.node.world.after(self.delay_s, lambda: setattr(self, "value", value ^ self.flips))

    def send(self, payload=None):
        value = {"set": self.value, "constant": 0}.get(self.bits, self.random.randrange(2))
        payload = payload or bytes([0x40 | value << 5 | self.random.randrange(32)]) + self.random.randbytes(
            60
        )
        self.number += 1
        body = f.Udp(*self.ports, payload)
        self.me.send(Packet(self.me.address, self.peer.address, body, ttl=64, ident=self.number))


def pair(folder, *, bits="set", port=443, opening=True):
    world = World(seed=3, tunnel=Tunnel(vni=9, port=8472))
    n1, n2 = world.node("node1", "10.0.0.1"), world.node("node2", "10.0.0.2")
    a, b = n1.pod("10.244.1.5"), n2.pod("10.244.2.7")
    world.all_arp()

    @world.fate
    def slow(transit):
        transit.extra += int(PATH_S * 1e9)

    client = End(a, b, (50123, port), flips=1, delay_s=CLIENT_S, bits=bits)
    server = End(b, a, (port, 50123), flips=0, delay_s=SERVER_S, bits=bits)
    if opening:
        world.at(0.01, lambda: client.send(INITIAL))
        world.at(0.04, lambda: server.send(INITIAL))
    for number in range(700):
        world.at(0.1 + 0.002 * number, client.send)
        world.at(0.1007 + 0.002 * number, server.send)
    world.run()
    return world.write(folder)


def flows(folder, **more):
    result = vx.compare(*map(str, pair(folder, **more)))
    table = result.flows
    return table[table["protocol_name"].str.lower() == "udp"]


def test_round_trips_and_each_ends_part(tmp_path):
    table = flows(tmp_path)
    whole = 2e9 * PATH_S + 1e9 * (SERVER_S + CLIENT_S)

    assert table["spin_bit"].tolist() == ["set", "set"]
    assert table["spin_rtt_p50_ns"].tolist() == pytest.approx([whole, whole], abs=5e6)
    assert table["spin_own_p50_ns"].tolist() == pytest.approx([CLIENT_S * 1e9, SERVER_S * 1e9], abs=2.5e6)


def test_tshark_reads_the_same_bits(tmp_path):
    table = flows(tmp_path)
    said = tshark(
        tmp_path / "node1.pcap",
        *("-n", "-d", "udp.port==8472,vxlan", "-Y", "quic.spin_bit && ip.src == 10.244.1.5"),
        *("-T", "fields", "-E", "occurrence=l", "-e", "frame.time_epoch", "-e", "quic.spin_bit"),
    )
    rows = [line.split() for line in said.splitlines()]
    edges = [float(time) for (time, bit), (_, before) in zip(rows[1:], rows, strict=False) if bit != before]
    periods = sorted(after - before for before, after in pairwise(edges))

    assert len(rows) == 700
    assert table["spin_rtt_p50_ns"].iloc[0] / 1e9 == pytest.approx(periods[(len(periods) - 1) // 2], abs=1e-6)


@pytest.mark.parametrize("bits", ["constant", "random"])
def test_endpoints_that_do_not_set_the_bit_are_named_and_nothing_is_measured(bits, tmp_path):
    table = flows(tmp_path, bits=bits)

    assert table["spin_bit"].tolist() == [bits, bits]
    assert table[["spin_rtt_p50_ns", "spin_rtt_p99_ns", "spin_own_p50_ns"]].isna().all(axis=None)


def test_a_connection_that_began_before_the_capture_is_recognised_by_its_port_alone(tmp_path):
    assert flows(tmp_path / "a", opening=False)["spin_bit"].tolist() == ["set", "set"]
    assert flows(tmp_path / "b", opening=False, port=9999)["spin_bit"].isna().all()
