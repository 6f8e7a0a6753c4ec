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


LOOP = "10.233.127.1"  # an address of a router inside the overlay


def looping(ttl: int, errors: int = 4, code: int = 0) -> object:
    """Packets that arrive at node2, go round behind it, and whose TTL a router inside discards."""
    numbers = list(range(100, 112))
    inner = [headers.ipv4(POD1, POD2, 1, bytes(8), ip_id=n, ttl=ttl) for n in numbers]
    flow = ping()
    there = Traffic(flow, packets=len(numbers), ip_id=numbers, raw=[in_tunnel(p) for p in inner])
    says = [headers.ipv4(LOOP, POD1, 1, headers.icmp(11, code, p[:28])) for p in inner[:errors]]
    back = Traffic(
        flow.reverse(src=LOOP, sport=11 << 8 | code, dport=0),
        packets=errors,
        raw=[in_tunnel(p, NODE2, NODE1) for p in says],
        anomalies=Anomaly.ICMP_ERROR.value,
    )
    return comparison([there], backward=[back] if errors else [])


def in_tunnel(packet: bytes, src: str = NODE1, dst: str = NODE2) -> bytes:
    datagram = headers.udp(src, dst, 43317, 8472, headers.vxlan(headers.ethernet(packet)))
    return headers.ethernet(headers.ipv4(src, dst, 17, datagram))


def test_a_loop_of_an_inner_address_is_found_though_nothing_is_lost_between_the_nodes():
    (finding,) = ttl_exceeded.check(looping(ttl=64))
    assert isinstance(finding, Finding)
    assert finding.direction == "node1>node2"
    assert f"{LOOP} discards inner packets from node1 to node2" in finding.summary
    assert POD2 in finding.summary
    assert finding.evidence["ttl"].value == 64
    assert finding.evidence["errors"].value == 4
    assert "routing loop" in finding.summary


def test_an_inner_ttl_that_is_small_is_a_traceroutes():
    assert list(ttl_exceeded.check(looping(ttl=3))) == []


def test_without_errors_inside_nothing_is_a_loop():
    assert list(ttl_exceeded.check(looping(ttl=64, errors=0))) == []


def test_inner_reassembly_time_exceeded_is_no_loop():
    assert list(ttl_exceeded.check(looping(ttl=64, code=1))) == []
