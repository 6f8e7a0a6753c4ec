"""Loss that takes what opens conversations, and nothing else, is no dead path and no blocked service."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.diagnostics.path import ecmp_member_blocked, flow_blocked, packet_loss

SYN, DATA = 0x02, 0x18


def connections(lost, tries=2, start_s=0.0):
    """Connections whose SYN is sent again, from another outer source port as Linux does, until it arrives."""
    made = []
    for i, gone in enumerate(lost):
        flow = Flow(protocol=TCP, sport=40000 + i, dport=8080)
        for again in range(tries if gone else 1):
            last = not gone or again == tries - 1
            port = 50000 + 10 * i + again
            made.append(
                Traffic(
                    Flow(protocol=TCP, sport=flow.sport, dport=8080, outer_sport=port),
                    time_s=start_s + i * 0.3 + again + np.arange(6 if last else 1) * 0.001,
                    tcp_flags=[SYN, *[DATA] * 5] if last else SYN,
                    lost=not last,
                )
            )
    return made


def queries(lost, times=1):
    return [
        Traffic(
            Flow(sport=30000 + i, dport=53),
            time_s=i * 0.2 + np.arange(times),
            lost=[gone, *[False] * (times - 1)],
        )
        for i, gone in enumerate(lost)
    ]


def answers(diagnostic, forward):
    return [a for a in diagnostic.check(comparison(forward)) if a.direction == "node1>node2"]


def test_the_first_packet_of_every_conversation_is_said():
    echoes = Traffic(ping(), packets=20, every_s=0.1, lost=np.arange(20) == 0)
    forward = [*connections([True] * 20), *queries([True] * 10), echoes]
    (finding,) = answers(packet_loss, forward)

    assert finding.summary.endswith(": only first packets of conversations")
    assert "no first packet arrives; of 21 conversations later packets do" in finding.explanation
    assert "conntrack -S" in finding.remedy
    assert answers(ecmp_member_blocked, forward) == []
    assert answers(flow_blocked, forward) == []


def test_first_packets_are_said_where_some_of_them_arrive():
    """An echo that finds an entry: one first packet in thirty arrives."""
    forward = [*connections([True] * 20), *queries([True] * 10, 2), Traffic(ping(), packets=9)]
    (finding,) = answers(packet_loss, forward)

    assert finding.evidence["only"].value == "first packets of conversations"
    assert "of these are lost" in finding.explanation


def test_syns_that_are_lost_now_and_then_are_said():
    lost = np.random.default_rng(2).random(40) < 0.5
    forward = [*connections(lost), *queries([False] * 12), Traffic(ping(), packets=20)]
    (finding,) = answers(packet_loss, forward)

    assert finding.summary.endswith(": only SYNs")
    assert f"of these, {lost.sum()} of {40 + lost.sum()} (" in finding.explanation
    assert finding.evidence["only"].value == "SYNs"
    assert answers(ecmp_member_blocked, forward) == []


@pytest.mark.parametrize("seed", range(10))
def test_loss_at_random_that_takes_syns_too_is_not_of_them(seed):
    rng = np.random.default_rng(seed)
    forward = [*connections(rng.random(30) < 0.1), Traffic(packets=500, lost=rng.random(500) < 0.1)]
    (finding,) = answers(packet_loss, forward)
    assert finding.evidence["only"].value is None


def test_no_syn_that_arrives_at_a_service_of_its_own_is_a_blocked_service():
    blocked = [
        Traffic(
            Flow(protocol=TCP, sport=40000 + i, dport=8080),
            time_s=i + np.array([0, 1, 3]),
            tcp_flags=SYN,
            lost=True,
        )
        for i in range(5)
    ]
    forward = [*blocked, *queries([False] * 12), Traffic(ping(), packets=20)]
    assert answers(packet_loss, forward) == []
    assert len(answers(flow_blocked, forward)) == 1


def test_a_dead_path_takes_more_than_syns():
    """A quarter of all outer source ports, SYNs and queries alike."""
    lost = np.arange(40) % 4 == 1
    forward = [*connections(lost), *queries(lost), Traffic(ping(), packets=20)]
    assert len(answers(ecmp_member_blocked, forward)) == 1
