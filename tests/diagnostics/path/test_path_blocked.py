"""A blocked path is a direction of which nothing arrives; where anything does, it is something else."""

import numpy as np
import pytest

from tests.simulate import NODE1, NODE2, START_NS, TCP, Flow, Traffic, Tunnel, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import path_blocked
from vxlanalyze.wire.model import Anomaly

WEB = Flow(protocol=TCP, sport=40000, dport=8080)
BACK = [Traffic(ping().reverse(), packets=30)]


def blocked(n=20):
    return [
        Traffic(ping(), packets=n, every_s=0.2, lost=True),
        Traffic(WEB, packets=n, every_s=0.2, payload=1200, lost=True),
    ]


def of(pair, label="node1>node2"):
    return [a for a in path_blocked.check(pair) if a.direction == label]


def test_nothing_of_any_kind_arrives_is_found():
    (finding,) = of(comparison(blocked(), BACK))

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("path-blocked", Severity.CRITICAL)
    assert finding.summary == "None of the 40 packets that node1 sends to node2 arrives"
    assert finding.evidence["lost"].value == 40
    assert finding.evidence["delivered"].value == 0
    assert finding.evidence["smallest_lost"].value == 178
    assert finding.evidence["largest_lost"].value == 1302
    assert finding.evidence["chance"].value < 1e-15
    assert len(finding.frames["node1"]) == 40
    assert finding.frame_count == 40
    assert {r.code for r in finding.ruled_out} >= {"mtu-blackhole", "protocol-blocked"}
    assert "ip.src == 172.26.50.200 && ip.dst == 172.26.50.201" in finding.display_filter


def test_the_remedy_names_the_port_and_the_addresses():
    (finding,) = of(comparison(blocked(), BACK))
    assert "UDP 8472 from 172.26.50.200 to 172.26.50.201" in finding.remedy


def test_vmware_addresses_speak_for_the_hypervisor():
    traffic = [Traffic(ping(outer_src_mac=0x005056AABBCC), packets=20, every_s=0.2, lost=True)]
    (finding,) = of(comparison(traffic, BACK))
    assert "such as 8223" in finding.remedy


def test_the_other_direction_is_clear():
    assert of(comparison(blocked(), BACK), "node2>node1") == []


def test_a_path_that_dies_names_the_moment():
    lost = np.arange(100) >= 60
    traffic = [Traffic(ping(), packets=100, every_s=0.1, lost=lost), Traffic(every_s=0.1, lost=lost)]
    (finding,) = of(comparison(traffic, BACK))

    assert finding.summary.startswith("From 2023-11-14T22:13:26.000Z to the end, none of the 80 packets")
    assert START_NS == 1_700_000_000 * 10**9  # 2023-11-14T22:13:20Z
    assert finding.evidence["delivered"].value == 120
    assert finding.evidence["blocked_for"].value == 3_900_000_000
    assert "find what changed" in finding.remedy
    assert "burst-outage" in {r.code for r in finding.ruled_out}


@pytest.mark.parametrize(
    ("back_s", "says"),
    [
        (2.0, "node2's capture holds nothing at all: make sure that it was still running"),
        (9.0, "node2's capture goes on with 10 other frames"),
    ],
)
def test_a_path_that_dies_says_whether_the_receiver_saw_anything_afterwards(back_s, says):
    stream = Traffic(ping(), packets=50, every_s=0.2, lost=np.arange(50) >= 30)
    back = Traffic(ping().reverse(), packets=10, start_s=back_s)
    (finding,) = of(comparison([stream], [back]))
    assert f"After the last one, {says}" in finding.explanation
    assert finding.summary.endswith("unless node2's capture ended then") == (back_s < 5)


def test_an_empty_capture_at_the_receiver_is_said():
    (finding,) = of(comparison(blocked()))
    assert "holds no frame at all" in finding.explanation


def test_five_of_five_lost_pings_are_enough():
    assert isinstance(of(comparison([Traffic(ping(), packets=5, every_s=0.2, lost=True)], BACK))[0], Finding)


def test_two_of_two_cannot_be_told_from_chance():
    (answer,) = of(comparison([Traffic(ping(), packets=2, every_s=0.2, lost=True)], BACK))
    assert isinstance(answer, NotAssessed)
    assert "2 packets sent and none arrived: too few" in answer.reason


def test_three_of_three_is_found():
    """A ping of three at its usual pace, while nothing else was sent: seldom chance."""
    answers = path_blocked.check(comparison([Traffic(ping(), packets=3, every_s=1, lost=True)]))
    assert [a.summary for a in answers if isinstance(a, Finding)] == [
        "None of the 3 packets that node1 sends to node2 arrives"
    ]


def test_a_direction_without_packets_is_not_assessed():
    (answer,) = of(comparison([], BACK))
    assert isinstance(answer, NotAssessed)


def test_a_direction_that_cannot_be_judged_gives_its_reason():
    why = {"node1>node2": {"assessed": False, "not_assessed_why": "several peers, and nothing names node2"}}
    (answer,) = of(comparison(blocked(), BACK, directions=why))
    assert answer == NotAssessed("path-blocked", "several peers, and nothing names node2", "node1>node2")


@pytest.mark.parametrize(
    "alive",
    [
        Traffic(ping(dport=9), packets=20, every_s=0.2),  # ICMP passes
        Traffic(WEB, packets=20, every_s=0.2, payload=20),  # small ones pass
        Traffic(Flow(dport=53), packets=20, every_s=0.2),  # another service passes
    ],
)
def test_where_anything_arrives_the_path_is_not_blocked(alive):
    assert of(comparison([Traffic(WEB, packets=20, every_s=0.2, payload=1300, lost=True), alive], BACK)) == []


def test_an_outage_that_ends_is_no_blocked_path():
    lost = (np.arange(200) >= 60) & (np.arange(200) < 160)
    assert of(comparison([Traffic(packets=200, every_s=0.05, lost=lost)], BACK)) == []


def test_packets_outside_of_the_window_are_no_evidence():
    """A receiver's capture that began late and ended early."""
    assert isinstance(of(comparison([Traffic(packets=50, unknown=True)], BACK))[0], NotAssessed)


def test_bare_packets_that_never_enter_the_tunnel_are_another_question():
    pair = comparison([Traffic(packets=30, lost=True)], points=("pod", "node1"), bare=("pod",))
    assert of(pair, "pod>node1") == []


def test_packets_that_die_between_the_card_and_the_pod_point_into_the_node():
    pair = comparison([Traffic(packets=30, every_s=0.1, lost=True)], points=("node2", "pod"), bare=("pod",))
    (finding,) = of(pair, "node2>pod")
    assert "dropped inside it" in finding.remedy


def test_other_bytes_to_the_same_port_that_arrive_name_what_is_filtered():
    """A hypervisor that swallows VXLAN lets the same port pass for everything else."""
    reserved = Anomaly.RESERVED_BITS.value
    junk = Flow(src="0.0.0.0", dst="0.0.0.0", protocol=0, sport=0, dport=0, vni=0xABCDEF)
    bare = Flow(src=NODE1, dst=NODE2, dport=8472, tunnel=Tunnel.NONE)
    forward = [*blocked(), Traffic(junk, packets=20, anomalies=reserved), Traffic(bare, packets=10)]
    pair = comparison(forward, BACK)
    pair.points[0].flows.family[pair.points[0].flows.protocol == 0] = 0

    (finding,) = of(pair)

    assert finding.summary == "None of the 40 packets that node1 sends to node2 arrives"
    assert "30 packets to the same port that carry no tunnel arrived" in finding.explanation
    assert "nc -u" not in finding.remedy
