"""One procedure explains the losses of a direction: each fault alone, two at once, and none."""

import collections

import numpy as np
import pytest

from tests.diagnostics import workload as net
from tests.simulate import ICMP, START_NS, TCP, UDP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.loss import loss
from vxlanalyze.analysis.loss.picture import LossKind
from vxlanalyze.analysis.loss.traits import Trait


def steps(rng):
    """One thing after the other, as a person tries: queries, pings, pages."""
    pages = net.http(rng, 4, segments=int(rng.integers(2, 40)))
    small = [net.dns(rng, 12), net.pings(rng, 10), pages, net.dns(rng, 5)]
    return small, [net.pings(rng, 30, to="10.233.65.250", size=1200)]


def busy(rng):
    """A stream, pings, pages and queries at the same time."""
    return [net.stream(rng, 3)], [net.pings(rng, 20)], [net.http(rng, 8, segments=30)], [net.dns(rng, 20)]


def short(rng):
    """Eight packets."""
    return [net.dns(rng, 3)], [net.pings(rng, 5)]


def many_flows(rng):
    """Some fifty flows of a few packets."""
    return [net.dns(rng, 30, every_s=0.05)], [net.http(rng, 14, segments=3)], [net.pings(rng, 5)]


def picture(lanes, seed, *rules):
    """Explain the losses of some traffic; `rules` take a random generator."""
    rng = np.random.default_rng(seed)
    told = [rule(rng) for rule in rules]
    return loss.explain(comparison(net.play(told, *lanes(rng))).hops[0].forward)


def kinds(pictures):
    """Count which kinds of explanation were found together."""
    return collections.Counter(tuple(sorted(e.kind.value for e in p.explanations)) for p in pictures)


def fixed(rule):
    return lambda rng: rule


def random(ratio):
    return lambda rng: net.at_random(rng, ratio)


def bursts(ratio, burst_s):
    return lambda rng: net.in_bursts(rng, ratio, burst_s)


SEEDS = range(8)


@pytest.mark.parametrize("lanes", [steps, busy, short, many_flows])
@pytest.mark.parametrize("ratio", [0.001, 0.01, 0.05, 0.2])
def test_random_loss_is_never_taken_for_anything_else(lanes, ratio):
    found = kinds(picture(lanes, seed, random(ratio)) for seed in range(40))
    assert set(found) == {()}


@pytest.mark.parametrize("lanes", [steps, busy, many_flows])
@pytest.mark.parametrize(("ratio", "burst_s"), [(0.01, 0.003), (0.05, 0.003), (0.01, 0.01), (0.05, 0.01)])
def test_loss_in_short_bursts_is_never_taken_for_anything_else(lanes, ratio, burst_s):
    found = kinds(picture(lanes, seed, bursts(ratio, burst_s)) for seed in range(30))
    assert set(found) == {()}


def test_half_of_all_packets_lost_at_random_is_still_random():
    found = kinds(picture(lanes, seed, random(0.5)) for lanes in (steps, busy) for seed in range(30))
    assert set(found) == {()}


def test_nothing_lost_has_no_explanation():
    told = picture(busy, 1)
    assert (told.lost, told.explanations, len(told.unexplained)) == (None, (), 0)


FAULTS = {
    "path from 2 s on": (net.between(2, 1e9), LossKind.PATH, (steps, busy, many_flows)),
    "outage of 1 s": (net.between(1, 2), LossKind.INTERRUPTION, (busy,)),
    "outage of 0.4 s": (net.between(1, 1.4), LossKind.INTERRUPTION, (busy,)),
    "dead at first": (net.between(0, 1), LossKind.INTERRUPTION, (busy, many_flows)),
    "above 1450": (net.above(1450), LossKind.SIZE, (steps, busy, many_flows)),
    "above 1200": (net.above(1200), LossKind.SIZE, (steps, busy, many_flows)),
    "above 1450 from 4 s on": (net.both(net.above(1450), net.between(4, 1e9)), LossKind.SIZE, (many_flows,)),
    "TCP and UDP": (net.of_protocols(TCP, UDP), LossKind.PROTOCOL, (steps, busy, many_flows)),
    "ICMP": (net.of_protocols(ICMP), LossKind.PROTOCOL, (steps, busy, many_flows, short)),
    "port 8080": (net.to_port(8080), LossKind.FLOW, (steps, busy, many_flows)),
    "DNS": (net.to_port(53), LossKind.FLOW, (steps, busy, many_flows, short)),
    "DNS from 2 s on": (net.both(net.to_port(53), net.between(2, 1e9)), LossKind.FLOW, (steps,)),
    "one address": (net.to_address("10.233.65.250"), LossKind.FLOW, (steps, busy, many_flows)),
    "one of 2 paths": (net.of_member(2, 1), LossKind.ECMP, (steps, busy, many_flows)),
    "one of 4 paths": (net.of_member(4, 1), LossKind.ECMP, (steps, busy, many_flows)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_alone_and_once(name):
    """Every lost packet is explained, by one explanation of the right kind, whatever the traffic."""
    rule, kind, mixes = FAULTS[name]
    for lanes in mixes:
        for seed in SEEDS:
            told = picture(lanes, seed, fixed(rule))
            assert [e.kind for e in told.explanations] == [kind], (lanes.__name__, seed)
            assert len(told.unexplained) == 0


@pytest.mark.parametrize("name", ["above 1450", "ICMP", "port 8080", "one of 4 paths", "path from 2 s on"])
def test_a_fault_and_random_loss_are_both_seen(name):
    rule, kind, _ = FAULTS[name]
    for seed in SEEDS:
        told = picture(busy, seed, fixed(rule), random(0.02))
        assert [e.kind for e in told.explanations] == [kind], seed
        assert len(told.unexplained) > 0
        small = told.judged - sum(len(e.packets) for e in told.explanations)
        assert len(told.unexplained) < 0.06 * small + 5


@pytest.mark.parametrize(
    ("names", "lanes"),
    [
        (("outage of 1 s", "above 1450"), busy),
        (("outage of 1 s", "port 8080"), busy),
        (("above 1450", "DNS"), many_flows),
        (("above 1450", "one of 4 paths"), many_flows),
        (("above 1450", "DNS", "outage of 0.4 s"), busy),
    ],
)
def test_faults_at_once_are_all_seen(names, lanes):
    wanted = sorted(FAULTS[n][1].value for n in names)
    found = kinds(picture(lanes, seed, *(fixed(FAULTS[n][0]) for n in names)) for seed in SEEDS)
    assert found[tuple(wanted)] >= len(SEEDS) - 1, found


def test_two_outages_are_two():
    told = picture(busy, 3, fixed(net.between(0.5, 1)), fixed(net.between(1.7, 2.3)))
    begins = sorted((e.from_ns - START_NS) / 1e9 for e in told.explanations)
    assert begins == pytest.approx([0.5, 1.7], abs=0.01)


def forward(*traffic):
    return loss.explain(comparison(list(traffic)).hops[0].forward)


def test_a_blocked_service_of_large_packets_only_is_one_finding():
    """Bulk that is lost whole and larger than all else fits a size and a service: the size is told."""
    bulk = Traffic(Flow(dport=5201), packets=50, payload=1400, every_s=0.1, lost=True)
    told = forward(bulk, Traffic(ping(), packets=60, every_s=0.1))
    assert [e.kind for e in told.explanations] == [LossKind.SIZE]
    assert LossKind.FLOW in told.explanations[0].rivals


def test_a_blocked_service_of_small_packets_is_not_a_size():
    """A limit of 200 bytes is nothing that links have."""
    small = Traffic(Flow(dport=5201), packets=30, payload=150, every_s=0.1, lost=True)
    told = forward(small, Traffic(ping(), packets=60, payload=40, every_s=0.1))
    assert [e.kind for e in told.explanations] == [LossKind.FLOW]


def test_one_flow_of_many_to_a_service_is_a_path_not_a_service():
    flows = [
        Traffic(Flow(protocol=TCP, sport=40000 + i, dport=80), packets=20, lost=i == 3) for i in range(8)
    ]
    told = forward(*flows)
    assert [e.kind for e in told.explanations] == [LossKind.ECMP]


def test_a_stalled_transfer_at_the_end_is_a_size_not_a_path_that_died():
    """Nothing arrives any more because nothing small is sent any more."""
    web = Flow(protocol=TCP, sport=40000, dport=8080)
    early = Traffic(web, packets=30, payload=50, every_s=0.05)
    stuck = Traffic(web, time_s=2 + np.array([0, 0.2, 0.6, 1.4, 3.0, 6.2]), payload=1400, lost=True)
    assert [e.kind for e in forward(early, stuck).explanations] == [LossKind.SIZE]


def test_what_is_judged_unknown_is_no_evidence():
    silent = Traffic(Flow(dport=53), packets=50, unknown=True)
    told = forward(silent, Traffic(ping()))
    assert (told.judged, told.explanations) == (100, ())


def test_the_second_tunnel_endpoint_alone_may_be_dead():
    dead = Flow(outer_dst="172.26.50.202", dst="10.233.65.21")
    told = forward(
        Traffic(dead, packets=40, every_s=0.1, lost=True),
        Traffic(Flow(outer_dst="172.26.50.202", dst="10.233.65.22", dport=53), packets=40, lost=True),
        Traffic(ping(dst="10.233.65.23", outer_dst="172.26.50.202"), packets=40, lost=True),
        Traffic(Flow(dst="10.233.65.20", dport=53), packets=40),
        Traffic(Flow(dst="10.233.65.20"), packets=40),
        Traffic(ping(), packets=40),
    )
    assert [(e.kind, e.rule.trait) for e in told.explanations] == [(LossKind.PATH, Trait.TUNNEL_ENDPOINT)]


def test_losses_at_the_edge_of_an_outage_belong_to_it():
    lost = np.zeros(1000, bool)
    lost[300:500] = True
    lost[298] = lost[502] = True
    told = forward(Traffic(packets=1000, every_s=0.005, lost=lost))
    assert [e.kind for e in told.explanations] == [LossKind.INTERRUPTION]
    assert len(told.unexplained) == 0


def test_an_explanation_names_its_own_chance():
    told = forward(Traffic(ping(), packets=5, every_s=0.2, lost=True))
    assert [e.kind for e in told.explanations] == [LossKind.PATH]
    assert told.explanations[0].chance < 1e-5


def test_four_lost_packets_within_a_millisecond_prove_nothing():
    told = forward(Traffic(packets=4, every_s=0.0002, lost=True))
    assert told.explanations == ()


def test_directions_are_explained_once():
    direction = comparison([Traffic(lost=True)]).hops[0].forward
    assert loss.explain(direction) is loss.explain(direction)
