"""Outer fragments are told, with who makes them; super-packets and inner fragments are none."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from tests.simulated_tables import FIRST_KEPT, REASSEMBLED
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.diagnostics.size import outer_fragmentation
from vxlanalyze.wire.model import Anomaly

WEB = Flow(protocol=TCP, sport=8080, dport=40000)
PINGS = Traffic(ping(), packets=60)


def large(pieces=0, n=20, **more):
    return Traffic(WEB, packets=n, payload=1398, pieces=pieces, **more)


def of(forward):
    return [a for a in outer_fragmentation.check(comparison(forward)) if a.direction == "node1>node2"]


def test_packets_fragmented_on_the_way_are_found():
    (finding,) = of([PINGS, large(REASSEMBLED)])

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("outer-fragmentation", Severity.WARNING)
    assert finding.summary.startswith(
        "20 of 80 (25 %) outer packets from node1 to node2 are fragmented on the path"
    )
    assert finding.evidence["fragmented"].value == 20
    assert finding.evidence["fragmented_on_the_way"].value == 20
    assert finding.evidence["fragmented_at_sender"].value == 0
    assert finding.evidence["smallest_fragmented"].value == 1500
    assert finding.evidence["largest_fragment"].value == 1396
    assert finding.evidence["inner_mtu"].value == 1346
    assert "a router between them does" in finding.explanation


def test_packets_fragmented_by_the_sender_are_its_own_fault():
    cut = Anomaly.REASSEMBLED.value
    (finding,) = of([PINGS, large(anomalies=cut)])
    assert finding.evidence["fragmented_at_sender"].value == 20
    assert "fragmented by node1 itself" in finding.summary
    assert "# ip link show" in finding.remedy


def test_first_fragments_kept_by_a_filter_tell_it_too():
    (finding,) = of([PINGS, large(FIRST_KEPT)])
    assert finding.evidence["fragmented"].value == 20


def test_whole_packets_are_clear():
    assert of([PINGS, large()]) == []


def test_super_packets_are_no_fragments():
    assert of([PINGS, large(n=4, segment_bytes=700)]) == []


def test_inner_fragments_are_no_outer_ones():
    assert of([PINGS, large(anomalies=Anomaly.INNER_FRAGMENT.value)]) == []


def test_later_sizes_do_not_change_the_limit():
    pieces = np.where(np.arange(40) % 2, REASSEMBLED, 0)
    (finding,) = of(
        [PINGS, Traffic(WEB, packets=40, payload=np.where(np.arange(40) % 2, 1398, 200), pieces=pieces)]
    )
    assert finding.evidence["smallest_fragmented"].value == 1500
