"""Encrypted packets between the nodes are told, with what can be judged of them; those of others are not."""

import pytest

from tests.simulate import NODE1, NODE2, Flow, Traffic, Tunnel, comparison
from vxlanalyze.analysis.finding import Severity
from vxlanalyze.diagnostics.artefacts import encrypted_underlay
from vxlanalyze.wire.model import Encryption


def between(src=NODE1, dst=NODE2, kind=Encryption.WIREGUARD, protocol=17, **changes):
    given = {
        "src": src,
        "dst": dst,
        "protocol": protocol,
        "tunnel": Tunnel.NONE,
        "encryption": kind,
        **changes,
    }
    return Flow(sport=51820, dport=51820, **given)


@pytest.mark.parametrize(
    ("kind", "name", "cost"),
    [(Encryption.ESP, "ESP", "57 bytes"), (Encryption.WIREGUARD, "WireGuard", "60 bytes")],
)
def test_encrypted_packets_between_the_nodes_are_found(kind, name, cost):
    there, back = between(kind=kind), between(NODE2, NODE1, kind)

    (finding,) = encrypted_underlay.check(comparison([Traffic(there, 30)], [Traffic(back, 20)]))

    assert finding.severity is Severity.INFO
    assert finding.direction is None
    assert f"{name} goes between {NODE1} and {NODE2} (50 packets)" in finding.summary
    assert finding.evidence["encrypted"].value == 50
    assert finding.evidence["tunnel_packets_in_clear"].value == 0
    assert "cannot be judged" in finding.summary
    assert cost in finding.remedy
    assert len(finding.frames["node1"]) == 50


def test_a_tunnel_in_clear_beside_it_is_said():
    pair = comparison([Traffic(packets=40)], seen_only={"node1": [Traffic(between(), 10)]})
    (finding,) = encrypted_underlay.check(pair)
    assert finding.evidence["tunnel_packets_in_clear"].value == 40
    assert "next to the tunnel" in finding.summary


def test_packets_that_only_one_node_saw_count_by_their_addresses():
    lost = Traffic(between(), 10, lost=True)
    (finding,) = encrypted_underlay.check(comparison([lost], addresses={"node2": (NODE2,)}))
    assert finding.evidence["encrypted"].value == 10


def test_encrypted_traffic_with_a_third_party_is_not_meant():
    pair = comparison([Traffic()], seen_only={"node1": [Traffic(between(dst="203.0.113.9"), 10)]})
    assert encrypted_underlay.check(pair) == []


def test_a_vpn_of_a_pod_inside_the_tunnel_is_not_meant():
    inside = Flow(sport=51820, dport=51820, encryption=Encryption.WIREGUARD)
    assert encrypted_underlay.check(comparison([Traffic(inside)])) == []


def test_traffic_in_clear_is_clear():
    assert encrypted_underlay.check(comparison([Traffic()])) == []


def test_one_capture_alone_is_enough():
    (finding,) = encrypted_underlay.check(comparison([Traffic(between(), 10)], points=("node1",)))
    assert finding.evidence["encrypted"].value == 10
