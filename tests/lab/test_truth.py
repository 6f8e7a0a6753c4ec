"""From the network's log to the list of lost packets."""

from typing import Any

from tests.lab import truth

INNER = ["10.42.0.10", "10.42.1.20", 5000, 53, 17, 77]


def line(
    lost: bool, inner: list[Any] | None, offset: int = 0, more: bool = False, direction: str = "node1>node2"
) -> dict[str, Any]:
    outer = ["192.168.56.11", "192.168.56.12", 40000, 8472, 17, 9, 1000, offset, more]
    return {"direction": direction, "outer": outer, "inner": inner, "acts": ["drop"] * lost, "lost": lost}


def lost(*lines: dict[str, Any]) -> list[list[Any]]:
    return truth.lost_packets(lines, {"node1>node2": "ab", "node2>node1": "ba"})


def test_a_dropped_tunnel_packet_is_listed_with_its_direction():
    assert lost(line(True, INNER, direction="node2>node1")) == [["ba", *INNER]]


def test_delivered_packets_and_those_of_other_nodes_are_not():
    assert lost(line(False, INNER), line(True, INNER, direction="node1>node3")) == []


def test_dropped_packets_outside_the_tunnel_are_not():
    assert lost(line(True, None)) == []


def test_a_packet_in_pieces_is_lost_once_whichever_pieces_are_dropped():
    first, second = line(False, INNER, more=True), line(True, None, offset=976)
    assert lost(first, second) == [["ab", *INNER]]
    assert lost(line(True, INNER, more=True), second) == [["ab", *INNER]]


def test_counts_tell_directions_and_fates_apart():
    counted = truth.counts([line(True, INNER), line(False, INNER), line(False, None)])
    assert counted == {
        "node1>node2.other.seen": 1,
        "node1>node2.tunnel.drop": 1,
        "node1>node2.tunnel.seen": 2,
    }
