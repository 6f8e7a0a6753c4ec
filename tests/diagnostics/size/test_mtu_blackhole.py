"""A black hole takes every packet above a size in silence; chance, offload, cuts and services are not one."""

import numpy as np
import pytest

from tests.simulate import NODE1, TCP, Flow, Traffic, Tunnel, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import packet_loss
from vxlanalyze.diagnostics.size import mtu_blackhole
from vxlanalyze.wire.model import Anomaly, Encryption

WEB = Flow(protocol=TCP, sport=8080, dport=40000)
PINGS = Traffic(ping(), packets=40, every_s=0.1, payload=56)


def stuck(n=12, payload=1398, flow=WEB, lost=True, start_s=0.5, **more):
    """Full-size segments, sent again with growing pauses by one connection after the other."""
    times = [start_s + 2.0 * (i // 4) + 0.2 * 2 ** (i % 4) for i in range(n)]
    return Traffic(flow, time_s=times, payload=payload, lost=lost, **more)


def of(forward, label="node1>node2", **more):
    return [a for a in mtu_blackhole.check(comparison(forward, **more)) if a.direction == label]


def test_full_size_packets_lost_and_small_ones_delivered_is_found():
    (finding,) = of([PINGS, Traffic(WEB, packets=30, payload=1228 - 52), stuck()])

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("mtu-blackhole", Severity.CRITICAL)
    assert finding.evidence["largest_delivered"].value == 1278
    assert finding.evidence["smallest_lost"].value == 1500
    assert finding.evidence["lost_above"].value == 12
    assert finding.evidence["sent_below"].value == 70
    assert finding.evidence["lost_below"].value == 0
    assert finding.evidence["overhead"].value == 50
    assert finding.evidence["inner_mtu"].value == 1230
    assert finding.evidence["inner_mtu_at_most"].value == 1449
    assert finding.frame_count == 12
    assert finding.display_filter.endswith("&& ip.len > 1278")
    assert finding.summary == (
        "All 12 packets from node1 to node2 longer than 1,278 bytes are silently dropped: "
        "the largest that arrived has 1,278 bytes, the smallest lost 1,500"
    )
    assert (
        "1,280 (not seen, but usual for every link) - 50 (20 IPv4 + 8 UDP + 8 VXLAN + 14 inner Ethernet)"
        in (finding.explanation)
    )


def test_the_exact_limit_is_told_where_sizes_tell_it():
    (finding,) = of([PINGS, Traffic(ping(dport=3), packets=20, payload=1372), stuck(payload=1349)])
    assert finding.evidence["largest_delivered"].value == 1450
    assert finding.evidence["smallest_lost"].value == 1451
    assert finding.evidence["inner_mtu"].value == 1400
    assert "the path carries 1,450 bytes" in finding.summary
    assert "ping -M do" not in finding.remedy


def test_ipv6_underlay_costs_seventy_bytes():
    six = {"outer_src": "fd00:50::1", "outer_dst": "fd00:50::2"}
    flow = Flow(protocol=TCP, sport=8080, dport=40000, **six)
    (finding,) = of([Traffic(ping(**six), packets=40, payload=1300), stuck(flow=flow, payload=1400)])
    assert finding.evidence["overhead"].value == 70
    assert finding.evidence["inner_mtu"].value == 1328
    assert "40 IPv6 + 8 UDP + 8 VXLAN + 14 inner Ethernet" in finding.explanation
    assert finding.display_filter.endswith("&& ipv6.plen > 1358")


def test_ipv6_pods_keep_the_mtu_that_ipv6_needs():
    """An inner MTU below 1280 would end IPv6 in the pods (RFC 8200 section 5)."""
    six = Flow(protocol=TCP, src="fd00:10:1::10", dst="fd00:10:2::20", sport=8080, dport=40000)
    (finding,) = of([PINGS, stuck(flow=six, payload=1378)])
    assert finding.evidence["inner_mtu"].value == 1280


def test_geneve_counts_its_options():
    flow = Flow(protocol=TCP, sport=8080, dport=40000, tunnel=Tunnel.GENEVE, outer_dport=6081)
    (finding,) = of([PINGS, stuck(flow=flow)])
    assert "8 Geneve" in finding.explanation


def test_wireguard_between_the_nodes_is_named():
    guard = Flow(src=NODE1, dst="172.26.50.201", tunnel=Tunnel.NONE, encryption=Encryption.WIREGUARD)
    (finding,) = of([PINGS, stuck()], seen_only={"node1": [Traffic(guard, packets=5)]})
    assert "WireGuard runs between the nodes" in finding.explanation


def test_only_the_direction_with_the_hole_is_found():
    pair = comparison([PINGS], [Traffic(ping().reverse(), packets=40), stuck(flow=WEB.reverse())])
    found = [a for a in mtu_blackhole.check(pair) if isinstance(a, Finding)]
    assert [f.direction for f in found] == ["node2>node1"]


def test_random_loss_beside_it_is_still_seen():
    rng = np.random.default_rng(2)
    pair = comparison([Traffic(packets=800, lost=rng.random(800) < 0.03), stuck()])
    (hole,) = [a for a in mtu_blackhole.check(pair) if isinstance(a, Finding)]
    (plain,) = [a for a in packet_loss.check(pair) if isinstance(a, Finding)]
    assert hole.evidence["lost_above"].value == 12
    assert plain.evidence["lost"].value == hole.evidence["lost_below"].value > 10


def test_jumbo_packets_lost_leave_the_usual_link_open():
    (finding,) = of([PINGS, stuck(payload=8898)])
    assert finding.evidence["inner_mtu"].value == 1230
    assert "If the links carry 1,500 bytes, as Ethernet does by default, 1,450 will do" in finding.remedy


def test_what_arrived_before_the_hole_opened_is_not_called_smaller():
    before = Traffic(WEB, packets=20, payload=1398, every_s=0.05)
    (finding,) = of([PINGS, before, stuck(start_s=2)])
    assert "packets before that and smaller, none was lost" in finding.explanation


def test_a_hole_that_opens_later_names_the_moment():
    early = stuck(lost=False, start_s=0.5)
    late = stuck(n=16, start_s=20)
    (finding,) = of([Traffic(ping(), packets=300, every_s=0.1), early, late])
    assert finding.summary.startswith("From 2023-11-14T22:13:40.200Z on, all 16 packets")


def test_segmentation_offload_is_judged_by_wire_packets():
    """A super-packet of 7 kB that arrives as segments is no large packet."""
    bulk = Traffic(WEB, packets=20, payload=6990, segment_bytes=1398, every_s=0.2)
    (answer,) = of([PINGS, bulk]) or [None]
    assert answer is None


def test_lost_segments_of_super_packets_count_as_what_they_are():
    bulk = Traffic(WEB, packets=12, payload=6990, segment_bytes=1398, every_s=0.3, lost=True)
    (finding,) = of([PINGS, bulk])
    assert finding.evidence["smallest_lost"].value == 1500
    assert finding.evidence["lost_above"].value == 60
    assert "checksum-offload" in {r.code for r in finding.ruled_out}


def test_the_snap_length_does_not_shorten_packets():
    cut = Anomaly.CUT.value
    (finding,) = of([PINGS, stuck(anomalies=cut)])
    assert finding.evidence["smallest_lost"].value == 1500


def test_everything_delivered_with_full_size_is_clear():
    assert of([PINGS, stuck(lost=False)]) == []


def test_small_packets_only_cannot_show_a_limit():
    (answer,) = of([PINGS])
    assert isinstance(answer, NotAssessed)
    assert "the largest packet sent has 134 bytes" in answer.reason


def test_two_large_packets_lost_are_too_few():
    (answer,) = of([PINGS, stuck(n=2)])
    assert isinstance(answer, NotAssessed)
    assert "2 packets above 134 bytes were sent and none arrived: too few" in answer.reason


def test_one_large_packet_lost_by_chance_among_delivered_ones_is_clear():
    lost = np.arange(30) == 7
    assert of([PINGS, Traffic(WEB, packets=30, payload=1398, lost=lost)]) == []


@pytest.mark.parametrize("seed", range(20))
def test_random_loss_of_mixed_sizes_is_clear(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 1399, 400)
    lost = rng.random(400) < 0.2
    assert of([Traffic(WEB, packets=400, payload=sizes, lost=lost)]) == []


def test_a_dead_path_is_not_a_size():
    assert of([Traffic(ping(), packets=30, every_s=0.2, lost=True), stuck()]) == []


def test_a_blocked_service_with_a_small_handshake_is_not_a_size():
    """Its SYNs are lost as well, and other small packets arrive."""
    syn = Traffic(WEB, packets=8, every_s=0.5, payload=0, lost=True)
    found = of([Traffic(ping(), packets=40, every_s=0.1, payload=1372), syn, stuck(n=4)])
    assert not any(isinstance(a, Finding) for a in found)
