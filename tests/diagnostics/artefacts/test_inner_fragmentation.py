"""Fragments inside the tunnel are told, with the MTU that makes them."""

import numpy as np

from tests.simulate import Flow, Traffic, comparison
from tests.simulated_tables import REASSEMBLED
from vxlanalyze.analysis.finding import Severity
from vxlanalyze.diagnostics.artefacts import inner_fragmentation
from vxlanalyze.wire.model import Anomaly

FRAGMENT = Anomaly.INNER_FRAGMENT.value
WHOLE = Traffic(Flow(sport=5), packets=10)


def pieces(flow: Flow, **more: object) -> Traffic:
    """Ten datagrams of two fragments each."""
    return Traffic(flow, packets=20, length=np.tile([1348, 90], 10), anomalies=FRAGMENT, **more)


def test_fragments_are_found_with_what_cuts_them():
    (finding,) = inner_fragmentation.check(comparison([pieces(Flow()), WHOLE]))

    assert finding.severity is Severity.INFO
    assert finding.direction == "node1>node2"
    assert finding.evidence["fragments"].value == 20
    assert finding.evidence["packets"].value == 30
    assert finding.evidence["largest_fragment"].value == 1348
    assert "carries 1,348 to 1,355; with the tunnel's headers that is 1,398 to 1,405" in finding.explanation
    assert "20 of 30" in finding.summary
    assert [r.code for r in finding.ruled_out] == ["outer-fragmentation"]
    assert len(finding.frames["node1"]) == 20


def test_each_way_has_its_own():
    pair = comparison([WHOLE], [pieces(Flow().reverse())])
    assert [f.direction for f in inner_fragmentation.check(pair)] == ["node2>node1"]


def test_whole_packets_are_clear():
    assert inner_fragmentation.check(comparison([WHOLE], [Traffic(Flow().reverse())])) == []


def test_one_capture_alone_is_enough():
    (finding,) = inner_fragmentation.check(comparison([pieces(Flow()), WHOLE], points=("node1",)))
    assert finding.direction is None
    assert finding.evidence["fragments"].value == 20


def test_outer_fragments_are_not_taken_for_inner_ones():
    assert inner_fragmentation.check(comparison([Traffic(pieces=REASSEMBLED)])) == []


def test_both_kinds_at_once_rule_nothing_out():
    both = comparison([pieces(Flow()), Traffic(Flow(sport=6), pieces=REASSEMBLED)])
    (finding,) = inner_fragmentation.check(both)
    assert finding.ruled_out == ()
