"""A blocked protocol is lost to every service and at every size while others arrive."""

import numpy as np
import pytest

from tests.simulate import TCP, UDP, Flow, Traffic, checks, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import flow_blocked, protocol_blocked
from vxlanalyze.wire.model import Checksum

PINGS = Traffic(ping(), packets=30, every_s=0.1, payload=1200)
SYN_80 = Flow(protocol=TCP, sport=40000, dport=80)
SYN_443 = Flow(protocol=TCP, sport=40001, dport=443)
QUERY = Flow(protocol=UDP, sport=40002, dport=53)


def syns(flow, lost=True, n=8, **more):
    return Traffic(flow, packets=n, every_s=0.5, payload=0, lost=lost, **more)


def of(forward, label="node1>node2"):
    return [a for a in protocol_blocked.check(comparison(forward)) if a.direction == label]


def test_tcp_and_udp_lost_and_icmp_delivered_is_found():
    (finding,) = of([PINGS, syns(SYN_80), syns(QUERY)])

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("protocol-blocked", Severity.CRITICAL)
    assert finding.summary.startswith("TCP and UDP from node1 to node2 are completely lost (16 packets)")
    assert finding.evidence["lost_protocols"].value == "TCP, UDP"
    assert finding.evidence["delivered_protocols"].value == "ICMP"
    assert finding.evidence["lost"].value == 16
    assert finding.evidence["delivered"].value == 30
    assert finding.evidence["smallest_lost"].value == 78
    assert finding.frame_count == 16
    assert "such as 8223" in finding.remedy


def test_one_protocol_lost_to_two_services_is_found():
    (finding,) = of([PINGS, syns(SYN_80), syns(SYN_443), syns(QUERY, lost=False)])
    assert finding.evidence["lost_protocols"].value == "TCP"


def test_lost_icmp_is_a_protocol():
    (finding,) = of([Traffic(ping(), packets=10, every_s=0.2, lost=True), syns(SYN_80, lost=False, n=30)])
    assert finding.summary.startswith("ICMP from node1 to node2 is completely lost")
    assert "vmxnet3" not in finding.remedy
    assert "inner packets of ICMP" in finding.remedy
    assert "10 ICMP packets are lost, of 178 bytes; 30 TCP packets arrive" in finding.explanation


def test_unfilled_checksums_speak_for_the_hypervisor():
    partial = checks(inner_l4=Checksum.PARTIAL)
    (finding,) = of([PINGS, syns(SYN_80, sent_checks=partial), syns(QUERY, sent_checks=partial)])
    assert "16 of the lost packets left with their inner checksum to be filled in" in finding.explanation


def test_a_protocol_lost_from_a_moment_on_names_it():
    lost = np.arange(40) >= 20
    traffic = [syns(f, n=40, lost=lost) for f in (SYN_80, SYN_443)]
    (finding,) = of([Traffic(ping(), packets=200, every_s=0.1), *traffic])
    assert finding.summary.startswith("From 2023-11-14T22:13:30.000Z on, TCP")


def test_everything_delivered_is_clear():
    assert of([PINGS, syns(SYN_80, lost=False)]) == []


def test_a_single_protocol_leaves_nothing_to_compare():
    (answer,) = of([syns(SYN_80, n=40, lost=np.arange(40) % 9 == 0)])
    assert isinstance(answer, NotAssessed)
    assert "one inner protocol" in answer.reason


@pytest.mark.parametrize(
    "traffic",
    [
        [PINGS, syns(SYN_80), syns(SYN_443, lost=False)],  # one service of two
        [PINGS, syns(SYN_80)],  # one service is all that was sent of it
    ],
)
def test_one_lost_service_is_not_its_protocol(traffic):
    assert of(traffic) == []
    assert flow_blocked.check(comparison(traffic))[0].code == "flow-blocked"


def test_large_tcp_packets_alone_lost_are_not_their_protocol():
    """Small TCP packets arrive: it is the size."""
    sizes = np.where(np.arange(60) % 2, 1398, 0)
    bulk = Traffic(SYN_80, packets=60, every_s=0.1, payload=sizes, lost=sizes > 0)
    assert of([PINGS, bulk]) == []


def test_random_loss_among_few_packets_of_a_protocol_is_clear():
    rng = np.random.default_rng(5)
    assert of([Traffic(packets=300, lost=rng.random(300) < 0.1), syns(SYN_80, n=2)]) == []


def test_a_lost_address_family_is_named_as_such():
    """IPv4 is lost whatever it carries, and the same protocols arrive over IPv6."""
    over_six = {"src": "fd00:10:1::5", "dst": "fd00:10:2::9"}
    passing = [
        Traffic(Flow(protocol=p, sport=40010, dport=d, **over_six), packets=20, every_s=0.2, payload=100)
        for p, d in ((TCP, 80), (UDP, 53))
    ]

    (finding,) = of([syns(SYN_80, n=12), syns(QUERY, n=12), *passing])

    assert finding.summary == "IPv4 from node1 to node2 is completely lost (24 packets), while IPv6 arrives"
    assert "address family that decides" in finding.explanation
    assert "inner packets of IPv4" in finding.remedy


@pytest.mark.parametrize(("ports", "codes"), [((8080, 9090), ["protocol-blocked"]), ((8080,), [])])
def test_a_protocol_with_one_service_is_lost_like_that_of_the_other_direction(ports, codes):
    forward = [syns(Flow(protocol=TCP, sport=40000 + p, dport=p)) for p in ports]
    back = Flow(protocol=TCP, sport=41000, dport=9443).reverse(sport=41000, dport=9443)
    pair = comparison([Traffic(ping()), *forward], [Traffic(ping().reverse()), syns(back)])
    found = protocol_blocked.check(pair)
    assert [a.code for a in found if a.direction == "node2>node1"] == codes
