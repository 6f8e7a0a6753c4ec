"""VXLAN, its group policy, and the generic protocol extension.

| section | statement | test |
| --- | --- | --- |
| RFC 7348 5 | I flag, VNI of 24 bits, reserved fields ignored on receipt | test_vxlan_by_the_kernel, test_reserved_fields |
| RFC 7348 5 | the destination port is 4789 | test_source_port_says_nothing |
| RFC 7348 5 | with the I flag clear the VNI is not valid | test_flag_of_the_vni_is_clear |
| group policy 2.1 | G gives the second half-word a meaning; D, A beside it | test_group_policy_by_the_kernel |
| GPE 3.2 | P: the last octet of the first word names what follows | test_gpe_by_the_kernel, test_next_protocols |
| Linux vxlan | port 8472; over IPv6 with a checksum | test_vxlan_over_ipv6_by_the_kernel |
"""

import pytest

from tests.wire import build, kernel
from tests.wire.build import POD1, POD1_6
from tests.wire.decoding import assert_row, row

INNER = build.ethernet(build.small_packet())
PING = (
    "45000054 09fd4000 40011c56 0a2a0001 0a2a0002 08004ab65c990001 6261066b00000000 2110080000000000"
    "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
)


def test_vxlan_by_the_kernel() -> None:
    reply = kernel.frame("vxlan.pcap", 12)

    assert_row(
        row(reply.data),
        tunnel="vxlan",
        vni=42,
        tunnel_depth=1,
        group_policy=None,
        outer_src="10.9.0.2",
        outer_dport=4789,
        inner_src_mac="0a:00:00:00:00:02",
        inner_dst_mac="0a:00:00:00:00:01",
        src="10.42.0.2",
        dst="10.42.0.1",
        icmp_type=0,
        anomalies=[],
    )


def test_group_policy_by_the_kernel() -> None:
    """A ping with a mark: G and I, then D (do not learn) and A (applied), then the group."""
    frame = bytes.fromhex(
        "020000000002020000000001080045000086fa6d000040116be50a0900010a090002840212b500721498"
        "88480abc 00002a00 0a00000000020a0000000001 0800" + PING
    )

    assert_row(
        row(frame), vni=42, group_policy=0x0ABC, src="10.42.0.1", inner_checksum_state="ok", anomalies=[]
    )


def test_vxlan_over_ipv6_by_the_kernel() -> None:
    request = kernel.frame("vxlan-over-ipv6.pcap", 8)

    assert_row(
        row(request.data),
        outer_src="fd09::1",
        outer_dst="fd09::2",
        outer_dport=8472,
        outer_ip_id=None,
        outer_checksum_state="offload",
        vni=0xFFFFFF,
        src="10.66.0.1",
        icmp_type=8,
        anomalies=[],
    )


def test_gpe_by_the_kernel() -> None:
    """I and P, next protocol 1: an IPv4 packet, no frame around it."""
    frame = bytes.fromhex(
        "0200000000020200000000010800450000 78fbfe00004011 6a62 0a0900010a090002af5b12b600640000"
        "0c000001 00004600" + PING
    )

    assert_row(
        row(frame),
        tunnel="vxlan-gpe",
        vni=70,
        inner_src_mac=None,
        src="10.42.0.1",
        outer_checksum_state="absent",
        outer_ip_checksum_state="ok",
        anomalies=[],
    )


@pytest.mark.parametrize(
    ("second", "inner", "source"),
    [(1, build.small_packet(), POD1), (2, build.small_packet6(), POD1_6), (3, INNER, POD1)],
    ids=["ipv4", "ipv6", "ethernet"],
)
def test_next_protocols(second: int, inner: bytes, source: str) -> None:
    frame = build.ethernet(build.vxlan(inner, dport=4790, first=0x0C, second=second))

    assert_row(row(frame), tunnel="vxlan-gpe", vni=100, src=source, dport=5678, anomalies=[])


@pytest.mark.parametrize("second", [0, 7, 255], ids=["none", "vbng", "unassigned"])
def test_next_protocol_that_is_not_followed(second: int) -> None:
    frame = build.ethernet(build.vxlan(INNER, dport=4790, first=0x0C, second=second))

    assert_row(row(frame), tunnel="vxlan-gpe", vni=100, src=None, anomalies=["unknown_protocol"])


def test_gpe_without_next_protocol_carries_ethernet() -> None:
    frame = build.ethernet(build.vxlan(INNER, dport=4790, first=0x08))

    assert_row(row(frame), tunnel="vxlan-gpe", src=POD1, anomalies=[])


@pytest.mark.parametrize(
    ("at", "value"), [(0, 0x0A), (1, 0x01), (3, 0x01), (7, 0x01)], ids=["flags", "second", "fourth", "last"]
)
def test_reserved_fields(at: int, value: int) -> None:
    """RFC 7348: they are ignored on receipt, so decoding goes on; but they are worth a mark."""
    frame = bytearray(build.ethernet(build.vxlan(INNER)))
    frame[14 + 28 + at] = value

    assert_row(row(bytes(frame)), vni=100, src=POD1, anomalies=["reserved_bits"])


def test_flag_of_the_vni_is_clear() -> None:
    frame = build.ethernet(build.vxlan(INNER, first=0))

    assert_row(row(frame), tunnel="vxlan", vni=100, src=POD1, anomalies=["vni_not_valid"])


@pytest.mark.parametrize("port", [1, 250, 14789, 65535])
def test_recognised_by_content_on_any_port(port: int) -> None:
    frame = build.ethernet(build.vxlan(INNER, dport=port))

    assert_row(row(frame), tunnel="vxlan", vni=100, src=POD1, anomalies=["tunnel_guessed"])


def test_port_that_the_user_names_is_vxlan_whatever_its_content() -> None:
    odd = build.ethernet(build.vxlan(build.ethernet(b"?" * 40, 0x88B5), dport=14789))

    assert_row(row(odd), tunnel=None)
    assert_row(row(odd, ports=(14789,)), tunnel="vxlan", vni=100, src=None, anomalies=[])


def test_source_port_says_nothing() -> None:
    payload = bytes.fromhex("0800000000006400") + b"not a frame at all"
    frame = build.ethernet(build.ipv4(build.udp(payload, sport=4789, dport=40000)))

    assert_row(row(frame), tunnel=None, outer_sport=4789)


@pytest.mark.parametrize("damage", [0, 6, 7, 20, 22, 24], ids=str)
def test_hardly_recognised_by_chance(damage: int) -> None:
    """One octet less alike (flags, reserved, group MAC, type, version, length), and it is payload."""
    frame = bytearray(build.ethernet(build.vxlan(INNER, dport=14789)))
    at = 14 + 28
    spoiled = {0: 0x09, 6: 0, 7: 1, 20: 0x09, 22: 0x55, 24: 0x40}
    frame[at + damage] = spoiled[damage]
    if damage == 6:
        frame[at + 8 + 6] |= 1

    assert_row(row(bytes(frame)), tunnel=None)


@pytest.mark.parametrize(
    "inner", [INNER, build.ethernet(build.small_packet6(), 0x86DD)], ids=["ipv4", "ipv6"]
)
@pytest.mark.parametrize("snap", [50, 56, 64, 65, 72, 83, 84, 96, 103, 104])
def test_recognised_by_content_where_the_snap_length_cut_it(snap: int, inner: bytes) -> None:
    """A right VXLAN header suffices where no more was captured; what is seen of the packet must fit."""
    frame = build.ethernet(build.vxlan(inner, dport=14789))

    assert_row(row(frame[:snap], wire=len(frame)), tunnel="vxlan", vni=100)


@pytest.mark.parametrize("damage", [20, 22, 24], ids=str)
def test_a_cut_frame_is_no_tunnel_where_what_is_seen_is_none(damage: int) -> None:
    frame = bytearray(build.ethernet(build.vxlan(INNER, dport=14789)))
    frame[14 + 28 + damage] = {20: 0x09, 22: 0x55, 24: 0x40}[damage]

    assert_row(row(bytes(frame[:72]), wire=len(frame)), tunnel=None)
