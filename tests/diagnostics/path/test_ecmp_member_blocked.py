"""A dead path of several takes whole outer source ports, of every size and to every service."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.analysis.loss import whole_ports
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.diagnostics.path import ecmp_member_blocked, packet_loss


def flows(n=30, bad=lambda i: i % 4 == 1, packets=6):
    """Connections and queries in turn; what is bad loses everything."""
    traffic = []
    for i in range(n):
        web = i % 2 == 0
        flow = Flow(
            protocol=TCP if web else 17, sport=40000 + i, dport=80 if web else 53, outer_sport=50000 + i
        )
        payload = np.where(np.arange(packets) % 2, 1200, 0) if web else 60
        traffic.append(
            Traffic(flow, packets=packets, start_s=i * 0.2, every_s=0.4, payload=payload, lost=bad(i))
        )
    return traffic


def of(forward):
    return [a for a in ecmp_member_blocked.check(comparison(forward)) if a.direction == "node1>node2"]


def test_a_quarter_of_all_source_ports_lost_is_found():
    (finding,) = of(flows(bad=lambda i: i % 4 in (1, 2) and i < 16))

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("ecmp-member-blocked", Severity.CRITICAL)
    assert finding.summary.startswith("8 of 30 outer source ports from node1 to node2 lose every packet")
    assert finding.evidence["lost_source_ports"].value.startswith("50001, 50002, 50005")
    assert finding.evidence["lost_ports"].value == 8
    assert finding.evidence["ports"].value == 30
    assert finding.evidence["lost"].value == 48
    assert finding.evidence["delivered"].value == 132
    assert finding.frame_count == 48
    assert {r.code for r in finding.ruled_out} >= {"mtu-blackhole", "flow-blocked"}
    assert "50001" in finding.remedy


def test_flows_of_one_packet_prove_it_together_with_longer_ones():
    queries = flows(n=40, packets=1)
    assert isinstance(of([*flows(), *(t for t in queries if t.flow.dport == 53)])[0], Finding)


def test_everything_delivered_is_clear():
    assert of(flows(bad=lambda i: False)) == []


def test_one_source_port_for_all_leaves_nothing_to_compare():
    lost = np.arange(100) % 10 == 0
    (answer,) = of([Traffic(lost=lost)])
    assert isinstance(answer, NotAssessed)
    assert "one outer source port" in answer.reason


def test_a_blocked_service_of_many_source_ports_is_not_a_path():
    assert of(flows(bad=lambda i: i % 2 == 0)) == []


@pytest.mark.parametrize("seed", range(30))
def test_random_loss_among_flows_of_a_few_packets_is_clear(seed):
    rng = np.random.default_rng(seed)
    ratio = rng.choice([0.02, 0.1, 0.25])
    forward = [
        Traffic(Flow(sport=40000 + i, dport=53), packets=2, start_s=i * 0.05, lost=rng.random(2) < ratio)
        for i in range(60)
    ]
    assert of([*forward, Traffic(ping(), packets=50, lost=rng.random(50) < ratio)]) == []


def test_a_short_outage_that_takes_whole_flows_is_clear():
    """All flows that began while the path was down lost everything, and no other did."""
    stream = np.arange(900) * 0.01
    traffic = [Traffic(time_s=stream, lost=(stream > 3) & (stream < 5))]
    traffic += [
        Traffic(Flow(sport=41000 + i, dport=53), time_s=[i * 0.3], lost=3 < i * 0.3 < 5) for i in range(30)
    ]
    assert of(traffic) == []


def queries(count, bad, seed=3):
    """Queries of one packet each, from ports as a hash makes them."""
    ports = np.random.default_rng(seed).permutation(np.arange(32768, 60999))[:count].tolist()
    return [
        Traffic(Flow(sport=port, dport=53, outer_sport=port), packets=1, start_s=i * 0.3, lost=bad(port))
        for i, port in enumerate(ports)
    ]


@pytest.mark.parametrize("paths", [2, 3, 8])
def test_ports_of_one_remainder_need_few_packets(paths):
    """One of eight paths: some ten lost queries of eighty, each of another port."""
    (finding,) = of(queries(80, lambda port: port % paths == 1))
    assert isinstance(finding, Finding)
    assert f"Divided by {paths}, all that are lost leave 1, and no other does" in finding.explanation


def test_a_service_that_loses_half_of_its_answers_is_no_path():
    """Each from a port of its own; of three other ports nothing is lost, which may be random."""
    lost = set(np.random.default_rng(4).permutation(30)[:15].tolist())
    half = [
        Traffic(
            Flow(sport=53, dport=30000 + i, outer_sport=50000 + i), packets=1, start_s=i * 0.3, lost=i in lost
        )
        for i in range(30)
    ]
    others = [Traffic(Flow(protocol=TCP, sport=8080, dport=41000 + i), packets=60) for i in range(3)]
    assert of([*half, *others]) == []
    (finding,) = [a for a in packet_loss.check(comparison([*half, *others])) if a.direction == "node1>node2"]
    assert finding.evidence["heavier_for"].value is not None
    assert "one failed path of several would look like this as well" in finding.explanation


def loss_of_every(count, nth):
    """What packet-loss says where one of so many queries of one packet each is lost, in no strict turn."""
    every = queries(count, lambda port: False)
    chosen = {every[at].flow.outer_sport for at in np.random.default_rng(2).permutation(count)[::nth]}
    forward = queries(count, lambda port: port in chosen)
    assert of(forward) == []
    return next(a for a in packet_loss.check(comparison(forward)) if a.direction == "node1>node2")


def test_few_lost_ports_without_a_common_remainder_are_left_to_chance():
    finding = loss_of_every(80, 10)
    assert finding.evidence["suspected"].value is None
    assert "None of the 8 outer source ports that lose packets delivers any" in finding.explanation
    assert "one failed path of several would look like this as well" in finding.explanation


def test_more_lost_ports_than_chance_would_take_are_suspected():
    finding = loss_of_every(40, 3)
    assert finding.evidence["suspected"].value == "ecmp-member-blocked"
    assert finding.summary.endswith("; perhaps one of several equal paths is dead")
    assert "too probable to be sure" in finding.explanation


def light_flows(rng, dead, *, packets=2, number=600, services=5):
    """Flows of a few packets each, seconds apart; `dead` says which lose all."""
    return [
        Traffic(
            Flow(sport=30000 + n, dport=8000 + n % services, outer_sport=33000 + n),
            time_s=np.sort(rng.uniform(0, 60, packets)),
            lost=bool(dead[n]),
        )
        for n in range(number)
    ]


def ecmp(traffic):
    return [
        a
        for a in ecmp_member_blocked.check(comparison(traffic))
        if a.direction == "node1>node2" and hasattr(a, "summary")
    ]


@pytest.mark.parametrize("seed", range(3))
def test_one_dead_path_of_many_is_found_among_light_flows(seed):
    rng = np.random.default_rng(seed)
    dead = rng.random(600) < 1 / 16
    (finding,) = ecmp(light_flows(rng, dead))

    assert finding.evidence["lost"].value == 2 * dead.sum()
    assert finding.evidence["lost_ports"].value == dead.sum()


@pytest.mark.parametrize("seed", range(5))
def test_random_loss_among_light_flows_is_no_dead_path(seed):
    rng = np.random.default_rng(seed)
    traffic = [
        Traffic(t.flow, time_s=t.time_s, lost=rng.random(2) < 0.06) for t in light_flows(rng, np.zeros(600))
    ]
    assert not ecmp(traffic)


def test_flows_whose_packets_are_close_together_prove_nothing():
    """A burst takes both packets of a flow, or none."""
    rng = np.random.default_rng(1)
    traffic = [
        Traffic(t.flow, time_s=0.1 * n + np.array([0, 1e-5]), lost=bool(rng.random() < 0.06))
        for n, t in enumerate(light_flows(rng, np.zeros(600)))
    ]
    direction = comparison(traffic).hops[0].forward
    lost = Losses.of(direction)
    assert whole_ports.find(direction, lost, np.ones(len(lost.packet), bool), 1e-4) is None


@pytest.mark.parametrize("every", [2, 3, 4])
def test_loss_in_turn_is_a_dead_member(every):
    rng = np.random.default_rng(every)
    times = np.sort(rng.uniform(0, 20, 600))
    of = rng.integers(0, 7, 600)
    lost = np.arange(600) % every == every - 1
    (finding,) = ecmp(
        [Traffic(Flow(sport=30000 + f), time_s=times[of == f], lost=lost[of == f]) for f in range(7)]
    )

    assert finding.evidence["every"].value == every
    assert "packet" in finding.summary
    assert "one of" in finding.summary


def test_large_packets_that_come_in_turn_are_no_dead_member():
    lost = (np.arange(400) % 2 == 1) & (np.random.default_rng(4).random(400) < 0.95)
    sizes = np.where(np.arange(400) % 2 == 1, 1400, 60)
    half = np.arange(400) < 200
    traffic = [
        Traffic(
            Flow(sport=30000 + f),
            time_s=0.01 * np.flatnonzero(half == f),
            payload=sizes[half == f],
            lost=lost[half == f],
        )
        for f in (0, 1)
    ]
    assert not ecmp(traffic)
