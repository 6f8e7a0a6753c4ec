"""One source is ignored while others are answered by the same endpoints."""

from dataclasses import replace

from tests.simulate import POD1, UDP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.analysis.requests import time_stamps
from vxlanalyze.diagnostics.receiver.source_unanswered import check
from vxlanalyze.diagnostics.symptoms import endpoint_silent
from vxlanalyze.kubernetes.model import Cluster, Node

SYN, SYN_ACK = 0x02, 0x12
QUERY, RESPONSE = 0x0100, 0x8180
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=60)


def connections(count: int, src: str = POD1, start: float = 0, copies: int = 1, **more) -> list[Traffic]:
    times = [0, 1, 3, 7][:copies]
    return [
        Traffic(
            Flow(src=src, protocol=6, sport=40000 + i, dport=8080),
            **{"time_s": [start + i + t for t in times], "seq": 1000, "tcp_flags": SYN, "payload": 0, **more},
        )
        for i in range(count)
    ]


def accepted(count: int, src: str = POD1, start: float = 0, **more) -> list[Traffic]:
    return [
        Traffic(
            Flow(src=src, protocol=6, sport=40000 + i, dport=8080).reverse(),
            **{"time_s": [start + i + 0.001], "ack": 1001, "tcp_flags": SYN_ACK, "payload": 0, **more},
        )
        for i in range(count)
    ]


def found(pair) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def ignored(src: str = "10.0.2.15", **more):
    return comparison(
        [*connections(12), *connections(3, src, start=2.5, copies=4), LATER], [*accepted(12)], **more
    )


def test_a_source_that_alone_gets_no_answer_is_found():
    finding = found(ignored())

    assert finding.severity == Severity.CRITICAL
    assert finding.direction == "node1>node2"
    assert "3 connections (12 SYNs) from 10.0.2.15" in finding.summary
    assert finding.evidence["answered_of_others"].value == 12
    assert "# ip route get 10.0.2.15\n" in finding.remedy
    assert "VirtualBox" in finding.explanation


def test_the_endpoint_is_not_blamed_for_it():
    assert not [a for a in endpoint_silent.check(ignored()) if isinstance(a, Finding)]


def test_the_cluster_says_that_nobody_has_the_address():
    cluster = Cluster(nodes=(Node("node1", ("172.26.50.200",), ("10.233.64.0/24",)),))

    assert (
        "No pod, node or pod network of the cluster"
        in found(ignored("100.64.3.9", cluster=cluster)).explanation
    )


def test_silent_addresses_of_one_subnet_are_named_by_it():
    sources = [f"192.168.44.{i}" for i in range(2, 6)]
    silent = [t for s in sources for t in connections(2, s, start=2.5, copies=2)]
    finding = found(comparison([*connections(12), *silent, LATER], accepted(12)))

    assert "192.168.44.0/24" in finding.summary
    assert finding.evidence["unanswered_packets"].value == 16


def test_one_socket_of_a_client_is_found():
    good, bad = Flow(sport=41000, dport=53), Flow(sport=38527, dport=53)
    asked = Traffic(good, packets=20, seq=[i << 16 | QUERY for i in range(1, 21)], every_s=1)
    stale = Traffic(bad, packets=8, seq=[i << 16 | QUERY for i in range(40, 48)], every_s=1, start_s=2.5)
    said = Traffic(
        good.reverse(), packets=20, seq=[i << 16 | RESPONSE for i in range(1, 21)], every_s=1, start_s=0.001
    )
    finding = found(comparison([asked, stale, LATER], [said]))

    assert finding.evidence["source_1"].value == f"{POD1} port 38527"
    assert f"conntrack -D -p udp --orig-src {POD1} --sport 38527" in finding.remedy


def test_where_every_source_is_answered_all_is_clear():
    pair = comparison(
        [*connections(8), *connections(8, "10.0.2.15", start=0.5), LATER],
        [*accepted(8), *accepted(8, "10.0.2.15", start=0.5)],
    )

    assert check(pair) == []


def test_too_few_packets_decide_nothing():
    assert check(comparison([*connections(9), *connections(1, "10.0.2.15", 2.5), LATER], accepted(9))) == []


def test_an_endpoint_that_stopped_is_not_blamed_on_who_asked_last():
    pair = comparison([*connections(5), *connections(4, "10.0.2.15", start=20, copies=4), LATER], accepted(5))

    assert check(pair) == []


def test_an_endpoint_that_answers_nobody_is_another_question():
    assert check(comparison([*connections(6), *connections(6, "10.0.2.15", 0.5), LATER])) == []


def test_answers_that_are_lost_on_their_way_back_are_answers():
    back = [*accepted(12), *accepted(3, "10.0.2.15", start=2.5, lost=True)]
    pair = comparison([*connections(12), *connections(3, "10.0.2.15", 2.5, copies=4), LATER], back)

    assert check(pair) == []


def test_a_stream_over_udp_asks_nothing():
    stream = Traffic(Flow(src="10.233.64.77", protocol=UDP, dport=8080), packets=300)

    assert check(comparison([*connections(12), stream, LATER], accepted(12))) == []


def test_a_source_that_other_endpoints_answer_meets_a_policy():
    elsewhere = replace(connections(1, "10.0.2.15")[0].flow, dst="10.233.65.99", sport=50000)
    asked = Traffic(elsewhere, time_s=[1], seq=1000, tcp_flags=SYN, payload=0)
    said = Traffic(elsewhere.reverse(), time_s=[1.001], ack=1001, tcp_flags=SYN_ACK, payload=0)
    silent = connections(3, "10.0.2.15", start=2.5, copies=4)
    finding = found(comparison([*connections(12), *silent, asked, LATER], [*accepted(12), said]))

    assert "kubectl get networkpolicies" in finding.remedy
    assert "rp_filter" not in finding.remedy


def test_time_stamps_below_an_accepted_one_divide_the_syns():
    import numpy as np

    value = np.array([900, 100, 910, 120, 930, 140, 950, 160, 970, 180], np.int64)
    answered = value > 500
    division = time_stamps.older(value, answered)

    assert division[:4] == (5, 0, 0, 5)
    assert division.chance < 0.005
    assert time_stamps.older(value, np.ones(10, np.bool_)).chance == 1


def test_a_time_stamp_is_read_from_the_options():
    header = bytes(12) + bytes([0xA0]) + bytes(7)
    options = b"\x02\x04\x05\x78\x04\x02\x08\x0a" + (77).to_bytes(4, "big") + bytes(4) + b"\x01\x03\x03\x07"

    assert time_stamps._stamp(b"\x77" * 9 + header + options) == 77
    assert time_stamps._stamp(bytes(60)) == time_stamps.NO_STAMP
