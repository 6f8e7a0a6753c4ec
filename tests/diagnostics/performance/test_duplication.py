"""Copies at the receiver are the network's unless nearly every packet has one at once."""

import numpy as np
import pytest

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.performance import duplication


def assess(forward, **more):
    pair = comparison(forward, **more)
    return [a for a in duplication.check(pair) if a.direction == "node1>node2"]


def test_packets_that_come_again_are_found():
    (finding,) = assess([Traffic(packets=400, copies=np.where(np.arange(400) % 20 == 0, 3, 1))])

    assert isinstance(finding, Finding)
    assert finding.severity is Severity.WARNING
    assert "20 of 400 (5 %) packets" in finding.summary
    assert finding.evidence["doubled"].value == 20
    assert finding.evidence["extra_copies"].value == 40
    assert len(finding.frames["node1"]) == 20
    assert len(finding.frames["node2"]) == 40  # the first two of each


def at(gap_ns, copies, packets=400):
    """Packets of which some come again after a while."""
    pair = comparison([Traffic(packets=packets, copies=copies, every_s=0.01)])
    times = pair.points[1].index.time_ns
    second = np.flatnonzero(np.diff(times) == 0) + 1
    times[second] += gap_ns
    return [a for a in duplication.check(pair) if a.direction == "node1>node2"]


def test_the_time_between_the_copies_is_measured():
    (finding,) = at(300_000, np.where(np.arange(400) % 20 == 0, 2, 1))
    assert finding.evidence["gap_median"].value == 300_000
    assert "typically 300 µs later" in finding.summary


def test_every_packet_at_once_twice_is_the_captures_doing():
    (answer,) = at(2_000, 2)
    assert isinstance(answer, NotAssessed)
    assert "captures each packet twice" in answer.reason


def test_every_packet_twice_with_a_pause_is_the_networks():
    (finding,) = at(800_000, 2)
    assert isinstance(finding, Finding)


def frame(ttl):
    datagram = headers.udp(NODE1, NODE2, 43317, 8472, headers.vxlan(bytes(60)))
    packet = bytearray(headers.ipv4(NODE1, NODE2, 17, datagram))
    packet[8] = ttl
    return headers.ethernet(bytes(packet))


@pytest.mark.parametrize(("ttls", "says"), [((64, 63), "time to live, so"), ((64, 64), "copied in layer 2")])
def test_the_copies_headers_tell_their_ways(ttls, says):
    pair = comparison([Traffic(packets=40, copies=2)])
    node2 = pair.captures[1].source
    node2._raw = {row: frame(ttls[row % 2]) for row in range(80)}
    pair.points[1].index.time_ns[1::2] += 800_000
    (finding,) = [a for a in duplication.check(pair) if a.direction == "node1>node2"]
    assert says in finding.explanation


def test_packets_that_come_once_are_clear():
    assert assess([Traffic(packets=400)]) == []


def test_retransmissions_are_packets_of_their_own():
    assert assess([Traffic(packets=4), Traffic(packets=4, start_s=1)]) == []


def test_one_copy_in_many_may_be_chance():
    assert assess([Traffic(packets=1000, copies=np.where(np.arange(1000) == 5, 2, 1))]) == []


def test_nothing_that_arrived_cannot_tell():
    (answer,) = assess([Traffic(Flow(), lost=True)])
    assert isinstance(answer, NotAssessed)
