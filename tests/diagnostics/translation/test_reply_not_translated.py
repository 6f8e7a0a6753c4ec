"""Replies from an address that was not asked are found, and what only looks so is not."""

from dataclasses import replace

from tests.simulate import TCP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Severity
from vxlanalyze.diagnostics.translation import reply_not_translated

SYN, SYN_ACK, RST = 0x02, 0x12, 0x04
WEB = Flow(protocol=TCP, sport=41000, dport=80, dst="10.96.0.10")
DNS = Flow(sport=42000, dport=53, dst="10.96.0.53")


def backend(asked, **changes):
    return replace(asked.reverse(), src="10.233.65.20", **changes)


def syns(flow, number=5000):
    return Traffic(flow, packets=1, payload=0, seq=number, tcp_flags=SYN)


def accepts(flow, number=5001):
    return Traffic(flow, packets=1, payload=0, seq=70, ack=number, tcp_flags=SYN_ACK)


def assess(forward, backward, **more):
    return reply_not_translated.check(comparison(forward, backward, **more))


def test_a_syn_ack_from_the_backend_is_found():
    refused = Traffic(backend(WEB).reverse(), packets=1, start_s=0.1, payload=0, tcp_flags=RST)
    (finding,) = assess([syns(WEB), refused], [accepts(backend(WEB))])

    assert finding.severity is Severity.CRITICAL
    assert finding.direction == "node2>node1"
    assert "10.233.64.10 sends to 10.96.0.10:80, and its replies come from 10.233.65.20:80" in finding.summary
    assert finding.evidence["resets"].value == 1
    assert finding.frames["node1"].tolist() == [1, 2]
    assert "# conntrack -L -d 10.96.0.10\n" in finding.remedy
    assert "# ip route get 10.233.65.20\n" in finding.remedy


def test_a_dns_answer_from_the_backend_is_found():
    query, answer = 0x1234 << 16 | 0x0100, 0x1234 << 16 | 0x8180
    (finding,) = assess([Traffic(DNS, packets=1, seq=query)], [Traffic(backend(DNS), packets=1, seq=answer)])
    assert finding.evidence["untranslated_replies"].value == 1
    assert "does not take them" in finding.explanation


def test_pods_of_one_bridge_are_told_to_look_at_netfilter():
    asked = replace(WEB, tunnel=0)
    pair = comparison([syns(asked)], [accepts(backend(asked))], bare=("node1", "node2"))
    (finding,) = reply_not_translated.check(pair)
    assert "# sysctl net.bridge.bridge-nf-call-iptables\n" in finding.remedy


def test_it_is_clear_where_the_service_answers():
    assert assess([syns(WEB)], [accepts(WEB.reverse())]) == []


def test_it_is_not_fooled_by_another_dns_server_that_was_not_captured():
    query, answer = 0x1234 << 16 | 0x0100, 0x4321 << 16 | 0x8180
    assert assess([Traffic(DNS, packets=1, seq=query)], [Traffic(backend(DNS), packets=1, seq=answer)]) == []


def test_it_is_not_fooled_by_a_client_that_asks_both():
    other = backend(WEB).reverse()
    assert assess([syns(WEB), syns(other)], [accepts(backend(WEB))]) == []


def test_it_is_not_fooled_by_a_late_packet_of_a_translated_conversation():
    late = Traffic(backend(WEB), packets=1, seq=9000, ack=5001)
    assert assess([syns(WEB)], [accepts(WEB.reverse()), late]) == []


def test_it_is_not_fooled_by_answers_to_a_group():
    asked = replace(DNS, dst="224.0.0.251", dport=5353, sport=5353)
    assert assess([Traffic(asked)], [Traffic(backend(asked))]) == []


def test_it_cannot_tell_udp_of_other_kinds_from_one_point_alone():
    asked = replace(DNS, dport=5000)
    assert assess([Traffic(asked)], [Traffic(backend(asked))]) == []
