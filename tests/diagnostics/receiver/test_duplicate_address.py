"""Two MACs that claim an address in turn are a duplicate; one after the other is a move."""

import numpy as np

from tests.simulate import NODE1, NODE2, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import NotAssessed, Severity
from vxlanalyze.diagnostics.receiver import duplicate_address

NODE3, GUEST = "172.26.50.202", "fd00:31::6"
FIRST, SECOND = 0x525400000001, 0x525400000002
TIMES = np.arange(6.0)


def claims(mac, times, behind=NODE2, address=GUEST, **changes):
    """Neighbour advertisements of a guest behind a node."""
    flow = Flow(
        src=address, dst="ff02::1", protocol=58, sport=136 << 8, dport=0, inner_src_mac=mac,
        inner_dst_mac=0x333300000001, outer_src=behind, outer_dst=NODE1, **changes,
    )  # fmt: skip
    return Traffic(flow, packets=len(times), time_s=times)


def seen(*traffic):
    return duplicate_address.check(comparison([Traffic()], seen_only={"node1": list(traffic)}))


def test_two_guests_with_one_address_are_found():
    (finding,) = seen(claims(FIRST, TIMES), claims(SECOND, TIMES + 0.5, NODE3))

    assert (finding.code, finding.severity) == ("duplicate-address", Severity.CRITICAL)
    for fact in (GUEST, "52:54:00:00:00:01", "52:54:00:00:00:02", NODE2, NODE3, "VNI 1"):
        assert fact in finding.summary
    assert finding.evidence["claims"].value == 12


def test_one_owner_is_clear():
    assert seen(claims(FIRST, TIMES)) == []


def test_a_move_is_no_duplicate():
    assert seen(claims(FIRST, TIMES), claims(SECOND, TIMES + 60, NODE3)) == []
    assert seen(claims(FIRST, TIMES), claims(FIRST, TIMES + 0.5, NODE3)) == []


def test_other_networks_may_use_the_address_again():
    assert seen(claims(FIRST, TIMES), claims(SECOND, TIMES + 0.5, vni=2)) == []


def test_vrrp_and_proxies_are_no_owners():
    assert seen(claims(FIRST, TIMES), claims(0x00005E000107, TIMES + 0.5)) == []
    others = [claims(SECOND, TIMES + 0.5, address=f"fd00:31::{n}") for n in range(6, 14)]
    assert seen(claims(FIRST, TIMES), *others) == []


def test_captures_without_arp_cannot_tell():
    lost = comparison([Traffic(lost=np.arange(100) < 9)])
    assert [type(a) for a in duplicate_address.check(lost)] == [NotAssessed]
    assert seen() == []  # nothing is missing
