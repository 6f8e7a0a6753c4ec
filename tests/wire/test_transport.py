"""UDP, TCP, ICMP, ICMPv6, SCTP, and the states of their checksums.

| section | statement | test |
| --- | --- | --- |
| RFC 768 | a checksum of 0 says that none was made | test_states_of_a_udp_checksum |
| RFC 768 | a sum of 0 is sent as all ones | test_sum_of_zero_is_sent_as_all_ones |
| RFC 9293 3.1 | header with options; MSS and window scale of a SYN | test_syn_by_the_kernel |
| RFC 792, 1191 | an error quotes the packet; the next-hop MTU stands in it | test_port_unreachable_by_the_kernel, test_fragmentation_needed |
| RFC 4443 2.1, 3.2 | types below 128 are errors; the MTU has 32 bits | test_unreachable_of_ipv6_by_the_kernel, test_packet_too_big |
| RFC 4861 4.3 | the target behind 4 reserved octets | test_neighbour_solicitation_by_the_kernel |
| RFC 9260 3.1, A | CRC32c over the packet with a field of 0 | test_sctp |
| Linux checksum-offloads | unfilled fields hold the pseudo-header's sum; local checksum offload | test_syn_by_the_kernel |
"""

import pytest

from tests.wire import build
from tests.wire.build import NODE1, NODE2, POD1, POD2
from tests.wire.decoding import assert_row, index, row
from vxlanalyze.wire.model import CHECK_MASK, INNER_L4_SHIFT, OUTER_L4_SHIFT, Checksum


def test_syn_by_the_kernel() -> None:
    """At the sender: the inner checksum is to be filled by the network card, the outer one is right once it is."""
    frame = bytes.fromhex(
        "02000000000202000000000108004500006efa7b000040116bef0a0900010a090002bf3c12b5005adfb5"
        "0800000000002a00 0a00000000020a0000000001 0800"
        "4500003c98e6400040068d7f 0a2a0001 0a2a0002"
        "89e41b58 3c6b511d 00000000 a002faf0 14850000 020405b4 0402 080ad2ab41c800000000 01 03030a"
    )

    assert_row(
        row(frame),
        sport=35300,
        dport=7000,
        tcp_seq=0x3C6B511D,
        tcp_ack=0,
        tcp_flags=0x002,
        tcp_window=64240,
        mss=1460,
        window_scale=10,
        payload_length=0,
        inner_checksum=0x1485,
        inner_checksum_state="offload",
        outer_checksum_state="offload",
    )
    checks = int(index([frame]).index.checks[0])
    assert checks >> INNER_L4_SHIFT & CHECK_MASK == Checksum.PARTIAL
    assert checks >> OUTER_L4_SHIFT & CHECK_MASK == Checksum.LCO


def test_reset_by_the_kernel() -> None:
    frame = bytes.fromhex(
        "02000000000102000000000208004500005aa5ad00004011c0d10a0900020a090001d30a12b50046146c"
        "0800000000002a00 0a00000000010a0000000002 0800"
        "45000028000040004006267a 0a2a0002 0a2a0001"
        "1b59b168 00000000 11652390 50140000 99c30000"
    )

    assert_row(row(frame), tcp_flags=0x014, tcp_ack=0x11652390, inner_checksum_state="ok", mss=None)


def test_port_unreachable_by_the_kernel() -> None:
    frame = bytes.fromhex(
        "020000000001020000000002080045000073a5ae00004011c0b70a0900020a090001840212b5005f1485"
        "0800000000002a00 0a00000000010a0000000002 0800"
        "45c000411f4700004001465f 0a2a0002 0a2a0001 0303413300000000"
        "45000025feee400040112783 0a2a0001 0a2a0002 9f411b5900111479 746f206e6f626f6479"
    )

    assert_row(
        row(frame),
        tos=0xC0,
        icmp_type=3,
        icmp_code=3,
        icmp_mtu=None,
        inner_checksum_state="ok",
        quoted_src="10.42.0.1",
        quoted_dst="10.42.0.2",
        quoted_protocol=17,
        quoted_sport=40769,
        quoted_dport=7001,
        quoted_ip_id=0xFEEE,
        quoted_vni=None,
        anomalies=[],
    )


def test_unreachable_of_ipv6_by_the_kernel() -> None:
    frame = bytes.fromhex(
        "02000000000102000000000208004500009ba5c400004011c0790a0900020a090001db4e12b5008714ad"
        "0800000000002a00 0a00000000010a0000000002 86dd"
        "6001b56200413a40 fd420000000000000000000000000002 fd420000000000000000000000000001 01049c9800000000"
        "600e70cd00111140 fd420000000000000000000000000001 fd420000000000000000000000000002 87ef1b590011faaa"
        "746f206e6f626f6479"
    )

    assert_row(
        row(frame),
        icmp_type=1,
        icmp_code=4,
        inner_checksum_state="ok",
        quoted_src="fd42::1",
        quoted_sport=34799,
        quoted_dport=7001,
        quoted_ip_id=None,
    )


def test_neighbour_solicitation_by_the_kernel() -> None:
    frame = bytes.fromhex(
        "02000000000202000000000108004500007afa74000040116bea0a0900010a090002af9e12b50066148c"
        "0800000000002a00 3333ff0000020a0000000001 86dd"
        "6000000000203aff fd420000000000000000000000000001 ff0200000000000000000001ff000002"
        "8700751300000000 fd420000000000000000000000000002 01010a0000000001"
    )

    assert_row(
        row(frame), icmp_type=135, nd_target="fd42::2", ttl=255, inner_checksum_state="ok", quoted_src=None
    )


def test_fragmentation_needed() -> None:
    """RFC 1191 section 4: the MTU in the lower half of the second word; what is quoted here is a tunnel packet."""
    quoted = build.vxlan(build.ethernet(build.small_packet()), vni=77)[:92]
    error = build.icmp(3, 4, (1400).to_bytes(4, "big") + quoted)
    frame = build.ethernet(build.ipv4(error, build.ICMP, "192.0.2.254", NODE1))

    assert_row(
        row(frame),
        icmp_type=3,
        icmp_code=4,
        icmp_mtu=1400,
        quoted_src=NODE1,
        quoted_dst=NODE2,
        quoted_sport=40000,
        quoted_dport=4789,
        quoted_vni=77,
        quoted_inner_src=POD1,
        quoted_inner_dst=POD2,
        anomalies=[],
    )


def test_shortest_quotation() -> None:
    """RFC 792: the header and 64 bits of what follows it, and no more."""
    error = build.icmp(11, 0, bytes(4) + build.ipv4(build.tcp(b"x" * 100), build.TCP, POD1, POD2)[:28])
    frame = build.ethernet(build.ipv4(error, build.ICMP, "192.0.2.254", NODE1))

    assert_row(row(frame), icmp_type=11, quoted_src=POD1, quoted_sport=50000, quoted_dport=443, anomalies=[])


def test_packet_too_big() -> None:
    body = (70_000).to_bytes(4, "big") + build.small_packet6()
    error = build.icmpv6(2, 0, body, "2001:db8::fe", build.NODE1_6)
    frame = build.ethernet(build.ipv6(error, build.ICMPV6, "2001:db8::fe", build.NODE1_6), build.IPV6)

    assert_row(row(frame), icmp_type=2, icmp_mtu=70_000, quoted_src=build.POD1_6, outer_checksum_state="ok")


@pytest.mark.parametrize(
    ("stored", "state"),
    [(None, "ok"), (0, "absent"), (0x1234, "bad"), (0xFFFF, "bad")],
    ids=["right", "absent", "wrong", "all ones"],
)
def test_states_of_a_udp_checksum(stored: int | None, state: str) -> None:
    found = row(build.ethernet(build.ipv4(build.udp(b"payload", stored=stored))))

    assert found["outer_checksum_state"] == state
    if state == "bad":
        right = row(build.ethernet(build.ipv4(build.udp(b"payload"))))
        assert found["outer_checksum_expected"] == right["outer_checksum"]


def test_all_ones_are_told_from_other_wrong_checksums() -> None:
    frames = [build.ethernet(build.ipv4(build.udp(b"payload", stored=stored))) for stored in (0xFFFF, 0x1234)]

    checks = index(frames).index.checks >> INNER_L4_SHIFT & CHECK_MASK

    assert checks.tolist() == [Checksum.ALL_ONES, Checksum.BAD]


def test_sum_of_zero_is_sent_as_all_ones() -> None:
    """The last two octets make the sum come out as zero."""
    plain = build.udp(b"payload!\0\0")
    filling = plain[6:8]
    frame = build.ethernet(build.ipv4(build.udp(b"payload!" + filling)))

    assert_row(row(frame), outer_checksum=0xFFFF, outer_checksum_state="ok")


@pytest.mark.parametrize("length", range(1, 20))
def test_checksums_of_any_length(length: int) -> None:
    payload = bytes(range(1, length + 1))
    frame = build.ethernet(build.vxlan(build.ethernet(build.ipv4(build.tcp(payload), build.TCP, POD1, POD2))))

    assert_row(row(frame), payload_length=length, inner_checksum_state="ok", outer_checksum_state="ok")


def test_checksum_of_a_cut_packet_cannot_be_verified() -> None:
    frame = build.ethernet(build.ipv4(build.udp(b"payload")))

    assert_row(
        row(frame[:-1], wire=len(frame)),
        outer_checksum_state="unverifiable",
        outer_checksum_expected=None,
        anomalies=["cut"],
    )


def test_udp_length_of_zero_lasts_as_long_as_the_packet() -> None:
    """RFC 2675 section 4, where the packet is a jumbogram; Linux reads it so in every IPv6 packet."""
    datagram, long = (build.udp(payload) for payload in (b"payload", bytes(20)))
    frame = build.ethernet(build.ipv6(datagram[:4] + b"\0\0" + datagram[6:]), build.IPV6)
    large = build.ethernet(build.ipv4(long[:4] + b"\0\0" + long[6:] + bytes(70_000), total=0))

    assert_row(row(frame), outer_sport=40000, anomalies=[])
    assert_row(row(large), outer_sport=40000, anomalies=[])


@pytest.mark.parametrize("length", [0, 7])
def test_udp_length_shorter_than_its_header(length: int) -> None:
    """Linux discards it; tshark calls it bogus."""
    datagram = build.udp(b"payload")
    frame = build.ethernet(build.ipv4(datagram[:4] + bytes((0, length)) + datagram[6:]))

    assert_row(row(frame), outer_sport=40000, outer_checksum=None, anomalies=["bad_header_length"])


def test_tcp_offset_shorter_than_its_header() -> None:
    segment = build.tcp()
    inner = build.ipv4(segment[:12] + b"\x40" + segment[13:], build.TCP, POD1, POD2)
    found = row(build.ethernet(build.vxlan(build.ethernet(inner))))

    assert_row(
        found, tcp_seq=0x01020304, tcp_flags=0x18, payload_length=None, anomalies=["bad_header_length"]
    )


@pytest.mark.parametrize(
    "options", ["02", "0204", "0200 0000", "0205 05b4 00000000", "fe", "030307 02ff05b4"]
)
def test_malformed_options_end_the_list(options: str) -> None:
    given = bytes.fromhex(options)
    padded = given + bytes(-len(given) % 4)
    frame = build.ethernet(build.ipv4(build.tcp(flags=2, options=padded), build.TCP, POD1, POD2))

    assert row(frame).get("mss") is None


@pytest.mark.parametrize(("damage", "state"), [(b"", "ok"), (b"!", "bad")])
def test_sctp(damage: bytes, state: str) -> None:
    packet = build.sctp(bytes.fromhex("0a000004"))
    inner = build.ipv4(packet[: len(packet) - len(damage)] + damage, build.SCTP, POD1, POD2)

    assert_row(
        row(build.ethernet(build.vxlan(build.ethernet(inner)))),
        sport=5000,
        dport=36412,
        inner_checksum_state=state,
        payload_length=4,
    )


def test_crc32c_of_the_builder() -> None:
    """RFC 3720 appendix B.4: 32 octets of zeros, read as a number the other way round."""
    assert build.crc32c(bytes(32)) == 0x8A9136AA
    assert build.crc32c(b"123456789") == 0xE3069283
