"""DHCP answers with unfilled checksums: ignored ones are a fault, taken ones are offload."""

import pytest

import vxlanalyze as vx
from tests.reported.pairs import k40_broadcasts as broadcasts
from tests.reported.world import Tunnel


@pytest.fixture
def compared(tmp_path):
    def run(w) -> vx.Comparison:
        w.run()
        return vx.compare(*sorted(path for path in w.write(tmp_path) if ".pcap" in path.name))

    return run


def conversation(w, *, tries: int, checksums=("partial",), again: float = 3.0):
    """A host of node2 repeats its DISCOVER, though a server of node1 answers."""
    there, back = (w.nodes[1], w.nodes[0]), (w.nodes[0], w.nodes[1])
    for number in range(tries):
        at = 0.5 + number * again
        broadcasts.carry(w, there, broadcasts.dhcp("52:54:00:00:40:31", 1), at)
        for each, checksum in enumerate(checksums):
            offer = broadcasts.dhcp("52:54:00:00:40:31", 2, True, checksum)
            broadcasts.carry(w, back, offer, at + 0.002 + each / 1000)
    return w


def world():
    return broadcasts.world(40, Tunnel(vni=1500, port=4789, layer2=True))


def codes(result: vx.Comparison) -> set[str]:
    return {finding["code"] for finding in result.report.findings}


def test_offers_that_a_client_ignores_are_found(compared):
    result = compared(conversation(world(), tries=4))
    (finding,) = (each for each in result.report.findings if each["code"] == "inner-checksum-bad")

    assert finding["direction"] == "node1>node2"
    assert finding["summary"].startswith("4 DHCP answers from 10.40.0.2 reach node2")
    assert "-A POSTROUTING -s 10.40.0.2 -p udp --dport 68 -j CHECKSUM --checksum-fill" in finding["remedy"]
    assert "ethtool -K DEVICE tx on" in finding["remedy"]
    assert "checksum-offload" not in codes(result)


def test_leases_are_clear(compared):
    assert not codes(compared(broadcasts._leases(world(), None))) & {"inner-checksum-bad", "checksum-offload"}


def test_offers_that_are_taken_stay_a_note(compared):
    found = codes(compared(broadcasts._leases(world(), "partial")))

    assert "inner-checksum-bad" not in found
    assert "checksum-offload" in found


def test_two_repeated_messages_cannot_tell(compared):
    assert "inner-checksum-bad" not in codes(compared(conversation(world(), tries=3)))


def test_a_client_that_also_ignores_a_valid_offer_has_another_reason(compared):
    result = compared(conversation(world(), tries=4, checksums=("partial", None)))
    assert "inner-checksum-bad" not in codes(result)
