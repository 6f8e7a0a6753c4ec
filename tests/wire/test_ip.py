"""IPv4, IPv6 and what stands between their headers and the transport's.

| section | statement | test |
| --- | --- | --- |
| RFC 791 3.1 | options up to IHL words | test_record_route_by_the_kernel |
| RFC 791 3.1 | flags and offset in units of 8 octets | test_fragments_of_ipv4_by_the_kernel |
| RFC 791 3.1 | the total length bounds the packet | test_bytes_behind_the_packet_are_marked_inside_a_tunnel |
| Linux iph_totlen | a total length of 0 lasts as long as the frame | test_total_length_of_zero |
| RFC 8200 4.1, 4.3, 4.6 | hop-by-hop and destination options, 8 octets a unit | test_extension_headers_by_the_kernel |
| RFC 8200 4.5 | fragment header: offset, more, identification of 32 bits | test_fragments_of_ipv6_by_the_kernel |
| RFC 4302 2.2 | the length of an authentication header counts words, less 2 | test_authentication_header |
| RFC 8754 2 | with segments left, the checksum is made for another address | test_route_not_yet_travelled |
| RFC 826 | what is not IPv4 over Ethernet is left | test_arp_of_other_protocols |
"""

import pytest

from tests.wire import build
from tests.wire.build import NODE1_6, NODE2_6, POD1
from tests.wire.decoding import assert_row, row


def test_record_route_by_the_kernel() -> None:
    """``ping -R`` inside VXLAN: 40 octets of options, IHL 15."""
    frame = bytes.fromhex(
        "0200000000020200000000010800450000aefa6e000040116bbc0a0900010a090002840212b5009a14c0"
        "0800000000002a00 0a00000000020a0000000001 0800"
        "4f00007c09fe40004001dff2 0a2a0001 0a2a0002"
        "010727080a2a0001" + "00" * 32 + "0800e2855c9b00016261066b00000000893e080000000000"
        "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
    )

    assert_row(
        row(frame),
        src="10.42.0.1",
        length=124,
        ip_id=0x09FE,
        dont_fragment=True,
        inner_ip_checksum_state="ok",
        icmp_type=8,
        payload_length=56,
        inner_checksum=0xE285,
        inner_checksum_state="ok",
    )


def test_fragments_of_ipv4_by_the_kernel() -> None:
    """The last of three fragments of a ping: payload, and no header."""
    frame = bytes.fromhex(
        "020000000001020000000002080045000076a57f00004011c0e30a0900020a090001840212b500621488"
        "0800000000002a00 0a00000000010a0000000002 0800"
        "450000441f370172400145ba 0a2a0002 0a2a0001" + bytes(range(0x88, 0xB8)).hex()
    )

    assert_row(
        row(frame),
        protocol=1,
        ip_id=0x1F37,
        fragment_offset=2960,
        more_fragments=False,
        payload_length=48,
        icmp_type=None,
        inner_checksum=None,
        anomalies=["inner_fragment"],
    )


def test_fragments_of_ipv6_by_the_kernel() -> None:
    """The first of three fragments of a ping, cut by the snap length."""
    frame = bytes.fromhex(
        "02000000000202000000000108004500060afa770000401166570a0900010a090002e05f12b505f61a1c"
        "0800000000002a00 0a00000000020a0000000001 86dd"
        "60013b6e05b02c40 fd420000000000000000000000000001 fd420000000000000000000000000002"
        "3a0000010249702b 80000c975c9e0001" + bytes(72).hex()
    )

    assert_row(
        row(frame, wire=1560),
        protocol=58,
        ip_id=0x0249702B,
        fragment_offset=0,
        more_fragments=True,
        dont_fragment=None,
        icmp_type=128,
        length=1496,
        payload_length=1448,
        inner_checksum_state="unverifiable",
        anomalies=["cut", "inner_fragment"],
    )


def test_extension_headers_by_the_kernel() -> None:
    """Hop-by-hop and destination options with padding, as sockets are given them (RFC 3542)."""
    frame = bytes.fromhex(
        "020000000002020000000001080045000088fa8f000040116bc10a0900010a090002ba2d12b50074149a"
        "0800000000002a00 0a00000000020a0000000001 86dd"
        "600525c2002e0040 fd420000000000000000000000000001 fd420000000000000000000000000002"
        "3c00010400000000 1100010400000000 87ef1b58001e384e"
        "7769746820657874656e73696f6e2068656164657273"
    )

    assert_row(
        row(frame),
        protocol=17,
        length=86,
        sport=34799,
        dport=7000,
        payload_length=22,
        inner_checksum=0x384E,
        inner_checksum_state="ok",
        anomalies=[],
    )


def test_authentication_header() -> None:
    """IPv6 passes over it; to IPv4 it is a protocol like any other."""
    datagram = build.udp(b"x", NODE1_6, NODE2_6)
    header = bytes([build.UDP, 4]) + bytes(22)

    six = row(build.ethernet(build.ipv6(header + datagram, build.AH), build.IPV6))
    four = row(build.ethernet(build.ipv4(header + build.udp(b"x"), build.AH)))

    assert_row(six, outer_protocol=build.UDP, outer_sport=40000, outer_checksum_state="ok")
    assert_row(four, outer_protocol=build.AH, outer_sport=None)


@pytest.mark.parametrize(("left", "state"), [(0, "ok"), (1, "unverifiable")])
def test_route_not_yet_travelled(left: int, state: str) -> None:
    final = "2001:db8::9" if left else NODE2_6
    segments = bytes.fromhex("20010db8000000000000000000000009")
    routing = bytes([build.UDP, 2, 4, left, 0, 0, 0, 0]) + segments
    frame = build.ethernet(build.ipv6(routing + build.udp(b"x", NODE1_6, final), 43), build.IPV6)

    assert_row(row(frame), outer_dst=NODE2_6, outer_sport=40000, outer_checksum_state=state)


def test_total_length_of_zero() -> None:
    """BIG TCP: a packet of more than 65535 octets, before segmentation."""
    segment = build.tcp(bytes(70_000))
    frame = build.ethernet(build.ipv4(segment, build.TCP, total=0))

    assert_row(row(frame), outer_length=70_040, outer_sport=50000, anomalies=[])


def test_bytes_behind_the_packet_are_marked_inside_a_tunnel() -> None:
    """An inner frame of 60 octets is padded with zeros; anything else there came from somewhere."""
    clean = build.ethernet(build.vxlan(build.ethernet(build.small_packet() + bytes(9))))
    dirty = build.ethernet(build.vxlan(build.ethernet(build.small_packet() + bytes(8) + b"!")))

    assert row(clean)["anomalies"] == []
    assert_row(row(dirty), anomalies=["padding_not_zero"], payload_length=6)


@pytest.mark.parametrize(
    ("first", "name"), [(0x35, "bad_version"), (0x42, "bad_header_length"), (0x65, "bad_version")]
)
def test_ipv4_that_is_none(first: int, name: str) -> None:
    packet = bytes([first]) + build.small_packet()[1:]

    assert_row(row(build.ethernet(packet)), outer_src=None, anomalies=[name])


def test_total_length_shorter_than_the_header() -> None:
    frame = build.ethernet(build.ipv4(b"", build.UDP, total=19))

    assert_row(row(frame), outer_src=build.NODE1, outer_sport=None, anomalies=["bad_header_length"])


def test_total_length_longer_than_the_frame() -> None:
    frame = build.ethernet(build.ipv4(build.udp(b"inside"), total=1000))

    assert_row(row(frame), outer_length=1000, outer_sport=40000, anomalies=["length_lies"])


def test_arp_of_other_protocols() -> None:
    message = bytes.fromhex("0001 86dd 06 10 0001") + bytes(44)

    assert_row(row(build.ethernet(message, build.ARP)), arp_operation=None, anomalies=[])


def test_arp_inside_a_tunnel_by_the_kernel() -> None:
    frame = bytes.fromhex(
        "02000000000202000000000108004500004efa6c000040116c1e0a0900010a0900029da712b5003a1460"
        "0800000000002a00 ffffffffffff0a0000000001 0806 0001080006040001"
        "0a00000000010a2a0001 0000000000000a2a0002"
    )

    assert_row(
        row(frame),
        inner_dst_mac="ff:ff:ff:ff:ff:ff",
        arp_operation=1,
        arp_sender="10.42.0.1",
        arp_target="10.42.0.2",
        src=None,
        outer_checksum_state="offload",
    )


def test_addresses_are_written_as_rfc_5952_says() -> None:
    frame = build.ethernet(
        build.ipv6(build.udp(b"x", "2001:db8:0:1:1:1:1:1", NODE2_6), src="2001:db8:0:1:1:1:1:1"), build.IPV6
    )

    assert_row(row(frame), outer_src="2001:db8:0:1:1:1:1:1", outer_dst="2001:db8::2")
    assert row(build.ethernet(build.small_packet()))["outer_src"] == POD1
