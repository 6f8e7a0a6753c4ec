"""Whose capture is whose, where tunnel packets pass one way only."""

import socket
import struct

import pytest

from tests.diagnostics.frames import in_vxlan, pcap, udp
from tests.simulate import NODE1, NODE2, POD1, POD2
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import pair

ETHERNET = 1
MAC1, MAC2 = bytes.fromhex("0200ac1a32c8"), bytes.fromhex("0200ac1a32c9")
DELAY_S = 0.0005


def arp(operation, sender, target):
    """RFC 826, from the node with the first address to the one with the second."""
    own, other = (MAC1, MAC2) if sender == NODE1 else (MAC2, MAC1)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    body += own + socket.inet_aton(sender) + other + socket.inet_aton(target)
    return (b"\xff" * 6 if operation == 1 else other) + own + b"\x08\x06" + body


def bare(packet):
    return MAC2 + MAC1 + b"\x08\x00" + packet


def points(tmp_path, captures):
    """Points of captures given as ``{name: frames}``, in path order."""
    paths = [pcap(tmp_path / f"{name}.pcap", frames, ETHERNET) for name, frames in captures.items()]
    sources = open_sources([str(p) for p in paths])
    return pair([(s, wire.decode(s)) for s in sources]).points


INNER = [udp(b"%04d" % i, POD2, POD1, 5000, 9) for i in range(6)]


def back(at_s=0.0):
    """What node2 sends through the tunnel for its pod; nothing goes the other way."""
    return [(at_s + i, in_vxlan(packet, NODE2, NODE1)) for i, packet in enumerate(INNER)]


def test_neighbours_that_ask_for_each_other_tell_the_captures_apart(tmp_path):
    """The second clock is an hour ahead, so that times alone say nothing; ARP passes both ways."""
    hour_s = 3600.0
    asked, said = arp(1, NODE1, NODE2), arp(2, NODE2, NODE1)
    first = [(0.5, asked), (0.5 + 2 * DELAY_S, said), *back()]
    second = [
        (hour_s + 0.5 + DELAY_S, asked),
        (hour_s + 0.5 + DELAY_S, said),
        *back(hour_s - DELAY_S),
    ]
    one, two = points(tmp_path, {"a": first, "b": second})

    assert (one.addresses, two.addresses) == ((NODE1,), (NODE2,))


@pytest.mark.parametrize("where", ["its node's card", "a capture of the pod"])
def test_packets_of_a_pod_that_stand_bare_tell_its_node(tmp_path, where):
    """The card's capture was filtered, so that no ARP is in it; the pod's packets never enter the tunnel."""
    asks = [(0.1 * i, bare(udp(b"%04d" % i, POD1, POD2, 4000, 9))) for i in range(5)]
    captures = {"a": back(), "b": back()}
    if where == "its node's card":
        captures["a"] = [*asks, *back()]
    else:
        captures = {"pod": [*asks, *((i + DELAY_S, bare(p)) for i, p in enumerate(INNER))], **captures}

    found = {p.name: p.addresses for p in points(tmp_path, captures)}

    assert (found["a"], found["b"]) == ((NODE1,), (NODE2,))


def test_without_either_the_first_capture_is_the_senders(tmp_path):
    one, two = points(tmp_path, {"a": back(), "b": back()})
    assert (one.addresses, two.addresses) == ((NODE2,), (NODE1,))


@pytest.mark.parametrize("later_s", [0.0, 3600.0])
def test_a_node_that_answers_to_a_wrong_address_is_one_of_two(tmp_path, later_s):
    """It takes part in all packets of both captures, and what it sends elsewhere passes the other's card."""
    asks = [udp(b"%04d" % i, POD1, POD2, 9, 5000) for i in range(6)]
    there = [(0.2 * i, in_vxlan(packet, NODE1, NODE2)) for i, packet in enumerate(asks)]
    astray = [(0.2 * i + 0.1, in_vxlan(packet, NODE2, "172.26.50.77")) for i, packet in enumerate(INNER)]
    first = sorted([*there, *((at + DELAY_S, frame) for at, frame in astray)])
    second = sorted([*((at + DELAY_S, frame) for at, frame in there), *astray])
    one, two = points(tmp_path, {"a": first, "b": [(at + later_s, frame) for at, frame in second]})

    assert (one.addresses, two.addresses) == (("172.26.50.77", NODE1), (NODE2,))
    assert "used by the same node" in one.addresses_by


def test_captures_without_a_frame_take_no_address_from_the_others(tmp_path):
    """A filter on the tunnel's port leaves nothing of what pods send bare."""
    asks = [udp(b"%04d" % i, POD1, POD2, 9, 5000) for i in range(6)]
    there = [(0.2 * i, in_vxlan(packet, NODE1, NODE2)) for i, packet in enumerate(asks)]
    here = [(0.2 * i + 0.1, in_vxlan(packet, NODE2, NODE1)) for i, packet in enumerate(INNER)]
    first = sorted([*there, *((at + DELAY_S, frame) for at, frame in here)])
    second = sorted([*((at + DELAY_S, frame) for at, frame in there), *here])
    found = points(tmp_path, {"pod1": [], "node1": first, "node2": second, "pod2": []})

    assert {p.name: p.addresses for p in found} == {
        "pod1": (),
        "node1": (NODE1,),
        "node2": (NODE2,),
        "pod2": (),
    }


def test_two_pairs_of_nodes_with_nothing_in_common_take_no_address_of_each_other(tmp_path):
    there = [(at, in_vxlan(udp(b"%04d" % at, POD2, POD1, 5, 9), "192.0.2.1", "192.0.2.2")) for at in range(6)]
    one, two = points(tmp_path, {"a": back(), "b": there})

    assert len(one.addresses) == len(two.addresses) == 1
    assert set(one.addresses) <= {NODE1, NODE2}
    assert set(two.addresses) <= {"192.0.2.1", "192.0.2.2"}
