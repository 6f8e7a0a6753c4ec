"""Unanswered requests that leave one card without a tunnel are counted, and never in order."""

import pytest

import vxlanalyze as vx
from tests.reported.pairs import k02_lone_requests as made
from tests.reported.world import World


def compared(world: World, folder):
    world.run().write(folder)
    return vx.compare(folder / "node1.pcap", folder / "node2.pcap")


def test_they_are_in_the_table_of_requests(tmp_path):
    result = compared(made.to_a_gateway(), tmp_path)
    rows = {(s["protocol"], s["server"]): s for s in result.services}

    assert rows["icmp", "10.99.2.9"]["unanswered"] == 6
    tcp = rows["tcp", "10.99.2.9:9200"]
    assert tcp["requests"] == tcp["unanswered"] >= 5


@pytest.mark.parametrize("world", [made.to_a_gateway, made.natively_routed])
def test_nothing_is_said_to_be_in_order(world, tmp_path):
    assert not compared(world(), tmp_path).verdict.startswith("Nothing is wrong")


def test_answered_ones_are_in_order(tmp_path):
    assert compared(made.answered(), tmp_path).verdict.startswith("Nothing is wrong")
