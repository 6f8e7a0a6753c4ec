"""What offload leaves at the sender is told as such, and nothing is told where there is none."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, checks, comparison, ping
from vxlanalyze.analysis.finding import Severity
from vxlanalyze.diagnostics.artefacts import checksum_offload
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.wire.model import Checksum

PARTIAL = checks(inner_l4=Checksum.PARTIAL)
LCO = checks(outer_l4=Checksum.LCO, inner_l4=Checksum.PARTIAL)
RIGHT = checks(outer_l4=Checksum.OK)


@pytest.mark.parametrize("sent", [PARTIAL, LCO])
def test_unfilled_checksums_that_arrive_right_are_offload(sent):
    (finding,) = checksum_offload.check(comparison([Traffic(sent_checks=sent, received_checks=RIGHT)]))

    assert finding.severity is Severity.INFO
    assert finding.direction == "node1>node2"
    assert finding.evidence["unfilled"].value == 100
    assert finding.evidence["right_on_arrival"].value == 100
    assert list(finding.frames) == ["node1"]
    assert {r.code for r in finding.ruled_out} == {"outer-checksum-bad", "inner-checksum-bad"}


def test_super_packets_are_offload():
    bulk = Traffic(Flow(protocol=TCP), packets=4, payload=3000, segment_bytes=1400)
    (finding,) = checksum_offload.check(comparison([bulk]))
    assert finding.evidence["super_packets"].value == 4
    assert finding.evidence["packets_in_them"].value == 12


def test_what_looks_wrong_at_the_sender_and_arrives_right_is_offload():
    odd = Traffic(sent_checks=checks(outer_l4=Checksum.BAD), received_checks=RIGHT)
    (finding,) = checksum_offload.check(comparison([odd]))
    assert finding.evidence["unfilled"].value == 100


def test_unfilled_checksums_of_lost_packets_are_told_too():
    (finding,) = checksum_offload.check(comparison([Traffic(sent_checks=PARTIAL, lost=True)]))
    assert finding.evidence["right_on_arrival"].value == 0


def test_a_path_inside_one_host_is_told_by_its_answers():
    pair = comparison([Traffic(ping(), received_checks=PARTIAL)], [Traffic(ping().reverse())])
    (finding,) = checksum_offload.check(pair)
    assert finding.evidence["unfilled_on_arrival"].value == 100


def test_the_saved_offload_settings_are_named():
    rows = ({"device": "eth0", "feature": "tx-checksum-ip-generic", "state": "on", "note": ""},)
    cluster = Cluster(facts=(Fact("node1", "ethtool-k", "ethtool.txt", rows),))
    (finding,) = checksum_offload.check(comparison([Traffic(sent_checks=PARTIAL)], cluster=cluster))
    assert "tx-checksum-ip-generic on" in finding.explanation


def test_right_checksums_are_clear():
    assert checksum_offload.check(comparison([Traffic(sent_checks=RIGHT)], [Traffic(Flow().reverse())])) == []


def test_checksums_that_arrive_wrong_are_no_offload():
    assert checksum_offload.check(comparison([Traffic(received_checks=checks(inner_l4=Checksum.BAD))])) == []


def test_unfilled_checksums_that_arrive_and_are_not_answered_are_no_offload():
    assert checksum_offload.check(comparison([Traffic(ping(), received_checks=PARTIAL)])) == []


def test_one_capture_alone_shows_the_pictures():
    traffic = Traffic(sent_checks=np.where(np.arange(100) < 40, PARTIAL, RIGHT))
    (finding,) = checksum_offload.check(comparison([traffic], points=("node1",)))
    assert finding.direction is None
    assert finding.evidence["unfilled"].value == 40
