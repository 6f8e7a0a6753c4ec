"""Frames that the lab takes apart and makes are read by dpkt in the same way."""

import dpkt
import pytest

from tests.lab import packet as wire

PORTS = frozenset({4789, 6081})


def udp_frame(
    payload: bytes, sport: int = 40000, dport: int = 4789, ip_id: int = 7, dont_fragment: bool = False
) -> bytes:
    datagram = dpkt.udp.UDP(sport=sport, dport=dport, ulen=8 + len(payload), data=payload)
    ip = dpkt.ip.IP(
        src=bytes([10, 0, 0, 1]), dst=bytes([10, 0, 0, 2]), p=17, id=ip_id, df=dont_fragment, data=datagram
    )
    return bytes(dpkt.ethernet.Ethernet(src=b"\x02" * 6, dst=b"\x04" * 6, data=ip))


def tunnelled(dport: int = 4789, header: bytes = b"\x08\0\0\0\0\x10\0\0") -> bytes:
    return udp_frame(header + udp_frame(b"x" * 30, 1234, 53, ip_id=99), dport=dport)


@pytest.mark.parametrize(
    ("dport", "header"), [(4789, b"\x08\0\0\0\0\x10\0\0"), (6081, b"\x01\0\x65\x58\0\0\x07\0" + bytes(4))]
)
def test_the_innermost_packet_is_told_through_vxlan_and_geneve_with_options(dport: int, header: bytes):
    packet = wire.parse(tunnelled(dport, header), PORTS)
    assert packet.tunnelled is not None
    assert packet.tunnelled.identity == ("10.0.0.1", "10.0.0.2", 1234, 53, 17, 99)
    assert packet.vni_at is not None
    assert packet.frame[packet.vni_at : packet.vni_at + 3] == header[4:7]


def test_udp_to_another_port_is_no_tunnel():
    assert wire.parse(tunnelled(5353), PORTS).tunnelled is None


@pytest.mark.parametrize("length", range(0, 120, 7))
def test_a_cut_frame_is_taken_apart_as_far_as_it_goes(length: int):
    assert len(wire.parse(tunnelled()[:length], PORTS).layers) <= 2


def test_an_updated_checksum_equals_a_computed_one():
    frame = udp_frame(b"payload!")
    ip = wire.parse(frame, PORTS).layers[0]
    changed = wire.replace(frame, ip.at + 12, bytes([203, 0, 113, 9]), ip.at + 10, ip.checksum_at)
    assert wire.checksum(changed[ip.at : ip.payload_at]) == 0
    pseudo = (
        changed[ip.at + 12 : ip.at + 20] + bytes([0, 17]) + changed[ip.payload_at + 4 : ip.payload_at + 6]
    )
    assert wire.checksum(pseudo + changed[ip.payload_at : ip.end]) == 0


def test_fragments_fit_the_mtu_and_give_the_packet_back():
    frame = udp_frame(bytes(range(256)) * 5)
    pieces = [dpkt.ethernet.Ethernet(piece).data for piece in wire.fragments(wire.parse(frame, PORTS), 576)]
    assert [piece.len <= 576 for piece in pieces] == [True] * len(pieces)
    assert [bool(piece.mf) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    whole = b"".join(bytes(piece.data) for piece in sorted(pieces, key=lambda piece: piece.offset))
    assert whole == bytes(dpkt.ethernet.Ethernet(frame).data.data)


def test_a_router_says_the_mtu_and_quotes_the_packet():
    packet = wire.parse(tunnelled(), PORTS)
    answer = dpkt.ethernet.Ethernet(wire.unreachable(packet, "10.0.0.254", 4, 1400)).data
    assert (answer.p, answer.icmp.type, answer.icmp.code, answer.icmp.data.mtu) == (1, 3, 4, 1400)
    assert bytes(answer.icmp.data.data)[:20] == packet.frame[14:34]
    assert wire.checksum(bytes(answer.icmp)) == 0


def test_damage_changes_the_bits_of_the_mask_and_nothing_else():
    frame = udp_frame(b"payload!")
    damaged = wire.flip(frame, 40, b"\x5a\xa5")
    assert [i for i in range(len(frame)) if damaged[i] != frame[i]] == [40, 41]
    assert wire.flip(damaged, 40, b"\x5a\xa5") == frame
