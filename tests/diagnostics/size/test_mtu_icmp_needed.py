"""A router's word about an outer packet is proof of its MTU; its word to a pod is not meant."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, TCP, Flow, Traffic, Tunnel, comparison, ping
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.diagnostics.size import mtu_blackhole, mtu_icmp_needed
from vxlanalyze.wire.model import Anomaly

ROUTER = "172.26.50.1"
SAYS = Flow(src=ROUTER, dst=NODE1, protocol=1, sport=3 << 8 | 4, dport=0, tunnel=Tunnel.NONE)
BULK = Flow(protocol=TCP, sport=8080, dport=40000)
PINGS = Traffic(ping(), packets=40, every_s=0.1)
LARGE = Traffic(BULK, packets=12, every_s=0.4, payload=1398, lost=True)


def needed(quoted, mtu=1400):
    """RFC 792 and RFC 1191 section 4: the next hop's MTU, then header and 8 bytes of what was too large."""
    body = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted[:28]
    body = body[:2] + struct.pack("!H", headers.checksum(body)) + body[4:]
    return headers.ethernet(headers.ipv4(ROUTER, NODE1, 1, body))


def outer(dport=8472):
    inner = headers.ethernet(headers.ipv4(POD1, POD2, 1, bytes(8)))
    return headers.ipv4(NODE1, NODE2, 17, headers.udp(NODE1, NODE2, 43317, dport, headers.vxlan(inner)))


def errors(frame, n=3):
    return Traffic(SAYS, packets=n, start_s=1, raw=[frame] * n, anomalies=Anomaly.ICMP_ERROR.value)


def of(forward, seen, at="node1", module=mtu_icmp_needed):
    pair = comparison(forward, seen_only={at: seen})
    return [a for a in module.check(pair) if a.direction == "node1>node2"]


@pytest.mark.parametrize("at", ["node1", "node2"])
def test_fragmentation_needed_about_outer_packets_is_found(at):
    (finding,) = of([PINGS, LARGE], [errors(needed(outer()))], at)

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("mtu-icmp-needed", Severity.CRITICAL)
    assert finding.evidence["stated_mtu"].value == 1400
    assert finding.evidence["errors"].value == 3
    assert finding.evidence["routers"].value == ROUTER
    assert finding.evidence["larger_sent"].value == 12
    assert finding.evidence["larger_lost"].value == 12
    assert finding.evidence["inner_mtu"].value == 1350
    assert "1,400 - 50 (20 IPv4 + 8 UDP + 8 VXLAN + 14 inner Ethernet) = 1,350" in finding.explanation
    assert finding.frame_count == 3
    assert list(finding.frames) == [at]


def test_it_is_not_a_black_hole_as_well():
    assert of([PINGS, LARGE], [errors(needed(outer()))], module=mtu_blackhole) == []


def test_without_a_larger_packet_lost_it_is_a_warning():
    (finding,) = of([PINGS, replace(LARGE, payload=1298, lost=False)], [errors(needed(outer()))])
    assert finding.severity is Severity.WARNING
    assert finding.evidence["larger_lost"].value == 0


def test_a_router_that_states_no_mtu_leaves_what_arrived():
    """Before RFC 1191 the field was unused."""
    (finding,) = of([PINGS, LARGE], [errors(needed(outer(), mtu=0))])
    assert finding.evidence["stated_mtu"].value == 178


def test_no_error_is_clear():
    assert of([PINGS, LARGE], []) == []


def test_an_error_about_a_pods_packet_is_path_mtu_discovery_at_work():
    quoted = headers.ipv4(POD1, POD2, 6, bytes(40))
    assert of([PINGS, LARGE], [errors(needed(quoted))]) == []


def test_an_error_about_other_traffic_of_the_node_is_not_meant():
    assert of([PINGS, LARGE], [errors(needed(outer(dport=51820)))]) == []


def test_lost_small_packets_do_not_make_it_critical():
    lost = np.arange(40) % 10 == 0
    (finding,) = of([replace(PINGS, lost=lost)], [errors(needed(outer()))])
    assert finding.severity is Severity.WARNING
