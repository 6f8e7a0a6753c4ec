"""Whose captures many are, and which part of each a pair of them has to do with."""

import ipaddress
from pathlib import Path

import numpy as np
import pytest

from vxlanalyze.capture import open_source
from vxlanalyze.kubernetes.model import Cluster, Node
from vxlanalyze.pairing.between import without_peers
from vxlanalyze.pairing.nodes import NodeEvidence, concerned, homes, with_homes
from vxlanalyze.wire import decode
from vxlanalyze.wire.model import Tunnel

CAPTURES = Path(__file__).parents[1] / "captures"


def sight(name: str, *talks: str) -> NodeEvidence:
    """Make what a capture shows; ``"ab"`` is the traffic of the addresses a and b."""
    pairs = frozenset(frozenset(talk) for talk in talks)
    return NodeEvidence(name, frozenset.intersection(*pairs) if pairs else frozenset(), pairs)


def test_the_end_of_all_packets_is_the_nodes_own():
    seen = [sight("x", "ab", "ac"), sight("y", "ab", "bc"), sight("z", "ac", "bc")]

    assert homes(seen, Cluster()) == {"x": {"a"}, "y": {"b"}, "z": {"c"}}


def test_of_two_ends_that_of_another_node_is_not_it():
    seen = [sight("x", "ab", "ac"), sight("y", "ab"), sight("z", "ac")]

    assert homes(seen, Cluster()) == {"x": {"a"}, "y": {"b"}, "z": {"c"}}


def test_the_one_address_left_is_that_of_the_one_node_left():
    seen = [sight("x", "ab", "ac"), sight("y", "ab", "bc"), sight("z")]

    assert homes(seen, Cluster())["z"] == {"c"}
    assert "z" not in homes([*seen, sight("w", "ad", "ed")], Cluster())


def test_two_nodes_alone_cannot_be_told_apart_by_addresses():
    seen = [sight("x", "ab"), sight("y", "ab")]

    assert homes(seen, Cluster()) == {}
    assert concerned(seen, {}) == [(0, 1)]


def test_the_clusters_list_of_nodes_goes_first():
    cluster = Cluster(nodes=(Node("x", ("b",)),))
    seen = [sight("x", "ab"), sight("y", "ab")]

    found = homes(seen, cluster)

    assert found == {"x": {"b"}, "y": {"a"}}
    told = {node.name: node for node in with_homes(cluster, seen, found).nodes}
    assert (told["x"].addresses_by, told["y"].addresses) == ("the cluster's list of nodes", ("a",))


def test_only_nodes_that_exchanged_something_are_compared():
    seen = [sight("x", "ab", "ac"), sight("y", "ab", "bc"), sight("z", "ac", "bc"), sight("w", "ad", "de")]

    found = {"x": frozenset("a"), "y": frozenset("b"), "z": frozenset("c"), "w": frozenset("d")}

    assert concerned(seen, found) == [(0, 1), (0, 2), (0, 3), (1, 2)]


@pytest.fixture(scope="module", params=["fragments-lost", "fragmented-by-the-node", "third-node-fine"])
def decoded(request):
    source = open_source(next((CAPTURES / request.param).glob("node1.pcap*")))
    return decode(source)


def ends(decoded):
    """Write the two ends of each row's tunnel, of its fragment where it is one; None where there is none."""
    texts = [None] * len(decoded.index)
    for row, flow in enumerate(decoded.index.flow):
        if flow >= 0 and decoded.flows.tunnel[flow] != Tunnel.NONE:
            texts[row] = {
                str(ipaddress.ip_address(side[flow][:4].tobytes()))
                for side in (decoded.flows.outer_src, decoded.flows.outer_dst)
            }
    for place, row in enumerate(decoded.fragments.row):
        texts[row] = {
            str(ipaddress.ip_address(side[place][:4].tobytes()))
            for side in (decoded.fragments.outer_src, decoded.fragments.outer_dst)
        }
    return texts


def test_what_was_exchanged_with_others_is_left_out_and_the_rest_keeps_its_numbers(decoded):
    before = ends(decoded)
    peer = sorted(set().union(*(two for two in before if two)))[-1]

    part = without_peers(decoded, [peer])

    kept = [row for row, two in enumerate(before) if two is None or peer not in two]
    frames = np.arange(1, len(decoded.index) + 1) if part.frame is None else part.frame
    assert (frames - 1).tolist() == kept
    assert len(kept) < len(before)
    assert part.index.place.tolist() == decoded.index.place[kept].tolist()
    assert ends(part) == [before[row] for row in kept]


def test_nothing_is_left_out_where_there_are_no_others(decoded):
    assert without_peers(decoded, ["192.0.2.1"]) is decoded
