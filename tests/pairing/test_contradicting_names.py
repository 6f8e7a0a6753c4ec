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
    for fact in ("left has 10.61.0.6", "10.61.0.5 (right)", "is it another node's capture?"):
        assert fact in min(reasons)
    assert not [f for f in result.findings if f.severity != "info"]


def test_names_that_fit_are_judged(tmp_path):
    result = compared(tmp_path, swapped=False)

    assert not [n for n in result.not_assessed if n["code"] == "no-common-traffic"]
    assert result.hops[0]["delivered"] > 0
