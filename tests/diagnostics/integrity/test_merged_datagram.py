"""Packets behind the first of a merged datagram arrived, and are dropped by the receiver's kernel."""

from dataclasses import replace

import numpy as np

from tests.simulate import Traffic, comparison
from vxlanalyze.analysis.finding import NotAssessed, Severity
from vxlanalyze.diagnostics.integrity import merged_datagram
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Anomaly


def merged(every: int) -> Comparison:
    """Of the packets that arrive, mark some as merged behind the one before."""
    pair = comparison([Traffic(packets=30)], [Traffic(packets=5)])
    hop = pair.hops[0]
    index = hop.forward.receiver.index
    arrived = np.sort(hop.forward.received_row)
    index.anomalies[arrived[1::every]] |= np.uint32(Anomaly.FURTHER_PACKET)
    index.anomalies[arrived[::every]] |= np.uint32(Anomaly.MERGED_DATAGRAM)
    return replace(pair)


def longer(by_bytes: int, anomalies: Anomaly = Anomaly.CUT) -> Comparison:
    """Of the datagrams that arrive at node2, let some be longer than their first packet."""
    pair = comparison([Traffic(packets=30)], [Traffic(packets=5)])
    direction = pair.hops[0].forward
    index = direction.receiver.index
    rows = np.sort(direction.received_row)
    index.anomalies[rows] |= np.uint32(anomalies)
    index.outer_length[rows[::5]] += np.uint32(by_bytes)
    return pair


def test_found_with_what_is_dropped() -> None:
    found = [f for f in merged_datagram.check(merged(3)) if f.direction == "node1>node2"]

    assert [f.severity for f in found] == [Severity.CRITICAL]
    assert found[0].evidence["packets_dropped"].value == 10
    assert "# ethtool -K DEVICE rx-udp-gro-forwarding off\n" in found[0].remedy


def test_clear_where_each_datagram_holds_one_packet() -> None:
    assert merged_datagram.check(comparison([Traffic()], [Traffic()])) == []


def test_not_fooled_by_long_packets_of_segmentation_offload() -> None:
    long = Traffic(payload=8000, segment_bytes=1000)

    assert merged_datagram.check(comparison([long], [Traffic()])) == []


def test_what_the_snap_length_cut_cannot_tell() -> None:
    (answer,) = merged_datagram.check(longer(by_bytes=150))

    assert isinstance(answer, NotAssessed)
    assert answer.direction == "node1>node2"
    assert "6 datagrams at node2 may hold further packets" in answer.reason


def test_not_fooled_by_cut_packets_that_fill_their_datagrams() -> None:
    assert merged_datagram.check(longer(by_bytes=0)) == []


def test_not_fooled_by_padding_of_cut_packets() -> None:
    assert merged_datagram.check(longer(by_bytes=18)) == []


def test_not_fooled_by_whole_frames_with_trailers() -> None:
    """What follows there was captured, and holds no tunnel header."""
    assert merged_datagram.check(longer(by_bytes=150, anomalies=Anomaly.PADDING_NOT_ZERO)) == []
