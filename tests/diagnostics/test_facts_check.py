"""Saved tables are held against packets, and what agrees is said in a sentence."""

import pytest

from tests.diagnostics.symptoms.test_dns_unanswered import LATER, queries
from tests.kubernetes.test_facts import SEED
from tests.simulate import Flow, Traffic, checks, comparison
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.diagnostics import diagnose, facts_check
from vxlanalyze.kubernetes.facts import read_facts
from vxlanalyze.kubernetes.gather import with_facts
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Checksum

FLOW = Flow()


def tunnels(*entries: tuple[str, str]) -> Cluster:
    rows = tuple({"prefix": p, "endpoint": e} for p, e in entries)
    return with_facts(Cluster(), [Fact("node1", "cilium-tunnel-list", "map", rows)])


def pair(*traffic: Traffic, cluster: Cluster) -> Comparison:
    return comparison(traffic or [Traffic(lost=True)], cluster=cluster)


def finding(code: str, direction: str = "node1>node2") -> Finding:
    return Finding(code, Severity.CRITICAL, "", "", "", direction=direction)


def told(code: str, compared: Comparison) -> list[str]:
    (after,) = facts_check.with_evidence([finding(code)], compared)
    return [r.why for r in after.ruled_out]


def test_a_map_that_packets_and_nodes_bear_out_is_right():
    compared = pair(cluster=tunnels(("10.233.65.0", "172.26.50.201")))

    assert told("path-blocked", compared) == [
        "the tunnel map saved with node1 is right: 10.233.65.0/24 is sent to 172.26.50.201 by the map and "
        "by 100 packets, so it is not that"
    ]


def test_packets_that_do_not_follow_the_map_are_not_ruled_out():
    compared = pair(cluster=tunnels(("10.233.65.0", "172.26.50.209")))
    (check,) = facts_check.tunnel_map(compared, compared.hops[0].forward)

    assert check.followed == 0
    assert check.elsewhere == {"172.26.50.201": 100}
    assert check.right is False
    assert told("path-blocked", compared) == []


def test_a_map_and_packets_that_go_to_a_stranger_are_not_ruled_out():
    stale = Traffic(Flow(outer_dst="172.26.50.209"), lost=True)
    compared = comparison(
        [stale],
        cluster=tunnels(("10.233.65.0", "172.26.50.209")),
        addresses={"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)},
    )
    (check,) = facts_check.tunnel_map(compared, compared.hops[0].forward)

    assert (check.followed, check.right) == (100, False)
    assert told("path-blocked", compared) == []


def test_the_map_of_another_node_says_nothing_of_these_packets():
    cluster = tunnels(("10.233.65.0", "172.26.50.201"))
    compared = comparison([], [Traffic(FLOW.reverse(), lost=True)], cluster=cluster)
    (after,) = facts_check.with_evidence([finding("path-blocked", "node2>node1")], compared)

    assert after.ruled_out == ()


def test_a_code_that_was_found_is_not_ruled_out():
    compared = pair(cluster=tunnels(("10.233.65.0", "172.26.50.201")))
    first, _ = facts_check.with_evidence(
        [finding("path-blocked"), finding("wrong-tunnel-endpoint")], compared
    )

    assert first.ruled_out == ()


def test_findings_that_the_map_does_not_concern_stay_as_they_are():
    compared = pair(cluster=tunnels(("10.233.65.0", "172.26.50.201")))

    assert told("clock-offset", compared) == []


def test_a_forwarding_entry_that_the_packets_use_is_told():
    row = {"mac": "0e:00:00:00:00:02", "dev": "flannel.1", "dst": "172.26.50.201", "flags": "self permanent"}
    compared = pair(cluster=with_facts(Cluster(), [Fact("node1", "bridge-fdb", "fdb", (row,))]))

    assert told("not-answered", compared) == [
        "the forwarding entry saved with node1 sends 0e:00:00:00:00:02 to 172.26.50.201, "
        "and so do the packets"
    ]


@pytest.mark.parametrize(("state", "words"), [("on", "is on at node1"), ("off", "is off at node1, and yet")])
def test_offload_settings_explain_unfilled_checksums(state, words):
    row = {"device": "eth0", "feature": "tx-checksumming", "state": state, "note": ""}
    cluster = with_facts(Cluster(), [Fact("node1", "ethtool-k", "features", (row,))])
    unfilled = Traffic(packets=30, sent_checks=checks(inner_l4=Checksum.PARTIAL))
    compared = comparison([unfilled], cluster=cluster)
    code = "checksum-offload" if state == "on" else "inner-checksum-bad"
    (why,) = told(code, compared)

    assert words in why
    assert "30" in why


def test_filled_checksums_need_no_setting():
    row = {"device": "eth0", "feature": "tx-checksumming", "state": "on", "note": ""}
    cluster = with_facts(Cluster(), [Fact("node1", "ethtool-k", "features", (row,))])

    assert told("checksum-offload", comparison([Traffic()], cluster=cluster)) == []


def test_without_facts_findings_are_handed_on():
    one = finding("path-blocked")

    assert facts_check.with_evidence([one], comparison([Traffic()])) == (one,)


def test_the_seed_s_own_tables_speak_in_the_finding_that_they_concern(tmp_path):
    """The incident: every query to the far pod is lost, and the node's tables are in order."""
    (tmp_path / "node1.txt").write_text(SEED)
    cluster = with_facts(Cluster(), read_facts("node1", tmp_path))
    compared = comparison([queries(6, lost=True), LATER], cluster=cluster)
    diagnosis = diagnose(compared, select=["dns-unanswered"])
    (unanswered,) = diagnosis.findings
    (ruled_out,) = [r for r in unanswered.ruled_out if r.code == "wrong-tunnel-endpoint"]

    assert "10.233.65.250 (kube-system/coredns-8474476ff8-nz2tt) answered none of 6" in unanswered.summary
    assert "-d7pjv), on the client's own node" in unanswered.explanation
    assert "put 10.233.64.125:53 and 10.233.65.250:53 behind kube-system/coredns" in unanswered.explanation
    assert "is right: 10.233.65.0/24 is sent to 172.26.50.201, an address of node2," in ruled_out.why
    assert ruled_out.why.endswith("so it is not that")
