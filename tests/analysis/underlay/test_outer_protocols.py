"""Protocols between the nodes that have no ports: named, and allowed by their number."""

from tests.recorded import recording, reported
from vxlanalyze.analysis.underlay import outer_protocols, underlay


def test_esp_is_named_and_allowed_between_the_peers():
    pair = recording("esp-blocked")
    direction = pair.hops[0].forward
    found = outer_protocols.of(direction, direction.lost)

    assert [protocol.title for protocol in found] == ["ESP (IP protocol 50)"]
    remedy = outer_protocols.remedy(direction, found, underlay.of(direction, pair.cluster))
    assert "Allow ESP (IP protocol 50) from 10.92.3.5 to " in remedy
    assert "iptables" not in remedy  # the capture sees what arrives before the node's own firewall does


def test_gre_is_named():
    pair = reported("gre-blocked")
    directions = [d for d in pair.directions if d.lost.any()]
    assert [p.name for d in directions for p in outer_protocols.of(d, d.lost)] in (
        ["GRE"],
        ["GRE", "GRE"],
        [],
    )


def test_packets_of_a_udp_tunnel_are_of_no_such_protocol():
    direction = recording("random-loss").hops[0].forward
    assert outer_protocols.of(direction, direction.lost) == []
