"""Packets in pieces are lost where pieces are, beyond random loss, and not where a filter took them."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, Tunnel, comparison, ping
from tests.simulated_tables import FIRST_KEPT, FIRST_ONLY, REASSEMBLED, REST_ONLY
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import packet_loss
from vxlanalyze.diagnostics.size import fragments_lost, mtu_blackhole

WEB = Flow(protocol=TCP, sport=8080, dport=40000)
PINGS = Traffic(ping(), packets=60, every_s=0.1)


def large(pieces, n=15, **more):
    return Traffic(WEB, packets=n, every_s=0.3, payload=1398, pieces=pieces, **more)


def of(forward, module=fragments_lost):
    return [a for a in module.check(comparison(forward)) if a.direction == "node1>node2"]


def test_first_fragments_without_the_rest_are_found():
    (finding,) = of([PINGS, large(FIRST_ONLY)])

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("fragments-lost", Severity.CRITICAL)
    assert finding.summary.startswith("All 15 fragmented outer packets from node1 to node2 arrive incomplete")
    assert finding.evidence["incomplete"].value == 15
    assert finding.evidence["fragmented"].value == 15
    assert finding.evidence["largest_fragment"].value == 1396
    assert finding.evidence["smallest_lost"].value == 1500
    assert finding.evidence["inner_mtu"].value == 1346
    assert "the link that fragments carries 1,396 to 1,403" in finding.explanation
    assert finding.frame_count == 30  # each packet at the sender, its first fragment at the receiver


def test_later_fragments_without_the_first_are_found():
    (finding,) = of([PINGS, large(REST_ONLY)])
    assert finding.evidence["incomplete"].value == 15


def test_some_of_many_incomplete_are_found():
    pieces = np.where(np.arange(60) % 3 == 0, FIRST_ONLY, REASSEMBLED)
    (finding,) = of([PINGS, large(pieces, n=60)])
    assert finding.summary.startswith("20 of 60 (33.3 %) fragmented outer packets")


@pytest.mark.parametrize("module", [mtu_blackhole, packet_loss])
def test_it_is_nothing_else_as_well(module):
    assert not any(isinstance(a, Finding) for a in of([PINGS, large(FIRST_ONLY)], module))


def test_fragments_that_all_arrive_are_clear():
    assert of([PINGS, large(REASSEMBLED)]) == []


def test_no_fragments_are_clear():
    assert of([PINGS, large(0)]) == []


def test_a_capture_filtered_by_port_cannot_tell():
    (answer,) = of([PINGS, large(FIRST_KEPT)])
    assert isinstance(answer, NotAssessed)
    assert "holds the first fragment of 15 packets, no later fragment" in answer.reason


def stalled(port: int, pieces=FIRST_KEPT) -> Traffic:
    """One segment, five times, of a connection of its own."""
    flow = Flow(protocol=TCP, sport=port, dport=9000)
    times = [1, 1.2, 1.6, 2.4, 4]
    return Traffic(flow, time_s=times, seq=1000, tcp_flags=0x10, payload=1398, pieces=pieces)


def test_a_filter_hides_nothing_where_every_connection_stops_at_its_fragments():
    (finding,) = of([PINGS, stalled(41000), stalled(41001)])
    assert isinstance(finding, Finding)
    assert finding.evidence["incomplete"].value == 10
    assert "every TCP connection that sent such packets stopped there" in finding.explanation
    assert "-f -j ACCEPT" in finding.remedy


def test_a_connection_that_goes_on_leaves_it_open():
    (answer,) = of([PINGS, stalled(41000), stalled(41001), large(FIRST_KEPT)])
    assert isinstance(answer, NotAssessed)


def test_random_loss_that_hits_a_fragment_is_packet_loss():
    """Two of 100 fragmented packets incomplete, where 3 in 100 whole ones are lost as well."""
    pieces = np.where(np.isin(np.arange(100), (20, 70)), FIRST_ONLY, REASSEMBLED)
    forward = [Traffic(packets=300, lost=np.arange(300) % 33 == 0), large(pieces, n=100)]
    assert of(forward) == []
    (plain,) = of(forward, packet_loss)
    assert plain.evidence["lost"].value == 12


def test_bare_points_see_no_outer_fragments():
    pair = comparison([PINGS], points=("pod", "node1"), bare=("pod",))
    assert fragments_lost.check(pair)[1:] == []
    assert PINGS.flow.tunnel is Tunnel.VXLAN
