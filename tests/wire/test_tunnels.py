"""Geneve, GRE, NVGRE, IP in IP, GUE; tunnels inside tunnels.

| section | statement | test |
| --- | --- | --- |
| RFC 8926 3.4 | options of Opt Len words are passed over; the type is an EtherType | test_geneve_options, test_geneve_types |
| RFC 8926 3.4 | an unknown version is dropped | test_versions_that_are_not_known |
| RFC 2784 2, RFC 2890 2 | checksum, key and sequence number where their flags say so | test_gre_flags |
| RFC 7637 3.2 | NVGRE: a key of 24 and 8 bits, and Ethernet | test_nvgre |
| RFC 2003, 2473, 4213 | protocols 4 and 41 | test_ip_in_ip |
| GUE 3.2 | Hlen words of extensions; protocol numbers; C for control | test_gue |
| GUE 4 | variant 1: the first bits are an IP version | test_ip_directly_in_udp |
"""

import pytest

from tests.wire import build
from tests.wire.build import POD1, POD1_6
from tests.wire.decoding import assert_row, row
from vxlanalyze.command.options import described
from vxlanalyze.wire.tunnels import KNOWN_PORTS

FRAME = build.ethernet(build.small_packet())
CRITICAL_OPTION = bytes.fromhex("010280010000000c")


@pytest.mark.parametrize("words", [0, 2, 4, 62])
def test_geneve_options(words: int) -> None:
    frame = build.ethernet(build.geneve(FRAME, options=CRITICAL_OPTION * (words // 2)))

    assert_row(
        row(frame),
        tunnel="geneve",
        vni=100,
        geneve_options_bytes=4 * words,
        src=POD1,
        dport=5678,
        anomalies=[],
    )


@pytest.mark.parametrize(
    ("kind", "inner", "source"),
    [(0x6558, FRAME, POD1), (0x0800, build.small_packet(), POD1), (0x86DD, build.small_packet6(), POD1_6)],
)
def test_geneve_types(kind: int, inner: bytes, source: str) -> None:
    assert_row(row(build.ethernet(build.geneve(inner, kind))), tunnel="geneve", src=source, anomalies=[])


def test_geneve_type_that_is_not_followed() -> None:
    frame = build.ethernet(build.geneve(b"OAM", 0x8902))

    assert_row(row(frame), tunnel="geneve", vni=100, src=None, anomalies=["unknown_protocol"])


@pytest.mark.parametrize("port", [4789, 8472, 6081])
@pytest.mark.parametrize("kind", ["vxlan", "geneve"])
def test_a_tunnel_may_be_moved_to_the_port_of_another(port: int, kind: str) -> None:
    """As `tunnelPort` of Cilium and `dstport` of Linux do; the port then says nothing."""
    packet = (build.vxlan if kind == "vxlan" else build.geneve)(FRAME, dport=port)
    moved = (port == 6081) == (kind == "vxlan")

    told = row(build.ethernet(packet))

    assert_row(told, tunnel=kind, vni=100, src=POD1, anomalies=["tunnel_guessed"] if moved else [])


def test_a_header_that_is_nobodys_is_taken_for_its_ports() -> None:
    """VXLAN without its flag, and a Geneve type that does not exist, around no frame."""
    flagless = build.ethernet(build.vxlan(b"nothing known", first=0, dport=8472))
    typeless = build.ethernet(build.geneve(b"nothing known", 0))

    assert (row(flagless)["tunnel"], row(typeless)["tunnel"]) == ("vxlan", "geneve")


@pytest.mark.parametrize("flags", range(8))
def test_gre_flags(flags: int) -> None:
    """Each of checksum, key and sequence number adds a word, in this order."""
    checksum, key, sequence = flags & 4, flags & 2, flags & 1
    word = (0x8000 if checksum else 0) | (0x2000 if key else 0) | (0x1000 if sequence else 0)
    header = word.to_bytes(2, "big") + b"\x08\x00"
    header += bytes(4) if checksum else b""
    header += (0xDEADBEEF).to_bytes(4, "big") if key else b""
    header += (1).to_bytes(4, "big") if sequence else b""
    frame = build.ethernet(build.ipv4(header + build.small_packet(), build.GRE))

    assert_row(row(frame), tunnel="gre", vni=0xDEADBEEF if key else None, src=POD1, anomalies=[])


def test_nvgre() -> None:
    header = bytes.fromhex("2000 6558 123456 07")

    assert_row(
        row(build.ethernet(build.ipv4(header + FRAME, build.GRE))), tunnel="nvgre", vni=0x123456, src=POD1
    )


def test_a_small_key_of_ethernet_over_gre_is_not_a_vsid() -> None:
    header = bytes.fromhex("2000 6558 000000c8")

    assert_row(row(build.ethernet(build.ipv4(header + FRAME, build.GRE))), tunnel="gre", vni=200, src=POD1)


def test_gre_with_sequence_number_and_ethernet_is_not_nvgre() -> None:
    header = bytes.fromhex("3000 6558 12345607 00000001")

    assert_row(
        row(build.ethernet(build.ipv4(header + FRAME, build.GRE))), tunnel="gre", vni=0x12345607, src=POD1
    )


@pytest.mark.parametrize(
    ("packet", "columns"),
    [
        (build.geneve(FRAME)[:28] + b"\x40" + build.geneve(FRAME)[29:], {"tunnel": "geneve"}),
        (build.ipv4(bytes.fromhex("3001880b00000001") + bytes(20), build.GRE), {"tunnel": "gre"}),
        (build.gue(build.small_packet(), header=bytes.fromhex("80040000")), {"tunnel": "gue"}),
    ],
    ids=["geneve", "pptp", "gue"],
)
def test_versions_that_are_not_known(packet: bytes, columns: dict[str, str]) -> None:
    assert_row(row(build.ethernet(packet)), src=None, anomalies=["bad_version"], **columns)


@pytest.mark.parametrize("inner", [4, 6])
@pytest.mark.parametrize("outer", [4, 6])
def test_ip_in_ip(inner: int, outer: int) -> None:
    packet, protocol = (
        (build.small_packet(), build.IPIP) if inner == 4 else (build.small_packet6(), build.IN_IPV6)
    )
    carrier = build.ipv4(packet, protocol) if outer == 4 else build.ipv6(packet, protocol)
    frame = build.ethernet(carrier, build.IPV4 if outer == 4 else build.IPV6)

    assert_row(
        row(frame), tunnel="ipip", vni=None, src=POD1 if inner == 4 else POD1_6, inner_checksum_state="ok"
    )


@pytest.mark.parametrize(
    ("header", "inner", "columns"),
    [
        ("00040000", build.small_packet(), {"src": POD1}),
        ("00290000", build.small_packet6(), {"src": POD1_6}),
        ("02040001 00000001 00000002", build.small_packet(), {"src": POD1}),
        ("002f0000 20000800 0000002a", build.small_packet(), {"src": POD1, "vni": 42}),
        ("003b0000", b"", {"src": None, "anomalies": ["unknown_protocol"]}),
        ("20010000", b"control", {"src": None}),
    ],
    ids=["ipv4", "ipv6", "extensions", "gre", "nothing", "control"],
)
def test_gue(header: str, inner: bytes, columns: dict[str, object]) -> None:
    frame = build.ethernet(build.gue(inner, header=bytes.fromhex(header)))

    assert_row(row(frame), **{"tunnel": "gue", "tunnel_depth": 1, "anomalies": [], **columns})


@pytest.mark.parametrize("port", [6080, 5555, 8285], ids=["gue", "kube-router", "flannel"])
@pytest.mark.parametrize("inner", [build.small_packet(), build.small_packet6()], ids=["ipv4", "ipv6"])
def test_ip_directly_in_udp(port: int, inner: bytes) -> None:
    frame = build.ethernet(build.gue(inner, dport=port))
    guessed = [] if port == 6080 else ["tunnel_guessed"]

    assert_row(row(frame), tunnel="gue", vni=None, dport=5678, inner_checksum_state="ok", anomalies=guessed)


@pytest.mark.parametrize(
    "spoiled", [2, 3, 10, 11, 15], ids=["length", "length too", "sum", "sum too", "address"]
)
def test_ip_in_udp_is_hardly_met_by_chance(spoiled: int) -> None:
    inner = bytearray(build.small_packet())
    inner[spoiled] ^= 1

    assert_row(row(build.ethernet(build.gue(bytes(inner), dport=5555))), tunnel=None)


def test_outermost_and_innermost_of_several() -> None:
    inmost = build.geneve(FRAME, vni=3)
    middle = build.vxlan(build.ethernet(inmost), vni=2)
    frame = build.ethernet(
        build.ipv4(bytes.fromhex("20000800 00000001") + middle, build.GRE), tags=build.tag(9)
    )

    assert_row(
        row(frame),
        tunnel_depth=3,
        tunnel="geneve",
        vni=3,
        vlan=9,
        outer_protocol=47,
        outer_sport=None,
        src=POD1,
        dport=5678,
        inner_checksum_state="ok",
        anomalies=[],
    )


@pytest.mark.parametrize(("depth", "marks"), [(8, []), (9, ["too_deep"])])
def test_depth_is_bounded(depth: int, marks: list[str]) -> None:
    packet = build.small_packet()
    for _ in range(depth):
        packet = build.ipv4(packet, build.IPIP)

    assert_row(row(build.ethernet(packet)), tunnel_depth=8, anomalies=marks)


def test_help_names_the_known_ports() -> None:
    (text,) = (text for group in described().values() for option, text in group if "--port" in option)

    assert all(str(port) in text for port in KNOWN_PORTS)
