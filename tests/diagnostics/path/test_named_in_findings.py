"""Findings name whom they are about: looped addresses, and the names in forged DNS responses."""

from tests.recorded import recording, reported
from vxlanalyze.diagnostics.path import foreign_reset, ttl_exceeded


def test_a_loop_between_routers_names_the_router_and_the_node_to_trace():
    (finding,) = [a for a in ttl_exceeded.check(recording("ttl-loop-ipv6")) if hasattr(a, "remedy")]

    assert "2001:db8:77:9::fe" in finding.summary
    assert "node2# traceroute -n 2001:db8:77::21" in finding.remedy
    assert finding.evidence["ttl"].value == 64


def test_a_device_with_a_small_ttl_is_told_to_raise_it():
    (finding,) = [a for a in ttl_exceeded.check(recording("ttl-of-the-device")) if hasattr(a, "remedy")]

    assert "TTL of 5" in finding.summary
    assert "ttl 64" in finding.remedy


def test_a_traceroute_of_a_pod_is_no_fault():
    assert [a for a in ttl_exceeded.check(recording("ttl-healthy-far")) if hasattr(a, "remedy")] == []


def test_forged_dns_responses_are_named():
    found = [a for a in foreign_reset.check(reported("forged-dns-responses")) if hasattr(a, "remedy")]

    assert any("The DNS responses are for" in a.explanation for a in found)
