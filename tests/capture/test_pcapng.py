"""pcapng.

| draft-ietf-opsawg-pcapng | statement | test |
| --- | --- | --- |
| 3.1 | blocks in either byte order, padded to 32 bits | test_both_byte_orders |
| 4.1 | several sections, each with its byte order and interfaces | test_sections_of_both_byte_orders |
| | a section may say its length | test_section_that_says_its_length |
| 4.2 | link type and snap length for each interface | test_interfaces_with_their_own_link_types |
| | if_tsresol, if_tsoffset | test_resolution_of_every_kind, test_offset_of_times |
| 4.3 | enhanced packets; epb_dropcount | test_both_byte_orders, test_drop_counts_of_packets |
| 4.4 | simple packets: no time, cut at the snap length | test_simple_packets |
| 4.6 | interface statistics | test_interface_statistics |
| 3.2, 4.5, 4.7, 4.9 | other blocks are passed over | test_other_blocks_are_passed_over |
| appendix A | obsolete packet blocks | test_obsolete_packets |
"""

import struct
from fractions import Fraction

import pytest

from tests.capture import build
from tests.capture.conftest import Reader
from vxlanalyze.errors import CaptureError

FRAMES = build.packets(40)
EXPECTED = [(frame.time_ns(), frame.original, frame.data) for frame in FRAMES]
LAST_NS = 2**63 - 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(read: Reader, order: str) -> None:
    whole = read(build.pcapng(FRAMES, order))

    assert whole.frames == EXPECTED
    assert whole.damages == []
    assert [entry.link_type for entry in whole.interfaces] == [1]


def test_bytes_of_a_whole_file_as_the_draft_draws_them(read: Reader) -> None:
    """Written octet by octet, so that no struct of the builder stands between the draft and us."""
    content = bytes.fromhex(
        "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"
        "00000001 00000014 0071 0000 00000100 00000014"
        "00000006 00000024 00000000 00060a41 edbf9840 00000003 000005dc 01020300 00000024"
    )

    whole = read(content)

    assert whole.frames == [(((0x60A41 << 32) + 0xEDBF9840) * 1000, 1500, b"\x01\x02\x03")]
    assert (whole.interfaces[0].link_type, whole.interfaces[0].snaplen_bytes) == (0x71, 256)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("order", ["<", ">"])
def test_blocks_that_cross_the_border_of_a_window(read: Reader, order: str) -> None:
    assert read(build.pcapng(FRAMES, order)).frames == EXPECTED


def test_sections_of_both_byte_orders(read: Reader) -> None:
    """The interfaces of a section are its own, and numbered on through the file."""
    whole = read(build.pcapng(FRAMES, "<") + build.pcapng(FRAMES, ">"))

    assert whole.frames == 2 * EXPECTED
    assert whole.interface == 40 * [0] + 40 * [1]
    assert len(whole.interfaces) == 2


def test_section_that_says_its_length(read: Reader) -> None:
    body = build.pcapng(FRAMES)[len(build.section()) :]

    whole = read(build.section(length=len(body)) + body + build.section(length=len(body)) + body)

    assert whole.frames == 2 * EXPECTED


def test_interfaces_with_their_own_link_types(read: Reader) -> None:
    described = [
        build.interface(1, 262_144, build.option(2, b"eth0")),
        build.interface(276, 96, build.option(2, b"any\0") + build.option(1, "Bemerkung: ü".encode())),
        build.interface(101, 0, build.option(2, b"\xff\xfe")),
    ]
    frames = [build.enhanced(bytes([k]) * 20, k, k % 3) for k in range(30)]

    whole = read(build.section() + b"".join(described) + b"".join(frames))

    assert [(entry.link_type, entry.snaplen_bytes, entry.name) for entry in whole.interfaces] == [
        (1, 262_144, "eth0"),
        (276, 96, "any"),
        (101, 0, "\ufffd\ufffd"),
    ]
    assert whole.interface == 10 * [0, 1, 2]


def test_interface_described_between_packets(read: Reader) -> None:
    content = build.section() + build.interface() + build.enhanced(b"one", 1)
    content += build.interface(113) + build.enhanced(b"two", 2, 1) + build.enhanced(b"three", 3, 0)

    whole = read(content)

    assert whole.data == [b"one", b"two", b"three"]
    assert whole.interface == [0, 1, 0]


@pytest.mark.parametrize("resolution", [*range(40), 127, *range(128, 200), 255])
def test_resolution_of_every_kind(read: Reader, resolution: int) -> None:
    """Against exact arithmetic: 10 ** -n s, or with the highest bit 2 ** -n s; rounded down to ns."""
    unit = Fraction(1, 2 ** (resolution & 0x7F)) if resolution & 0x80 else Fraction(1, 10**resolution)
    counts = [0, 1, 999_999, 2**31, 2**32 - 1, 2**32, 1_700_000_000_123_457, 2**53 + 1, 2**63, 2**64 - 1]
    content = build.section() + build.interface(options=build.option(9, bytes([resolution])))

    whole = read(content + b"".join(build.enhanced(b"abcd", count) for count in counts))

    assert whole.time_ns == [min(LAST_NS, int(count * unit * 10**9)) for count in counts]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("offset_s", [0, 1_700_000_000, -1_700_000_000, -(2**63), 2**63 - 1])
def test_offset_of_times(read: Reader, order: str, offset_s: int) -> None:
    options = build.option(14, struct.pack(order + "q", offset_s), order)
    content = build.section(order) + build.interface(options=options, order=order)

    whole = read(content + build.enhanced(b"abcd", 1_500_000, order=order))

    assert whole.time_ns == [max(1_500_000_000 - LAST_NS, min(LAST_NS, 1_500_000_000 + offset_s * 10**9))]


def test_time_that_int64_cannot_hold_is_clamped_and_said(read: Reader) -> None:
    content = build.section() + build.interface()

    whole = read(content + build.enhanced(b"abcd", 1) + build.enhanced(b"abcd", 2**64 - 1))

    assert whole.time_ns == [1000, LAST_NS]
    assert [entry.offset_bytes for entry in whole.damages] == [len(content) + 36]


@pytest.mark.parametrize("order", ["<", ">"])
def test_simple_packets(read: Reader, order: str) -> None:
    """The captured length is the least of the original one and the snap length of the first interface."""
    content = build.section(order) + build.interface(1, 30, order=order) + build.interface(113, order=order)

    whole = read(content + build.simple(b"x" * 30, 1500, order) + build.simple(b"y" * 7, 7, order))

    assert whole.frames == [(0, 1500, b"x" * 30), (0, 7, b"y" * 7)]
    assert whole.interface == [0, 0]
    assert "no time" in whole.damages[0].what


def test_simple_and_enhanced_packets_are_told_apart_by_place(read: Reader) -> None:
    """What stands before the simple packet looks like the first 12 octets of an enhanced one."""
    lure = struct.pack("<III", 6, 4000, 0)
    content = build.section() + build.interface()

    whole = read(content + 20 * (build.enhanced(lure, 5) + build.simple(b"simple", 6)))

    assert whole.data == 20 * [lure, b"simple"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_obsolete_packets(read: Reader, order: str) -> None:
    content = build.section(order) + build.interface(order=order) + build.interface(113, order=order)

    whole = read(content + build.obsolete(b"one", 1, 1, order=order) + build.obsolete(b"two", 2, order=order))

    assert whole.frames == [(1000, 3, b"one"), (2000, 3, b"two")]
    assert whole.interface == [1, 0]


@pytest.mark.parametrize("kind", [4, 7, 8, 9, 10, 0xBAD, 0x40000BAD, 0x80000001, 0x204])
@pytest.mark.parametrize("order", ["<", ">"])
def test_other_blocks_are_passed_over(read: Reader, kind: int, order: str) -> None:
    """Name resolution, journal, secrets, custom, local use, unknown: none is a packet."""
    other = build.block(kind, b"whatever is in it", order)
    content = build.section(order) + other + build.interface(order=order)

    whole = read(
        content + build.enhanced(b"one", 1, order=order) + other + build.enhanced(b"two", 2, order=order)
    )

    assert whole.data == [b"one", b"two"]
    assert whole.damages == []


def test_options_of_packets_are_no_data(read: Reader) -> None:
    options = build.option(1, b"a comment") + build.option(2, bytes(4)) + build.option(0, b"")
    content = build.section() + build.interface()

    whole = read(content + 3 * build.enhanced(b"frame", 1, options=options))

    assert whole.data == 3 * [b"frame"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_drop_counts_of_packets(read: Reader, order: str) -> None:
    """epb_dropcount and the obsolete block's count; 0xFFFF there means unknown."""
    dropped = build.option(1, b"text", order) + build.option(4, struct.pack(order + "Q", 5), order)
    content = build.section(order) + build.interface(order=order)
    content += build.enhanced(b"one", 1, options=dropped, order=order)
    content += build.obsolete(b"two", 2, drops=3, order=order) + build.obsolete(b"two", 3, order=order)

    whole = read(content)

    assert [(entry.interface, entry.dropped) for entry in whole.statistics] == [(0, 8)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_interface_statistics(read: Reader, order: str) -> None:
    """Times are two 32-bit halves, the higher first, in units of the interface; counts are 64 bits."""

    def time(code: int, units: int) -> bytes:
        return build.option(code, struct.pack(order + "II", units >> 32, units & 0xFFFFFFFF), order)

    def count(code: int, value: int) -> bytes:
        return build.option(code, struct.pack(order + "Q", value), order)

    start, end = 1_700_000_000_000_000, 1_700_000_009_000_000
    options = time(2, start) + time(3, end) + count(4, 1 << 33) + count(5, 10) + count(7, 3)
    content = build.section(order) + build.interface(order=order) + build.interface(113, order=order)

    whole = read(content + build.statistics(1, options, order) + build.statistics(0, b"", order))

    first, second = whole.statistics
    assert (first.interface, first.start_ns, first.end_ns) == (1, start * 1000, end * 1000)
    assert (first.received, first.dropped) == (1 << 33, 13)
    assert (second.interface, second.start_ns, second.received, second.dropped) == (0, None, None, None)


def test_later_statistics_of_a_capture_take_the_place_of_earlier_ones(read: Reader) -> None:
    content = build.section() + build.interface()
    content += build.statistics(0, build.option(5, struct.pack("<Q", 3)))

    whole = read(content + build.statistics(0, build.option(5, struct.pack("<Q", 8))))

    assert [entry.dropped for entry in whole.statistics] == [8]


def test_a_hundred_thousand_interfaces(read: Reader) -> None:
    """Numbers are 16 bits: past 32768, interfaces of one link type share a number."""
    described = b"".join(build.interface(1 + k % 2, k, build.option(2, b"if%d" % k)) for k in range(100_000))
    frames = b"".join(build.enhanced(b"abcd", k, k) for k in (0, 20_000, 99_998, 99_999))

    whole = read(build.section() + described + frames)

    found = [whole.interfaces[number] for number in whole.interface]
    assert [entry.link_type for entry in found] == [1, 1, 1, 2]
    assert [entry.name for entry in found] == ["if0", "if20000", None, None]
    assert len(whole.interfaces) < 33_000


def test_total_length_without_the_padding(read: Reader) -> None:
    """Some writers leave the padding out of both lengths; Wireshark's reader rounds up as well."""
    body = struct.pack("<IIIII", 0, 0, 7, 3, 3) + b"abc"
    odd = struct.pack("<II", 6, 12 + len(body)) + body + b"\0" + struct.pack("<I", 12 + len(body))

    whole = read(build.section() + build.interface() + odd + build.enhanced(b"next", 8))

    assert whole.data == [b"abc", b"next"]


@pytest.mark.parametrize("length", range(4, 28))
def test_cut_section_header_is_refused(read: Reader, length: int) -> None:
    with pytest.raises(CaptureError, match=f"byte {length}: cut inside the pcapng section header"):
        read(build.section()[:length])


def test_wrong_byte_order_magic_is_refused(read: Reader) -> None:
    content = build.section()

    with pytest.raises(CaptureError, match="byte 8: the byte-order magic"):
        read(content[:8] + b"\1\2\3\4" + content[12:])


def test_later_version_is_refused(read: Reader) -> None:
    with pytest.raises(CaptureError, match=r"byte 12: pcapng version 2\.0 is not supported"):
        read(build.section(version=(2, 0)))


def test_section_of_a_later_version_ends_the_reading(read: Reader) -> None:
    content = build.pcapng(FRAMES)

    whole = read(content + build.section(version=(2, 0)))

    assert whole.frames == EXPECTED
    assert [entry.offset_bytes for entry in whole.damages] == [len(content)]
