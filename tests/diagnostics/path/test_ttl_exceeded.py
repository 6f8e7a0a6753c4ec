"""A router that discards packets for their TTL is named with the TTL and the setting."""

from dataclasses import replace

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, Flow, Traffic, Tunnel, comparison, ping
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.path import ttl_exceeded
from vxlanalyze.wire.model import Anomaly

ROUTER = "192.0.2.9"
SAYS = Flow(src=ROUTER, dst=NODE1, protocol=1, sport=11 << 8, dport=0, tunnel=Tunnel.NONE)


def sent(lost: bool = True, packets: int = 20) -> Traffic:
    """Tunnel packets of node1, as captured; `headers.ipv4` gives them a TTL of its own."""
    inner = headers.ethernet(headers.ipv4(POD1, POD2, 1, bytes(8)))
    outer = headers.ipv4(NODE1, NODE2, 17, headers.udp(NODE1, NODE2, 43317, 8472, headers.vxlan(inner)))
    return Traffic(ping(), packets=packets, lost=lost, raw=[headers.ethernet(outer)] * packets)


def error(code: int = 0, n: int = 5) -> Traffic:
    inner = headers.ethernet(headers.ipv4(POD1, POD2, 1, bytes(8)))
    quoted = headers.ipv4(NODE1, NODE2, 17, headers.udp(NODE1, NODE2, 43317, 8472, headers.vxlan(inner)))
    frame = headers.ethernet(headers.ipv4(ROUTER, NODE1, 1, headers.icmp(11, code, quoted)))
    flow = replace(SAYS, sport=11 << 8 | code)
    return Traffic(flow, packets=n, raw=[frame] * n, anomalies=Anomaly.ICMP_ERROR.value)


def assess(*errors: Traffic, lost: bool = True) -> list[object]:
    return list(ttl_exceeded.check(comparison([sent(lost)], seen_only={"node1": list(errors)})))


def test_a_router_that_says_so_about_lost_packets_is_found():
    (finding,) = assess(error())
    assert isinstance(finding, Finding)
    assert finding.direction == "node1>node2"
    assert ROUTER in finding.summary
    assert finding.evidence["errors"].value == 5
    assert finding.evidence["lost"].value == 20
    assert finding.evidence["ttl"].value is not None


def test_without_errors_it_is_clear():
    assert assess() == []


def test_where_nothing_is_lost_the_error_is_a_traceroutes():
    assert assess(error(), lost=False) == []


def test_reassembly_time_exceeded_is_something_else():
    assert assess(error(code=1)) == []
