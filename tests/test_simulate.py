"""The simulator tells what it was told, in the shapes that pairing promises."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic, comparison
from vxlanalyze.pairing.model import Outcome, Reason


def test_super_packets_become_wire_packets():
    bulk = Traffic(Flow(protocol=TCP), packets=3, payload=3000, segment_bytes=1400, lost=[0, 0, 1] * 3)
    forward = comparison([bulk]).hops[0].forward
    assert forward.payload_length.tolist() == [1400, 1400, 200] * 3
    assert forward.outer_length.tolist() == [1502, 1502, 302] * 3
    assert forward.lost.tolist() == [False, False, True] * 3
    assert len(forward.sender.index) == 3
    assert len(forward.receiver.index) == 6


def test_a_packet_lost_behind_the_second_point_is_delivered_on_the_first_hop():
    pair = comparison([Traffic(packets=4, lost=[0, 1, 0, 1], hop=1)], points=("a", "b", "c"))
    first, second = (hop.forward for hop in pair.hops)
    assert first.outcome.tolist() == [0] * 4
    assert second.outcome.tolist() == [0, 1, 0, 1]


def test_rows_stand_in_the_order_of_time_and_outcomes_follow_them():
    early = Traffic(packets=2, start_s=0.0, every_s=2, lost=[1, 0])
    late = Traffic(Flow(sport=9), packets=2, start_s=1.0, every_s=2, unknown=[1, 0])
    forward = comparison([early, late]).hops[0].forward
    assert forward.outcome.tolist() == [Outcome.LOST, Outcome.UNKNOWN, Outcome.DELIVERED, Outcome.DELIVERED]
    assert forward.reason.tolist() == [0, Reason.WINDOW, 0, 0]
    assert (np.diff(forward.time_ns) > 0).all()


def test_what_only_the_receiver_saw_is_unsent():
    forward = comparison([Traffic(packets=5, unsent=True), Traffic(Flow(sport=9))]).hops[0].forward
    assert len(forward.unsent_row) == 5
    assert len(forward) == 100


def test_copies_are_rows_at_the_receiver():
    forward = comparison([Traffic(packets=3, copies=[1, 2, 1])]).hops[0].forward
    assert forward.copies.tolist() == [1, 2, 1]
    assert len(forward.receiver.index) == 4


def test_bare_points_have_no_outer_packet():
    forward = comparison([Traffic()], points=("pod", "node1"), bare=("pod",)).hops[0].forward
    assert forward.outer_length.max() == 0
    assert forward.wire_length.tolist() == [128] * 100
