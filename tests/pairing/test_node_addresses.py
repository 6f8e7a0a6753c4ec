"""Which addresses a node has beyond the one that it sends from: by marks, ARP, its counterpart, answers."""

import socket
import struct

import pytest

from tests.diagnostics.frames import in_vxlan, pcap, udp
from tests.simulate import NODE1, NODE2, POD1, POD2
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import pair

ETHERNET, SLL2 = 1, 276
HOST, OUTGOING = 0, 4
FIRST2, SECOND2, THIRD = "172.26.50.211", "172.26.50.212", "172.26.50.213"
MAC1, MAC2 = bytes.fromhex("0200ac1a32c8"), bytes.fromhex("0200ac1a32c9")


def compared(tmp_path, here, there, link=(ETHERNET, ETHERNET)):
    paths = [
        pcap(tmp_path / f"{name}.pcap", sorted(frames), kind)
        for (name, frames), kind in zip((("a", here), ("b", there)), link, strict=True)
    ]
    sources = open_sources([str(p) for p in paths])
    return pair([(s, wire.decode(s)) for s in sources])


def sent(src, dst, at_s, count=5, macs=(MAC2, MAC1), inner=(POD1, POD2), first=0):
    """Tunnel packets by a way that the MACs (destination, source) name."""
    return [
        (at_s + i, macs[0] + macs[1] + in_vxlan(udp(b"%04d" % (first + i), *inner, 5000, 9), src, dst)[12:])
        for i in range(count)
    ]


def later(frames, s=0.0005):
    return [(at + s, frame) for at, frame in frames]


def claim(address, mac):
    """An ARP reply (RFC 826)."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mac + socket.inet_aton(address)
    return MAC1 + mac + b"\x08\x06" + body + MAC1 + socket.inet_aton(NODE1)


def cooked(frames, kind):
    """As ``-i any`` has them: SLL2."""
    return [(at, struct.pack("!HHIHBB8s", 0x0800, 0, 2, 1, kind, 6, f[6:14]) + f[14:]) for at, f in frames]


def both_ways(src=NODE2):
    there = sent(NODE1, NODE2, 1.0)
    back = sent(src, NODE1, 1.0005, macs=(MAC1, MAC2), inner=(POD2, POD1))
    return there, back


def test_an_address_that_the_nodes_mac_claims_is_the_nodes(tmp_path):
    there, back = both_ways()
    lost = sent(FIRST2, SECOND2, 1.2, inner=(POD1, POD2), first=50)
    others = sent(FIRST2, THIRD, 1.3, inner=(POD1, "10.1.9.9"), first=70)
    here = [(0.5, claim(NODE2, MAC2)), (0.6, claim(SECOND2, MAC2)), *there, *later(back), *lost, *others]

    told = compared(tmp_path, here, [*later(there), *back])

    assert set(told.points[1].addresses) == {NODE2, SECOND2}
    assert int(told.directions[0].lost.sum()) == len(lost)


def test_an_address_that_another_mac_claims_is_not(tmp_path):
    there, back = both_ways()
    lost = sent(NODE1, THIRD, 1.2, inner=(POD1, "10.1.9.9"), first=50)
    here = [(0.5, claim(NODE2, MAC2)), (0.6, claim(THIRD, b"\x02" * 6)), *there, *later(back), *lost]

    told = compared(tmp_path, here, [*later(there), *back])

    assert told.points[1].addresses == (NODE2,)
    assert not told.directions[0].lost.any()


def test_what_a_further_address_alone_sends_to_is_taken_for_the_others(tmp_path):
    there, back = both_ways()
    second = sent(FIRST2, SECOND2, 1.2, inner=("10.1.1.7", "10.1.2.7"), first=50)

    told = compared(tmp_path, [*there, *later(back), *second], [*later(there), *back])

    assert set(told.points[1].addresses) == {NODE2, SECOND2}
    assert "assumed" in told.points[1].addresses_by


def test_a_third_node_that_the_same_address_sends_to_is_not(tmp_path):
    there, back = both_ways()
    third = sent(NODE1, THIRD, 1.2, inner=("10.1.1.7", "10.1.9.7"), first=50)

    told = compared(tmp_path, [*there, *later(back), *third], [*later(there), *back])

    assert told.points[1].addresses == (NODE2,)


def test_the_kernels_marks_tell_where_a_node_is_sent_to_and_where_it_sends_from(tmp_path):
    there, back = both_ways(src=SECOND2)
    any_ = [*cooked(later(there), HOST), *cooked(back, OUTGOING)]

    told = compared(tmp_path, there, any_, (ETHERNET, SLL2))

    assert set(told.points[1].addresses) == {NODE2, SECOND2}
    assert int(told.directions[1].lost.sum()) == len(back)


@pytest.mark.parametrize(("own_sends", "known"), [(False, {NODE2, SECOND2}), (True, {NODE2})])
def test_answers_from_elsewhere_are_a_second_cards_where_the_capture_shows_none(tmp_path, own_sends, known):
    """Where node2's capture shows what it sends, they are a third node's: the pod may have moved."""
    there, back = both_ways(src=SECOND2)
    other = sent(NODE2, NODE1, 1.3, macs=(MAC1, MAC2), inner=("10.1.2.9", POD1), first=90) * own_sends

    told = compared(tmp_path, [*there, *later(back), *later(other)], [*later(there), *other])

    assert set(told.points[1].addresses) == known
