"""Who suffers, in a line."""

from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.report.broken_pair import broken, report
from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.report.impact import impact

ROOT = Path(__file__).parents[2]
FAULT = {**report().findings[0], "because": None}
SYMPTOM = {
    **FAULT,
    "code": "tcp-stalled",
    "because": "mtu-blackhole",
    "summary": "3 connections of 4 stopped",
}


def test_the_sample_says_which_pods_do_not_answer_since_when():
    result = vx.compare(
        *(ROOT / f"sample_pcaps/seed/node{n}.pcap.gz" for n in (1, 2)),
        kube=ROOT / "sample_pcaps/seed/kube.json",
    )

    assert result.report.impact == ["DNS of 1 of 2 pods unanswered since 00:54:12 UTC from node1"]


def test_without_the_cluster_servers_are_called_by_their_address():
    (first, *_) = impact(broken(), [FAULT])

    assert first == "DNS of the server 10.233.65.250 unanswered since 22:13:20 UTC from node1"


def test_nothing_suffers_where_nothing_is_wrong():
    assert impact(broken(), []) == []
    assert impact(broken(), [{**FAULT, "severity": "info"}]) == []


@pytest.mark.parametrize(
    ("capture", "said"),
    [
        ("any-interface-loss", "Ping: 3 of 24 requests from node1 unanswered"),
        ("both-ways-blocked", "Ping of the pod 100.96.4.20 (default/"),
        ("forward-dropped-any", "Ping of both pods unanswered since 00:15:22 UTC from node1"),
    ],
)
def test_requests_are_counted_where_a_server_answers_some(capture: str, said: str):
    folder = ROOT / "tests/captures" / capture
    result = vx.compare(folder / "node1.pcap.gz", folder / "node2.pcap.gz", kube=folder / "kube.json")

    assert any(line.startswith(said) for line in result.report.impact), result.report.impact


def test_where_all_is_answered_a_consequence_is_named():
    assert impact(comparison(forward=[Traffic(Flow())]), [FAULT, SYMPTOM]) == ["3 connections of 4 stopped"]
