"""Silence is reported where everything that asks arrives and nothing at all is answered, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, TCP, Flow, Traffic, Tunnel, checks, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.receiver import not_answered
from vxlanalyze.pairing.model import Point
from vxlanalyze.wire.model import Anomaly, Checksum

ACK, SYN = 0x10, 0x02
LATE = Traffic(Flow(sport=1, dport=2), packets=1, start_s=30)
ELSEWHERE = replace(LATE.flow, inner_dst_mac=0)  # no MAC of its own
WEB = Flow(protocol=TCP, sport=41000, dport=8080)
DNS = Flow(sport=35000, dport=53, dst="10.233.65.250")
PROHIBITED = 13


def asks(n=10, **changes):
    return Traffic(ping(**changes), packets=n)


def of(pair, label="node1>node2"):
    return [a for a in not_answered.check(pair) if a.direction == label]


def assess(forward, backward=(), **more):
    return of(comparison([*forward, LATE], backward, **more))


def test_requests_that_arrive_and_get_no_answer_are_found():
    syns = Traffic(WEB, packets=4, payload=0, seq=1000, tcp_flags=SYN)
    queries = Traffic(DNS, packets=6, seq=np.arange(6) << 16 | 0x0100)

    (finding,) = assess([asks(), syns, queries])

    assert isinstance(finding, Finding)
    assert finding.severity is Severity.CRITICAL
    assert finding.evidence["unanswered_requests"].value == 20
    assert finding.evidence["unanswered_echo_requests"].value == 10
    assert finding.evidence["unanswered_dns_queries"].value == 6
    assert finding.evidence["unanswered_tcp_syns"].value == 4
    assert finding.evidence["endpoints"].value == 2
    assert finding.frame_count == 40
    assert "20 requests from node1 reached node2 and none was answered" in finding.summary
    assert "10.233.65.250" in finding.explanation


def test_answers_to_a_handshake_are_called_what_they_are():
    accepted = Traffic(WEB, packets=4, payload=0, seq=1000, tcp_flags=0x12)

    (finding,) = assess([asks(), accepted])

    assert finding.evidence["unanswered_tcp_syn_acks"].value == 4
    assert "4 TCP SYN ACKs" in finding.explanation
    assert "TCP SYNs" not in finding.explanation


def test_what_the_headers_show_is_ruled_out():
    (finding,) = assess([asks()], [Traffic(Flow(sport=3, dport=4).reverse())])
    assert {r.code for r in finding.ruled_out} == {
        "path-blocked",
        "vni-mismatch",
        "stale-tunnel-mac",
        "outer-checksum-bad",
        "inner-checksum-bad",
    }


def test_wrong_checksums_are_not_ruled_out():
    wrong = Traffic(ping(), packets=10, received_checks=checks(outer_l4=Checksum.BAD))
    (finding,) = assess([wrong])
    assert "outer-checksum-bad" not in {r.code for r in finding.ruled_out}


def test_one_endpoint_may_be_dead_by_itself_and_that_is_said():
    (finding,) = assess([asks()])
    assert f"{POD2} alone is dead cannot be excluded" in finding.explanation


def test_a_node_that_sends_to_another_port_is_suspected_to_listen_there():
    (finding,) = assess([asks()], [Traffic(Flow(sport=3, dport=4).reverse(outer_dport=4789))])
    assert "node2 uses 4789" in finding.summary


def test_nodes_with_different_kinds_of_tunnel_are_named_with_both_kinds():
    back = Traffic(Flow(sport=3, dport=4).reverse(tunnel=Tunnel.GENEVE, outer_dport=6081))
    (finding,) = assess([asks()], [back])

    assert "they are VXLAN (UDP port 8472), node2 uses Geneve (UDP port 6081)" in finding.summary
    assert finding.remedy.startswith("Use one kind of tunnel on both nodes")
    assert "same port" not in finding.remedy
    assert "node2# ip -d link show type geneve" in finding.remedy


def test_the_capture_to_take_is_filtered_by_tunnel_and_peer():
    (finding,) = assess([asks()])

    expected = f"node2# tcpdump -ni any -c 20 '(udp port 8472 and src host {NODE1}) or host {POD2}'"
    assert expected in finding.remedy.splitlines()


def test_requests_over_ipv6_are_not_looked_for_in_settings_of_ipv4():
    (finding,) = assess([asks(src="fd10::1", dst="fd10::2")])

    assert "ip6tables -L FORWARD -nv" in finding.remedy
    assert "rp_filter=" not in finding.remedy


def test_zero_checksums_over_ipv6_are_suspected():
    (finding,) = assess([asks(outer_src="fd00::1", outer_dst="fd00::2")])
    assert "zero over IPv6" in finding.summary
    assert finding.remedy.startswith("Set `udp6zerocsumtx`")


def test_a_mac_that_the_node_never_sends_from_is_suspected():
    back = Traffic(Flow(sport=3, dport=4).reverse(inner_src_mac=0x0E0000000077, inner_dst_mac=0x0E0000000001))
    pair = comparison([asks(inner_dst_mac=0x0E0000000099), replace(LATE, flow=ELSEWHERE)], [back])
    (finding,) = of(pair)
    assert "go to the MAC 0e:00:00:00:00:99, node2 sends from 0e:00:00:00:00:77" in finding.summary
    assert finding.remedy.startswith("Compare the neighbour entry")


def test_a_router_s_mac_that_both_ways_go_to_is_nobody_s():
    shared = 0xAABBCCDDEEFF
    back = Traffic(Flow(sport=3, dport=4).reverse(inner_src_mac=0x0E0000000077, inner_dst_mac=shared))
    (finding,) = of(comparison([asks(inner_dst_mac=shared), replace(LATE, flow=ELSEWHERE)], [back]))
    assert "MAC" not in finding.summary


def test_a_single_answer_of_any_pod_is_enough_to_be_clear():
    others = Traffic(ping(dport=5, dst="10.233.65.9"), packets=2)
    assert assess([asks(), others], [Traffic(others.flow.reverse(), packets=1)]) == []


def test_answers_that_are_lost_on_their_way_back_left_the_node():
    assert assess([asks()], [Traffic(ping().reverse(), packets=10, lost=True)]) == []


def test_a_plain_udp_stream_asks_nothing():
    (answer,) = assess([Traffic()])
    assert isinstance(answer, NotAssessed)
    assert "nothing that expects an answer" in answer.reason


@pytest.mark.parametrize("requests", [1, 3])
def test_few_requests_do_not_exclude_chance(requests):
    (answer,) = assess([asks(requests)])
    assert isinstance(answer, NotAssessed)
    assert "4 would be needed" in answer.reason


def test_nothing_that_arrives_is_no_silence():
    (answer,) = of(comparison([Traffic(ping(), lost=True)]))
    assert isinstance(answer, NotAssessed)
    assert "no packet was seen to reach node2" in answer.reason


def test_requests_right_before_the_capture_ends_still_wait():
    (answer,) = of(comparison([Traffic(ping(), packets=10, every_s=0.001)]))
    assert isinstance(answer, NotAssessed)


def test_a_filter_that_hides_the_answers_is_seen_by_what_the_sender_acknowledges():
    talk = Traffic(WEB, packets=20, tcp_flags=[SYN] + [ACK] * 19, ack=np.arange(20) * 100)
    (answer,) = assess([talk])
    assert isinstance(answer, NotAssessed)
    assert "one way only" in answer.reason


def icmp_error(code, *, inside):
    """An ICMP error of node2's side that quotes an echo request, bare or as the tunnel carries it."""
    echo = headers.ipv4(POD1, POD2, 1, bytes([8, 0, 0, 0, 0, 77, 0, 1]) + bytes(20))
    outer = headers.udp(NODE1, NODE2, 43317, 8472, headers.vxlan(headers.ethernet(echo)))
    about = echo if inside else headers.ipv4(NODE1, NODE2, 17, outer)
    src, dst = (POD2, POD1) if inside else (NODE2, NODE1)
    packet = headers.ipv4(src, dst, 1, headers.icmp(3, code, about[:64]))
    flow = Flow(src=src, dst=dst, protocol=1, sport=3 << 8 | code, dport=0, outer_src=NODE2, outer_dst=NODE1)
    frame = headers.ethernet(packet)
    if inside:
        tunnelled = headers.udp(NODE2, NODE1, 43317, 8472, headers.vxlan(headers.ethernet(packet)))
        frame = headers.ethernet(headers.ipv4(NODE2, NODE1, 17, tunnelled))
    else:
        flow = replace(flow, tunnel=Tunnel.NONE)
    return Traffic(flow, packets=5, raw=[frame] * 5, anomalies=Anomaly.ICMP_ERROR.value)


def test_a_firewall_behind_the_tunnel_gives_itself_away():
    (finding,) = assess([asks()], seen_only={"node2": [icmp_error(PROHIBITED, inside=True)]})
    assert "a firewall after decapsulation rejects them" in finding.summary
    assert finding.evidence["rejected_inside"].value == 5
    assert "the rejecting rule" in finding.remedy
    assert "ReversePathFilter" not in finding.remedy


def test_a_firewall_before_the_tunnel_gives_itself_away():
    (finding,) = assess([asks()], seen_only={"node1": [icmp_error(PROHIBITED, inside=False)]})
    assert "a firewall rejects the tunnel's port" in finding.summary
    assert finding.evidence["rejected_outside"].value == 5


def test_an_outer_address_that_nobody_has_is_suspected():
    (finding,) = assess([asks()], seen_only={"node1": [icmp_error(1, inside=False)]})
    assert f"no host has the address {NODE2}" in finding.summary


def test_a_pod_that_refuses_is_not_silent():
    assert assess([asks()], seen_only={"node2": [icmp_error(3, inside=True)]}) == []


def with_inside(*if_indexes):
    """Requests that node2's capture shows on its network card, and bare on some other interfaces."""
    bare = [Traffic(ping(tunnel=Tunnel.NONE, if_index=i), packets=10) for i in if_indexes]
    pair = comparison([asks(), LATE], seen_only={"node2": bare})
    node2 = pair.points[1]
    flow = node2.index.flow
    places = [
        Point(
            name=f"node2/if{i}",
            capture=1,
            encapsulated=False,
            decoded=node2.decoded,
            rows=np.flatnonzero(node2.flows.if_index[flow] == i).astype(np.int32),
            segment_bytes=node2.segment_bytes,
            addresses=(),
            addresses_by="",
        )
        for i in (3, 7)
    ]
    return replace(pair, points=(*pair.points, *places))


@pytest.mark.parametrize(
    ("interfaces", "says", "out"),
    [
        ((), "never taken out of the tunnel", "no"),
        ((3,), "get no further than node2/if3", "yes"),
        ((3, 7), "seen up to node2/if7", "yes"),
    ],
)
def test_an_any_capture_shows_how_far_they_get(interfaces, says, out):
    (finding,) = of(with_inside(*interfaces))
    assert says in finding.summary
    assert finding.evidence["taken_out_of_tunnel"].value == out


def test_only_the_last_point_of_the_path_is_asked():
    pair = comparison([asks(), LATE], points=("a", "b", "c"))
    assert of(pair, "a>b") == []
    assert isinstance(of(pair, "b>c")[0], Finding)


def test_a_pod_at_the_end_of_the_path_is_looked_into_itself():
    (finding,) = assess([asks()], bare=("node2",))
    assert "interface of the pod itself" in finding.remedy


def with_policy(flow: Flow, flags: int, group: int, n: int = 10) -> Traffic:
    """Pings in VXLAN with such flags and group (draft-smith-vxlan-group-policy section 2.1)."""
    ends = (NODE1, NODE2) if flow.src == POD1 else (NODE2, NODE1)
    inner = headers.ethernet(headers.ipv4(flow.src, flow.dst, 1, bytes(8)))
    policy = bytes([flags, 0]) + group.to_bytes(2, "big") + headers.vxlan(inner)[4:]
    frame = headers.ethernet(headers.ipv4(*ends, 17, headers.udp(*ends, 43317, 8472, policy)))
    return Traffic(flow, packets=n, raw=[frame] * n)


@pytest.mark.parametrize(("own", "named"), [(0x08, True), (0x88, False)])
def test_a_group_policy_of_one_direction_is_suspected(own, named):
    there = with_policy(ping(), 0x88, 100)
    back = with_policy(ping(dport=9).reverse(), own, 0)
    late = replace(with_policy(LATE.flow, 0x88, 100, n=1), start_s=30)

    (finding,) = of(comparison([there, late], [back]))

    assert ("Group Policy" in finding.summary) is named
    assert ("gbp" in finding.remedy) is named
