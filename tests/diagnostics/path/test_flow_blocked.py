"""A blocked service or endpoint loses everything while the rest arrives."""

import numpy as np
import pytest

from tests.simulate import POD2, TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import flow_blocked
from vxlanalyze.kubernetes.model import Cluster, Pod

OTHERS = [Traffic(ping(), packets=60, every_s=0.1, payload=1200), Traffic(Flow(dport=53), packets=40)]


def connections(lost=True, n=6, port=8080, tries=2, dst=POD2):
    """Connections given up after some SYNs, each from its own port."""
    return [
        Traffic(
            Flow(protocol=TCP, dst=dst, sport=40000 + i, dport=port),
            packets=tries,
            start_s=i * 0.7,
            every_s=1,
            payload=0,
            lost=lost,
        )
        for i in range(n)
    ]


def of(pair, label="node1>node2"):
    return [a for a in flow_blocked.check(pair) if a.direction == label]


def test_a_blocked_service_is_found():
    (finding,) = of(comparison([*OTHERS, *connections()]))

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("flow-blocked", Severity.CRITICAL)
    assert finding.summary == (
        "TCP port 8080 of 10.233.65.20: all 12 packets from node1 to node2 are lost, "
        "while 100 other packets arrive"
    )
    assert finding.evidence["lost"].value == 12
    assert finding.evidence["flows"].value == 6
    assert finding.evidence["delivered"].value == 100
    assert finding.evidence["chance"].value < 1e-6
    assert finding.frame_count == 12
    assert {r.code for r in finding.ruled_out} >= {"path-blocked", "mtu-blackhole", "ecmp-member-blocked"}


def test_the_service_is_named_as_the_cluster_names_it():
    cluster = Cluster(pods=(Pod("web-0", "default", "node2", (POD2,)),))
    (finding,) = of(comparison([*OTHERS, *connections()], cluster=cluster))
    assert "10.233.65.20 (default/web-0)" in finding.summary


def test_answers_of_a_service_are_named_as_answers():
    answers = [
        Traffic(Flow(protocol=TCP, sport=8080, dport=40000 + i), packets=3, every_s=1, payload=0, lost=True)
        for i in range(5)
    ]
    (finding,) = of(comparison([*OTHERS, *answers]))
    assert finding.summary.startswith("Answers from TCP port 8080 of 10.233.64.10")


def test_a_port_lost_at_every_address_is_one_port():
    (finding,) = of(comparison([*OTHERS, *connections(), *connections(dst="10.233.65.30")]))
    assert finding.evidence["blocked"].value == "TCP port 8080"


def test_an_address_lost_for_all_services_is_one_address():
    dead = "10.233.65.99"
    traffic = [
        Traffic(ping(dst=dead, dport=5), packets=10, every_s=0.3, lost=True),
        *connections(dst=dead),
        *connections(lost=False),
    ]
    (finding,) = of(comparison([*OTHERS, *traffic]))
    assert finding.evidence["blocked"].value == "everything to 10.233.65.99"


def test_two_blocked_services_are_one_finding():
    more = connections(port=9090)
    (finding,) = of(comparison([*OTHERS, *connections(), *more, *connections(port=80, lost=False)]))
    assert finding.evidence["blocked"].value == (
        "TCP port 8080 of 10.233.65.20, TCP port 9090 of 10.233.65.20"
    )
    assert finding.evidence["lost"].value == 24


def test_everything_delivered_is_clear():
    assert of(comparison([*OTHERS, *connections(lost=False)])) == []


def test_two_lost_packets_of_a_service_are_no_proof():
    assert of(comparison([*OTHERS, *connections(n=1)])) == []


def test_a_direction_that_cannot_be_judged_is_not_assessed():
    why = {"node1>node2": {"assessed": False, "not_assessed_why": "no"}}
    assert isinstance(of(comparison(OTHERS, directions=why))[0], NotAssessed)


def test_one_dead_path_of_several_is_not_a_service():
    """Half of the connections to each service fail, whole."""
    forward = [
        t for port in (80, 8080) for i, t in enumerate(connections(port=port, n=12, lost=False, tries=5))
    ]
    forward = [
        Traffic(t.flow, packets=5, start_s=t.start_s, every_s=1, payload=0, lost=i % 2 == 0)
        for i, t in enumerate(forward)
    ]
    assert of(comparison(forward)) == []


def test_an_outage_in_the_time_of_a_service_is_not_that_service():
    """The service was reached before the outage."""
    lost = (np.arange(400) >= 100) & (np.arange(400) < 300)
    assert of(comparison([Traffic(packets=400, every_s=0.01, lost=lost), Traffic(ping(), packets=5)])) == []


@pytest.mark.parametrize("seed", range(20))
def test_random_loss_among_many_small_services_is_clear(seed):
    rng = np.random.default_rng(seed)
    forward = [
        Traffic(Flow(dst=f"10.233.65.{i}", dport=53, sport=30000 + i), packets=3, lost=rng.random(3) < 0.1)
        for i in range(1, 80)
    ]
    assert of(comparison(forward)) == []


def test_what_cannot_be_told_apart_is_said():
    """The one connection of a service is one outer source port too."""
    (finding,) = of(comparison([*OTHERS, *connections(n=1, tries=8)]))
    assert "One dead path of several would fit as well" in finding.explanation
