"""When what two captures share tells one clock from the other, and when it only looks alike."""

import pytest

from tests.diagnostics.frames import in_vxlan, pcap, udp
from tests.pairing.test_homes import DELAY_S, ETHERNET, arp
from tests.simulate import NODE1, NODE2, POD1, POD2
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import pair

LATER_S = 600.0


def sent(source, packets=8, at_s=0.0):
    """Tunnel packets that one node sends; the other's capture does not show them."""
    ways = {NODE1: (POD1, POD2, NODE1, NODE2), NODE2: (POD2, POD1, NODE2, NODE1)}
    src, dst, near, far = ways[source]
    inner = [udp(b"%04d" % i, src, dst, 5000, 9) for i in range(packets)]
    return [(at_s + 0.3 * i, in_vxlan(packet, near, far)) for i, packet in enumerate(inner)]


def neighbours(moments, later_s=0.0):
    """ARP at some moments, as the first capture and as the second one, that much later, sees it."""
    first, second = [], []
    for at, (near, far) in zip(moments, ((NODE1, NODE2), (NODE2, NODE1)), strict=False):
        asked, said = arp(1, near, far), arp(2, far, near)
        asker, asked_one = (first, second) if near == NODE1 else (second, first)
        begin = at if near == NODE1 else at + later_s
        asker += [(begin, asked), (begin + 2 * DELAY_S, said)]
        begin += later_s if near == NODE1 else -later_s
        asked_one += [(begin + DELAY_S, asked), (begin + DELAY_S, said)]
    return first, second


def forward_of(tmp_path, first, second):
    paths = [pcap(tmp_path / f"{n}.pcap", f, ETHERNET) for n, f in (("a", first), ("b", second))]
    sources = open_sources([str(p) for p in paths])
    hop = pair([(s, wire.decode(s)) for s in sources]).hops[0]
    return hop.forward, hop.clock


def test_one_question_to_a_neighbour_is_no_common_time(tmp_path):
    """Each capture begins with the same ARP, ten minutes apart; nothing else stands in both."""
    first, second = neighbours([0.0], LATER_S)
    forward, clock = forward_of(tmp_path, first + sent(NODE1), second + sent(NODE2, at_s=LATER_S))

    assert clock.offset_ns is None
    assert not forward.lost.any()


@pytest.mark.parametrize(("moments", "later_s"), [([0.0, 3.7], LATER_S), ([0.0], 0.05)])
def test_neighbours_tell_the_clock_by_their_distances_or_where_the_times_agree(tmp_path, moments, later_s):
    """Twice with one distance, or once while both captures ran by their own clocks: then nothing arrives."""
    first, second = neighbours(moments, later_s)
    forward, clock = forward_of(tmp_path, first + sent(NODE1), second + sent(NODE2, at_s=later_s))

    assert clock.offset_ns == pytest.approx(later_s * 1e9, abs=1e6)
    assert forward.lost.all()


def test_other_distances_are_no_common_time(tmp_path):
    first, _ = neighbours([0.0, 3.7])
    _, second = neighbours([0.0, 2.9], LATER_S)
    forward, clock = forward_of(tmp_path, first + sent(NODE1), second + sent(NODE2, at_s=LATER_S))

    assert clock.offset_ns is None
    assert not forward.lost.any()
