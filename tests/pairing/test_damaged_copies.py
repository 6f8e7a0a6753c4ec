"""Two packets in one place are two packets, not a damaged copy, unless something shows damage."""

import random
import struct

import pytest

from tests.diagnostics.frames import in_vxlan, pcap
from tests.pairing.test_damaged_file import forward
from tests.pairing.test_homes import ETHERNET
from tests.reported import frames as f
from tests.simulate import NODE1, NODE2, POD1, POD2
from vxlanalyze.pairing.model import Outcome

PACKETS = 60
LOST, UNSEEN = 20, 21


def inner(number, *, ident=0, flip=0, dst=POD2, payload=None):
    body = struct.pack("!50I", *(number * 977 + i for i in range(50))) if payload is None else payload
    packet = f.Packet(POD1, dst, f.Udp(40000, 5000, body), ident=ident)
    coded = bytearray(bytes(packet))
    coded[-30] ^= flip
    return bytes(coded)


def captures(tmp_path, sent, received):
    paths = []
    for name, packets, later in (("a", sent, 0.0), ("b", received, 0.0005)):
        frames = [(0.01 * i + later, numbered(i, packet)) for i, packet in enumerate(packets) if packet]
        paths.append(pcap(tmp_path / f"{name}.pcap", frames, ETHERNET))
    return paths


def numbered(number, packet):
    """Put a packet into the tunnel, with an outer IP ID of its own."""
    frame = bytearray(in_vxlan(packet, NODE1, NODE2))
    frame[18:20] = struct.pack("!H", 5000 + number)
    return bytes(frame)


def test_a_loss_on_each_side_is_no_damage(tmp_path):
    sent = [inner(i) for i in range(PACKETS)]
    received = sent.copy()
    sent[UNSEEN] = None  # the sender's capture lacks it
    received[LOST] = None
    way = forward(captures(tmp_path, sent, received))

    assert not way.corrupted.any()
    assert (way.outcome == Outcome.LOST).nonzero()[0].tolist() == [LOST]
    assert len(way.unsent_row) == 1


@pytest.mark.parametrize("ident", [0, 7])
def test_a_wrong_checksum_proves_damage(tmp_path, ident):
    sent = [inner(i, ident=ident and ident + i) for i in range(PACKETS)]
    received = sent.copy()
    received[LOST] = inner(LOST, ident=ident and ident + LOST, flip=0x40)
    assert forward(captures(tmp_path, sent, received)).corrupted.nonzero()[0].tolist() == [LOST]


def test_an_ip_id_proves_that_a_packet_was_altered_with_its_checksum(tmp_path):
    sent = [inner(i, ident=9 + i) for i in range(PACKETS)]
    received = sent.copy()
    received[LOST] = inner(LOST, ident=9 + LOST, payload=bytes(200))
    assert forward(captures(tmp_path, sent, received)).corrupted.nonzero()[0].tolist() == [LOST]


def test_another_dns_id_is_another_query(tmp_path):
    def query(ident, number):
        body = f.Udp(40000, 53, f.dns_query(ident, "a.svc.cluster.local"))
        return bytes(f.Packet(POD1, POD2, body, ident=number))

    sent = [query(1000 + i, 5 + i) for i in range(PACKETS)]
    received = sent.copy()
    received[LOST] = query(9, 5 + LOST)
    assert not forward(captures(tmp_path, sent, received)).corrupted.any()


def test_equal_outer_headers_of_other_packets_join_nothing(tmp_path):
    sent = [inner(i, ident=9 + i, dst="10.233.65.30") for i in range(PACKETS)]
    received = [inner(i, ident=900 + i, dst="10.233.99.31") for i in range(PACKETS)]
    way = forward(captures(tmp_path, sent, received))
    assert not way.corrupted.any()
    assert not way.delivered.any()


def datagram(body):
    """A datagram without checksum and without IP ID, in an outer packet that has no number of its own."""
    packet = f.Packet(POD1, POD2, f.Udp(40000, 5000, body, checksum=0), ident=0)
    return bytes(packet)


def in_place(tmp_path, bodies, at, arrives):
    """What becomes of a stream of which one datagram is missing, and another stands in its place."""
    sent = [datagram(body) for body in bodies]
    received = [datagram(arrives) if i == at else packet for i, packet in enumerate(sent)]
    paths = []
    for name, packets, later in (("a", sent, 0.0), ("b", received, 0.0005)):
        frames = [(0.01 * i + later, in_vxlan(packet, NODE1, NODE2)) for i, packet in enumerate(packets)]
        paths.append(pcap(tmp_path / f"{name}.pcap", frames, ETHERNET))
    return forward(paths)


RANDOM = random.Random(7)
ENCRYPTED = [RANDOM.randbytes(200) for _ in range(PACKETS)]
COUNTED = [struct.pack("!QI", 1_700_000_000_000_000 + 10_013 * i, i) + b"x" * 188 for i in range(PACKETS)]


def altered(body, place, by):
    return body[:place] + by + body[place + len(by) :]


@pytest.mark.parametrize(
    ("bodies", "arrives"),
    [
        (ENCRYPTED, altered(ENCRYPTED[LOST], 77, bytes([ENCRYPTED[LOST][77] ^ 0x10]))),
        (ENCRYPTED, altered(ENCRYPTED[LOST], 100, bytes(64))),
        (ENCRYPTED, altered(ENCRYPTED[LOST], 140, bytes(60))),
        (COUNTED, altered(COUNTED[LOST], 150, b"y")),
    ],
    ids=["one-bit", "block", "the-end", "a-steady-byte-of-a-counted-stream"],
)
def test_damage_without_checksum_shows_in_the_bytes(tmp_path, bodies, arrives):
    way = in_place(tmp_path, bodies, LOST, arrives)
    assert way.corrupted.nonzero()[0].tolist() == [LOST]
    assert not way.lost.any()


@pytest.mark.parametrize(
    ("bodies", "arrives"),
    [
        (ENCRYPTED, RANDOM.randbytes(200)),
        (COUNTED, struct.pack("!QI", 1_700_000_000_000_000 + 999_983, 999) + b"x" * 188),
        (COUNTED, struct.pack("!QI", 1_700_000_000_000_000 + 10_013 * LOST + 1, LOST + 1) + b"x" * 188),
        (COUNTED[:1] + [b"q" * 150] * 30, struct.pack("!QI", 5, 9) + b"x" * 188),
    ],
    ids=["random-bytes", "counter", "counter-by-few-bits", "nothing-to-compare-with"],
)
def test_another_datagram_in_the_same_place_is_another_datagram(tmp_path, bodies, arrives):
    at = LOST if len(bodies) == PACKETS else 0
    way = in_place(tmp_path, bodies, at, arrives)
    assert not way.corrupted.any()
    assert way.received_row[at] < 0
    assert len(way.unsent_row) == 1
