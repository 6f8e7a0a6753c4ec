"""Loss between two interfaces of a node is found there, once, with a node's remedies."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from tests.simulate import NODE1, UDP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.diagnostics.path import burst_outage, packet_loss, path_blocked, rate_limited
from vxlanalyze.diagnostics.size import mtu_blackhole
from vxlanalyze.pairing.model import Comparison, Reason


def node(traffic: list[Traffic], name: str = "node2/if5", **more) -> Comparison:
    """One node's capture whose card and inner interface are the two points of a hop."""
    played = comparison(traffic, points=("node2", name), bare=(name,), **more)
    (card, inner) = played.points
    inner = replace(inner, capture=0)
    hop = played.hops[0]
    forward = replace(hop.forward, sender=card, receiver=inner, label=f"node2>{name}")
    backward = replace(hop.backward, sender=inner, receiver=card, label=f"{name}>node2")
    inside = replace(hop, forward=forward, backward=backward)
    # Frames are looked up by row: in a real capture both points share one index.
    return replace(played, captures=played.captures[:1], points=(card, inner), hops=(), inside=(inside,))


def found(pair: Comparison) -> list[Finding]:
    return [a for a in packet_loss.check(pair) if isinstance(a, Finding)]


LOST = np.random.default_rng(1).random(400) < 0.2


def test_loss_behind_the_tunnel_device_is_found_in_the_node():
    (finding,) = found(node([Traffic(packets=400, lost=LOST)]))

    assert (finding.code, finding.direction) == ("packet-loss", "node2>node2/if5")
    assert finding.evidence["lost"].value == LOST.sum()
    assert finding.evidence["inside"].value == "node2"


def test_its_remedy_is_for_a_node():
    remedy = found(node([Traffic(packets=400, lost=LOST)]))[0].remedy

    assert "node2# tc -s qdisc show" in remedy.split("\n")
    assert "\nnode2# conntrack -S" in remedy
    assert not [word for word in ("switch", "cloud", "exceeded") if word in remedy]


def test_nothing_lost_is_clear():
    assert not found(node([Traffic(packets=400)]))


def test_an_interface_that_shows_nothing_of_a_direction_tells_nothing():
    """Some datapaths hand packets to the pod without passing its interface on the node."""
    assert not found(node([Traffic(packets=400, lost=True)]))


def test_what_was_answered_is_not_lost():
    unseen = Traffic(packets=400, unknown=LOST, unknown_reason=Reason.CAPTURE_LOSS)
    assert not found(node([unseen]))


def test_the_second_packet_of_new_conversations_is_a_race_of_conntrack():
    pairs = [
        Traffic(
            Flow(protocol=UDP, sport=40000 + n, dport=53, outer_src=NODE1),
            time_s=[0.2 * n, 0.2 * n + 2e-5],
            lost=[False, n % 3 == 0],
        )
        for n in range(30)
    ]
    (finding,) = found(node(pairs))

    assert finding.evidence["second_packets"].value == 10
    assert "only second packets of new conversations" in finding.summary
    assert "insert_failed" in finding.remedy


@pytest.mark.parametrize("seed", range(5))
def test_random_loss_is_no_race(seed):
    lost = np.random.default_rng(seed).random((30, 4)) < 0.3
    talks = [
        Traffic(Flow(sport=40000 + n, dport=53), time_s=0.2 * n + 2e-5 * np.arange(4), lost=lost[n])
        for n in range(30)
    ]
    (finding,) = found(node(talks))
    assert "only second packets" not in finding.summary


def of_code(pair: Comparison, diagnostic: ModuleType) -> Finding:
    """What a diagnostic finds on a hop inside a node; nothing of it is left for packet-loss."""
    (finding,) = [a for a in diagnostic.check(pair) if isinstance(a, Finding)]
    assert not found(pair)
    assert finding.evidence["inside"].value == "node2"
    assert "Look on node2, not at the network between the nodes." in finding.remedy
    assert "security group" not in finding.remedy
    return finding


def test_what_dies_from_a_moment_on_is_blocked_in_the_node():
    flows = [
        Traffic(Flow(sport=41000 + n), packets=60, lost=np.arange(60) >= 30, start_s=0.003 * n)
        for n in range(4)
    ]
    finding = of_code(node(flows), path_blocked)

    assert finding.severity is Severity.CRITICAL
    assert finding.evidence["lost"].value == 120
    assert "to the end, none of 120 packets from the tunnel to its pods passes node2" in finding.summary
    assert "node2# journalctl --utc --since" in finding.remedy


def test_what_dies_for_a_time_is_an_outage_in_the_node():
    gap = (np.arange(200) >= 80) & (np.arange(200) < 120)
    finding = of_code(node([Traffic(packets=200, lost=gap)]), burst_outage)

    assert finding.evidence["lost"].value == 40
    assert "Nothing from the tunnel to its pods passes node2 between" in finding.summary


def test_what_dies_above_a_size_is_a_black_hole_in_the_node():
    large = np.arange(120) % 3 == 0
    sizes = np.where(large, 1200, 200)
    finding = of_code(node([Traffic(packets=120, length=sizes, lost=large)]), mtu_blackhole)

    assert finding.evidence["lost"].value == 40
    assert "or more (inner IP packet) are lost inside node2" in finding.summary
    assert "node2# ip -d link | grep" in finding.remedy


def test_what_dies_above_a_rate_is_limited_in_the_node():
    bursts = np.repeat(np.arange(8) * 1.5, 60) + np.tile(np.arange(60) * 1e-4, 8)
    slow = np.arange(0.7, 12, 0.1)
    at = np.sort(np.concatenate([bursts, slow]))
    behind = np.searchsorted(at, at - 0.01)
    lost = np.arange(len(at)) - behind >= 40
    finding = of_code(node([Traffic(time_s=at.tolist(), lost=lost)]), rate_limited)

    assert finding.severity is Severity.WARNING
    assert finding.evidence["lost"].value == lost.sum() > 100
    assert "inside node2 within bursts" in finding.summary
    assert "bandwidth" in finding.remedy
