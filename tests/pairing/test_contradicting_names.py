"""A cluster's file that gives a node another address than its kernel marks: nothing is judged."""

import json

import vxlanalyze as vx
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import World

ADDRESSES = {"left": "10.61.0.5", "right": "10.61.0.6"}


def compared(folder, swapped):
    """Two captures of every interface, and a cluster whose nodes may have each other's addresses."""
    w = World(61)
    left, right = (w.node(name, address, any=True) for name, address in ADDRESSES.items())
    a, b = left.pod("10.244.8.2"), right.pod("10.244.9.3")
    w.all_arp()
    ping(a, b, 0.1, count=5)
    tcp_talk(b, a, 8080, 0.3, repeat=4)
    w.run()
    captures = [c.write(folder) for c in w.captures]
    text = json.dumps(w.cluster())
    if swapped:
        text = text.replace("10.61.0.5", "?").replace("10.61.0.6", "10.61.0.5").replace("?", "10.61.0.6")
    (folder / "kube.json").write_text(text)
    return vx.compare(*captures, kube=folder / "kube.json")


def test_files_with_each_others_names_are_not_judged(tmp_path):
    result = compared(tmp_path, swapped=True)
    reasons = {n["reason"] for n in result.not_assessed if n["code"] == "path-blocked"}

    assert len(reasons) == 1
    for fact in ("left has 10.61.0.6", "10.61.0.5 (right)", "it may be another node's capture"):
        assert fact in min(reasons)
    assert not [f for f in result.findings if f.severity != "info"]


def test_names_that_fit_are_judged(tmp_path):
    result = compared(tmp_path, swapped=False)

    assert not [n for n in result.not_assessed if n["code"] == "no-common-traffic"]
    assert result.hops[0]["delivered"] > 0


def files_swapped(folder):
    """Captures of two cards, each with the other node's name."""
    w = World(62)
    left, right = (w.node(name, address) for name, address in ADDRESSES.items())
    a, b = left.pod("10.244.8.2"), right.pod("10.244.9.3")
    ping(a, b, 0.1, count=8)
    tcp_talk(b, a, 8080, 0.3, repeat=4)
    w.run()
    first, second = (c.write(folder) for c in w.captures)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    return w, first, second


def not_judged(result):
    assert not [f for f in result.findings if f.severity != "info"]
    return {n["reason"] for n in result.not_assessed if n["code"] == "path-blocked"}


def test_packets_that_come_late_to_the_capture_of_their_sender_contradict_its_name(tmp_path):
    w, *captures = files_swapped(tmp_path)
    (tmp_path / "kube.json").write_text(json.dumps(w.cluster()))
    (reason,) = not_judged(vx.compare(*captures, kube=tmp_path / "kube.json"))

    assert "10.61.0.5 is left's by its name" in reason
    assert "later than the capture right does" in reason


def test_without_names_the_same_files_are_judged(tmp_path):
    _, *captures = files_swapped(tmp_path)
    assert vx.compare(*captures).hops[0]["delivered"] > 0


def test_an_address_that_the_cluster_gives_to_two_nodes_is_no_ones(tmp_path):
    w = World(63)
    left, right = (w.node(name, address) for name, address in ADDRESSES.items())
    ping(left.pod("10.244.8.2"), right.pod("10.244.9.3"), 0.1, count=8)
    w.run()
    captures = [c.write(tmp_path) for c in w.captures]
    kube = json.dumps(w.cluster()).replace("10.61.0.6", "10.61.0.5")
    (tmp_path / "kube.json").write_text(kube)

    (reason,) = not_judged(vx.compare(*captures, kube=tmp_path / "kube.json"))

    assert "10.61.0.5 is an address of left" in reason
    assert "of right by" in reason
