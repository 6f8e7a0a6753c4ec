"""What a receiver cannot reassemble is found, with the place where the fragments died."""

from dataclasses import replace

import numpy as np

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, Flow, Traffic, Tunnel, comparison
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.size import reassembly_timeout
from vxlanalyze.wire.model import Anomaly

SAYS = Flow(src=NODE2, dst=NODE1, protocol=1, sport=11 << 8 | 1, dport=0, tunnel=Tunnel.NONE)
BIG = Traffic(Flow(), packets=20, payload=1400)


def error(code: int = 1, n: int = 3) -> Traffic:
    inner = headers.ethernet(headers.ipv4(POD1, POD2, 17, bytes(8)))
    quoted = headers.ipv4(NODE1, NODE2, 17, headers.udp(NODE1, NODE2, 43317, 8472, headers.vxlan(inner)))
    frame = headers.ethernet(headers.ipv4(NODE2, NODE1, 1, headers.icmp(11, code, quoted)))
    flow = replace(SAYS, sport=11 << 8 | code)
    return Traffic(flow, packets=n, raw=[frame] * n, anomalies=Anomaly.ICMP_ERROR.value)


def assess(*errors: Traffic) -> list[object]:
    return list(reassembly_timeout.check(comparison([BIG], seen_only={"node1": list(errors)})))


def test_a_node_that_cannot_reassemble_outer_packets_is_found():
    (finding,) = assess(error())
    assert isinstance(finding, Finding)
    assert finding.direction == "node1>node2"
    assert "reassembl" in finding.summary
    assert finding.evidence["errors"].value == 3
    assert finding.evidence["said_by"].value == NODE2
    assert "node2# nstat -az IpReasmFails" in finding.remedy


def test_without_errors_it_is_clear():
    assert assess() == []
    assert np.size(BIG.payload) == 1


def test_time_exceeded_in_transit_is_something_else():
    assert assess(error(code=0)) == []
