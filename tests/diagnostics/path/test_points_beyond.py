"""Several points of which the last ones saw nothing: what stopped the packets stands before them."""

import struct

import dpkt
import pytest

import vxlanalyze as vx
from tests.diagnostics.frames import in_vxlan, ipv4, pcap, udp
from tests.pairing.test_homes import DELAY_S, ETHERNET, arp, bare
from tests.simulate import NODE1, NODE2, POD1, POD2

QUERY = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01"


def echo(number):
    asks = dpkt.icmp.ICMP.Echo(id=7, seq=number, data=bytes(56))
    return ipv4(bytes(dpkt.icmp.ICMP(type=dpkt.icmp.ICMP_ECHO, data=asks)), 1, POD1, POD2)


ASKS = [udp(struct.pack("!H", i) + QUERY, POD1, POD2) for i in range(1, 9)] + [echo(i) for i in range(12)]
TO_ROUTERS = (
    bytes.fromhex("3333000000020200ac1a32d986dd6000000000083aff")  # RFC 4861 section 4.1
    + bytes.fromhex("fe80" + "00" * 13 + "01" + "ff02" + "00" * 13 + "02" + "8500000000000000")
)


def four_points(tmp_path, *, arrives, beyond):
    """Queries and echoes of a pod, seen at it and at the nodes, the second only where they arrive."""
    sent = [(0.3 * i, packet) for i, packet in enumerate(ASKS)]
    asked, said = arp(1, NODE1, NODE2), arp(2, NODE2, NODE1)
    points = {
        "1-pod": [(at, bare(p)) for at, p in sent],
        "2-node": [(0.001, asked), (0.002, said), *((at + DELAY_S, in_vxlan(p)) for at, p in sent)],
        "3-node": [(0.0015, asked), (0.0015, said)],
        "4-pod": beyond,
    }
    if arrives:
        points["3-node"] += [(at + 2 * DELAY_S, in_vxlan(p)) for at, p in sent]
    points["2-node"].append((20.0, asked))
    return vx.compare(*(pcap(tmp_path / f"{n}.pcap", frames, ETHERNET) for n, frames in points.items()))


@pytest.mark.parametrize("beyond", [[], [(5.0, TO_ROUTERS)]], ids=["no frame", "later frames"])
def test_a_point_behind_a_blocked_path_is_not_of_another_time(tmp_path, beyond):
    found = four_points(tmp_path, arrives=False, beyond=beyond).findings

    assert (found[0].code, found[0].direction) == ("path-blocked", "2-node>3-node")
    assert not {"windows-disjoint", "no-common-traffic"} & {f.code for f in found}


@pytest.mark.parametrize("beyond", [[], [(5.0, TO_ROUTERS)]], ids=["no frame", "frames to groups"])
def test_what_dies_before_a_point_that_shows_nothing_is_not_answered(tmp_path, beyond):
    found = four_points(tmp_path, arrives=True, beyond=beyond).findings

    assert (found[0].code, found[0].direction) == ("not-answered", "2-node>3-node")
    assert "no-common-traffic" not in {f.code for f in found}
