"""Link layers.

| section | statement | test |
| --- | --- | --- |
| IEEE 802.3 clause 3.2.6 | a type below 1536 is a length, and LLC follows | test_snap, test_other_llc_is_payload |
| IEEE 802.1Q clause 9.6 | 12 bits of a tag are the VLAN identifier | test_tags_outer_first |
| IEEE 802.1ad | a service tag (0x88A8) stands before a customer tag | test_tags_outer_first |
| LINKTYPE_LINUX_SLL | packet type, ARPHRD, address, EtherType | test_cooked_by_the_kernel |
| LINKTYPE_LINUX_SLL2 | EtherType first, interface index | test_cooked_v2_by_the_kernel |
| LINKTYPE_RAW, IPV4, IPV6 | the version says which IP | test_raw_by_the_kernel, test_raw_ip_under_all_its_numbers |
| LINKTYPE_NULL, LOOP | address family in the host's or the network's order | test_loopback_families |
"""

import pytest

from tests.wire import build, kernel
from tests.wire.decoding import assert_row, row

SLL, SLL2, RAW = 113, 276, 101


def test_ethernet_addresses_by_the_kernel() -> None:
    frame = bytes.fromhex(
        "020000000002 020000000001 0806 0001 0800 06 04 0002 020000000001 0a090001 020000000002 0a090002"
    )

    assert_row(
        row(frame),
        outer_dst_mac="02:00:00:00:00:02",
        outer_src_mac="02:00:00:00:00:01",
        vlan=None,
        arp_operation=2,
        arp_sender="10.9.0.1",
        arp_sender_mac="02:00:00:00:00:01",
        arp_target="10.9.0.2",
        arp_target_mac="02:00:00:00:00:02",
        outer_src=None,
        anomalies=[],
    )


@pytest.mark.parametrize("outer_kind", [0x88A8, 0x8100, 0x9100, 0x9200])
def test_tags_outer_first(outer_kind: int) -> None:
    """Priority 5 and DEI in the tag are no part of the identifier."""
    tags = build.tag(0xB000 | 3001, outer_kind) + build.tag(17)

    assert_row(
        row(build.ethernet(build.small_packet(), tags=tags)),
        vlan=3001,
        outer_src=build.POD1,
        outer_sport=1234,
    )


def test_tags_inside_the_tunnel_are_its_own() -> None:
    inner = build.ethernet(build.small_packet(), tags=build.tag(7) + build.tag(8))
    frame = build.ethernet(build.vxlan(inner), tags=build.tag(100))

    assert_row(row(frame), vlan=100, inner_vlan=7, src=build.POD1, dport=5678)


def test_snap() -> None:
    packet = build.small_packet()
    frame = build.ethernet(bytes.fromhex("aaaa03 000000 0800") + packet, 8 + len(packet))

    assert_row(row(frame), outer_src=build.POD1, outer_dport=5678, anomalies=[])


def test_other_llc_is_payload() -> None:
    """A spanning tree message (IEEE 802.1D clause 9), as every bridge sends them."""
    frame = bytes.fromhex("0180c2000000 020000000001 0026 424203") + bytes(35)

    assert_row(row(frame), outer_src_mac="02:00:00:00:00:01", outer_src=None, tunnel=None, anomalies=[])


def test_cooked_by_the_kernel() -> None:
    """The same ping on the tunnel's device and, inside the tunnel, on the NIC."""
    bare, tunnelled = (row(f.data, SLL, wire=f.wire) for f in kernel.frames("cooked.pcap")[14:16])

    assert_row(bare, packet_type=4, outer_src_mac="0a:00:00:00:00:01", outer_src="10.42.0.1", tunnel=None)
    assert_row(tunnelled, packet_type=4, outer_src_mac="02:00:00:00:00:01", outer_src="10.9.0.1", vni=42)
    assert tunnelled["src"] == bare["outer_src"]


def test_cooked_v2_by_the_kernel() -> None:
    rows = [row(f.data, SLL2, wire=f.wire) for f in kernel.frames("cooked-v2.pcap")[6:10]]

    assert [found["packet_type"] for found in rows] == [4, 4, 0, 0]
    assert len({found["if_index"] for found in rows}) == 2
    assert [found["tunnel_depth"] for found in rows] == [0, 1, 1, 0]
    assert_row(rows[2], outer_src_mac="02:00:00:00:00:02", group_policy=None, src="10.42.0.2", icmp_type=0)


def test_netlink_messages_are_no_packets() -> None:
    """ARPHRD_NETLINK (824): what stands in the EtherType's place is a netlink family (libpcap, pcap/sll.h)."""
    frame = bytes.fromhex("0004 0338 0000 0000000000000000 0800") + build.small_packet()

    assert_row(row(frame, SLL), outer_src=None, packet_type=4)


def test_raw_by_the_kernel() -> None:
    """What a TUN device sends: to nobody, over IPv4 and over IPv6."""
    four = bytes.fromhex("45000025f708400040112f230a4d00010a4d0002 e20d1b5900110124 746f206e6f626f6479")
    six = bytes.fromhex(
        "6003575000111140 fd770000000000000000000000000001 fd770000000000000000000000000002"
        " a0a01b5900115c3b 746f206e6f626f6479"
    )

    assert_row(
        row(four, RAW),
        outer_src="10.77.0.1",
        outer_dst="10.77.0.2",
        outer_sport=57869,
        outer_dport=7001,
        outer_ip_id=0xF708,
        outer_dont_fragment=True,
        outer_checksum=0x0124,
        outer_checksum_state="ok",
        outer_ip_checksum_state="ok",
        outer_src_mac=None,
    )
    assert_row(row(six, RAW), outer_src="fd77::1", outer_sport=41120, outer_checksum_state="ok")


@pytest.mark.parametrize("number", [12, 14, 101, 228])
def test_raw_ip_under_all_its_numbers(number: int) -> None:
    """12 on most systems and 14 on OpenBSD are what savefiles hold where DLT_RAW was not mapped."""
    assert_row(row(build.small_packet(), number), outer_src=build.POD1, link_type=number)


@pytest.mark.parametrize("number", [12, 14, 101, 229])
def test_raw_ipv6_under_all_its_numbers(number: int) -> None:
    assert_row(row(build.small_packet6(), number), outer_src=build.POD1_6)


@pytest.mark.parametrize("link_type", [0, 108])
@pytest.mark.parametrize(
    ("family", "version"),
    [(2, 4), (10, 6), (24, 6), (28, 6), (30, 6)],
    ids=["inet", "linux", "netbsd", "freebsd", "darwin"],
)
@pytest.mark.parametrize("order", ["little", "big"])
def test_loopback_families(link_type: int, family: int, version: int, order: str) -> None:
    packet = build.small_packet() if version == 4 else build.small_packet6()
    found = row(family.to_bytes(4, order) + packet, link_type)  # type: ignore[arg-type]

    assert found["outer_src"] == (build.POD1 if version == 4 else build.POD1_6)


def test_other_families_are_not_decoded() -> None:
    assert_row(row(bytes.fromhex("00000007") + build.small_packet(), 0), outer_src=None, tunnel=None)
