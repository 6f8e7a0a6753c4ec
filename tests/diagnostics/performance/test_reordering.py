"""A packet is late where a later one of its flow overtook it, by more than the captures are disordered."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import NotAssessed, Severity
from vxlanalyze.analysis.timing import order
from vxlanalyze.diagnostics.performance import reordering
from vxlanalyze.pairing.model import NO_ROW


def assess(forward, **more):
    pair = comparison(forward, **more)
    return [a for a in reordering.check(pair) if a.direction == "node1>node2"]


def delayed(n=500, every=10, by_s=0.025, **more):
    """Packets 10 ms apart, of which each `every`-th takes longer."""
    late = np.arange(n) % every == 0
    return Traffic(Flow(**more), packets=n, delay_s=np.where(late, 0.0003 + by_s, 0.0003))


def test_overtaken_packets_are_found():
    (finding,) = assess([delayed()])

    assert finding.severity is Severity.WARNING
    assert finding.evidence["late"].value == 50
    assert finding.evidence["judged"].value == 500
    assert finding.evidence["late_by_median"].value == 15_000_000  # the next came 10 ms behind its sending
    assert finding.evidence["largest_extent"].value == 2
    assert finding.evidence["past_three_or_more"].value == 0
    assert "about the same time each" in finding.explanation
    assert finding.frames["node1"].tolist() == list(range(1, 501, 10))


def test_packets_that_tcp_takes_for_lost_are_counted():
    (finding,) = assess([delayed(by_s=0.045, protocol=TCP)])
    assert finding.evidence["past_three_or_more"].value == 50


def test_late_packets_agree_with_a_count_by_hand():
    """Against a plain reading of RFC 4737: sequence number below the largest that arrived before."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        n = int(rng.integers(2, 60))
        flows = [
            Traffic(Flow(sport=i), n, every_s=0.001, delay_s=rng.exponential(0.003, n)) for i in range(3)
        ]
        direction = comparison(flows).hops[0].forward
        expected = set()
        for flow in np.unique(direction.flow):
            mine = np.flatnonzero(direction.flow == flow)
            furthest = -1
            for i in mine[np.argsort(direction.received_row[mine], kind="stable")]:
                if i < furthest and direction.received_time_ns[i] > direction.received_time_ns[furthest]:
                    expected.add(int(i))
                furthest = max(furthest, int(i))
        assert set(order.late(direction).packets.tolist()) == expected


def test_neighbours_that_two_processors_swap_are_clear():
    """Every tenth packet is 12 µs late, past one other."""
    delay = np.full(500, 0.0004)
    delay[::10] += 0.000022

    assert assess([Traffic(packets=500, every_s=0.00001, delay_s=delay)]) == []


def test_packets_in_order_are_clear():
    assert assess([Traffic(packets=500)]) == []


def test_different_flows_may_overtake_each_other():
    slow, fast = Traffic(Flow(sport=1), delay_s=0.05), Traffic(Flow(sport=2), delay_s=0.001)
    assert assess([slow, fast]) == []


def test_packets_like_others_are_not_judged():
    (answer,) = assess([Traffic(packets=100, ambiguous=True, delay_s=np.linspace(2, 0, 100))])
    assert isinstance(answer, NotAssessed)


def test_stamps_of_several_queues_out_of_order_are_not_the_networks():
    """Two queues are read in turn, so the file holds the second of two packets first."""
    pair = comparison([Traffic(packets=400, every_s=0.00002)])
    forward = pair.hops[0].forward
    node2 = forward.receiver
    swapped = forward.received_row.reshape(-1, 4)[:, [1, 0, 3, 2]].ravel()
    node2.index.time_ns[:] = node2.index.time_ns[swapped]
    forward.received_row[:] = swapped
    assert order.disorder_ns(node2) == 20_000
    assert [a for a in reordering.check(pair) if a.direction == forward.label] == []


def test_equal_stamps_have_no_order():
    pair = comparison([Traffic(packets=100, time_s=np.repeat(np.arange(50), 2) * 1.0)])
    forward = pair.hops[0].forward
    forward.received_row[:] = forward.received_row.reshape(-1, 2)[:, ::-1].ravel()
    assert len(order.late(forward).packets) == 0


def test_a_single_late_packet_may_be_chance():
    late = np.arange(500) == 100
    assert assess([Traffic(packets=500, delay_s=np.where(late, 0.05, 0.0003))]) == []


def test_one_packet_has_no_order():
    (answer,) = assess([Traffic(packets=1)])
    assert isinstance(answer, NotAssessed)


def test_lost_packets_have_no_order():
    pair = comparison([Traffic(packets=50, lost=True)])
    assert (pair.hops[0].forward.received_row == NO_ROW).all()
    assert isinstance(reordering.check(pair)[0], NotAssessed)


@pytest.mark.parametrize("seed", range(50))
def test_a_network_with_the_tolerable_ratio_raises_no_alarm(seed):
    rng = np.random.default_rng(seed)
    late = rng.random(3000) < 1e-4
    assert assess([Traffic(packets=3000, delay_s=np.where(late, 0.05, 0.0003))]) == []
