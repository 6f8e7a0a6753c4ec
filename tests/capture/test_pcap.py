"""Classic pcap.

| standard | statement | test |
| --- | --- | --- |
| pcap draft 4 | both byte orders, by the magic number | test_both_byte_orders_and_units |
| | 0xA1B23C4D: nanoseconds | test_both_byte_orders_and_units |
| | link type in the lower 16 bits, FCS above | test_fcs_length_is_no_part_of_the_link_type |
| | snap length | test_snap_length_of_zero_limits_nothing |
| libpcap, sf-pcap.c | 0xA1B2CD34: 8 more octets in each record | test_kuznetzov_records |
| | versions before 2.3 have the lengths swapped, 2.3 sometimes | test_swapped_lengths |
| | 262144 octets at most, unless the snap length says more | test_record_longer_than_believed |
| Wireshark, libpcap.c | magics of several record headers | test_record_headers_told_by_what_follows |
| | IXIA: 4 more octets in the file header | test_ixia_headers |
| | AIX: version 2.2, nanoseconds, ifType | test_aix |
"""

import pytest

from tests.capture import build
from tests.capture.conftest import Reader
from vxlanalyze.errors import CaptureError

FRAMES = build.packets(40)


def expected(unit_ns: int = 1000) -> list[tuple[int, int, bytes]]:
    return [(frame.time_ns(unit_ns), frame.original, frame.data) for frame in FRAMES]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit_ns"), [(build.MICROSECONDS, 1000), (build.NANOSECONDS, 1)])
def test_both_byte_orders_and_units(read: Reader, order: str, magic: int, unit_ns: int) -> None:
    whole = read(build.pcap(FRAMES, magic, order))

    assert whole.frames == expected(unit_ns)
    assert whole.damages == []
    assert [(entry.link_type, entry.snaplen_bytes) for entry in whole.interfaces] == [(1, 262_144)]


def test_bytes_of_a_whole_file_as_the_draft_draws_them(read: Reader) -> None:
    """Written octet by octet, so that no struct of the builder stands between the draft and us."""
    content = bytes.fromhex(
        "d4c3b2a1 0200 0400 00000000 00000000 00000400 71000000"  # LINKTYPE_LINUX_SLL is 113
        "00f15365 40e20100 04000000 dc050000 01020304"
    )

    whole = read(content)

    assert whole.frames == [(1_700_000_000_123_456_000, 1500, b"\x01\x02\x03\x04")]
    assert (whole.interfaces[0].link_type, whole.interfaces[0].snaplen_bytes) == (113, 262_144)
    assert whole.place == [40]


@pytest.mark.usefixtures("small_steps")
def test_frames_that_cross_the_border_of_a_window(read: Reader) -> None:
    whole = read(build.pcap(FRAMES))

    assert whole.frames == expected()
    assert whole.first_frames[0] == 1
    assert len(whole.first_frames) > 10


def test_chunks_count_frames_on(read: Reader, small_steps: None) -> None:
    whole = read(build.pcap(FRAMES[:7]))

    sizes = [
        later - earlier
        for earlier, later in zip(whole.first_frames, [*whole.first_frames[1:], 8], strict=True)
    ]
    assert sum(sizes) == 7
    assert min(sizes) >= 1


def test_capture_without_frames(read: Reader) -> None:
    whole = read(build.pcap([]))

    assert whole.frames == []
    assert whole.damages == []
    assert len(whole.interfaces) == 1


def test_fcs_length_is_no_part_of_the_link_type(read: Reader) -> None:
    whole = read(build.pcap(FRAMES, network=0x5400_0001))

    assert whole.interfaces[0].link_type == 1


def test_snap_length_of_zero_limits_nothing(read: Reader) -> None:
    whole = read(build.pcap(FRAMES, snaplen=0))

    assert whole.frames == expected()


@pytest.mark.parametrize("order", ["<", ">"])
def test_kuznetzov_records(read: Reader, order: str) -> None:
    records = [build.record(frame, order, b"\x02\0\0\0\x08\0\x04\0") for frame in FRAMES]

    whole = read(build.pcap_header(build.KUZNETZOV, order) + b"".join(records))

    assert whole.frames == expected()


@pytest.mark.parametrize(
    ("magic", "extra"), [(build.MICROSECONDS, 8), (build.MICROSECONDS, 4), (build.KUZNETZOV, 12)]
)
def test_record_headers_told_by_what_follows(read: Reader, magic: int, extra: int) -> None:
    records = [build.record(frame, "<", b"\x02" * extra) for frame in FRAMES]

    whole = read(build.pcap_header(magic) + b"".join(records))

    assert whole.frames == expected()


@pytest.mark.parametrize(("magic", "unit_ns"), [(build.IXIA_HARDWARE, 1), (build.IXIA_SOFTWARE, 1000)])
def test_ixia_headers(read: Reader, magic: int, unit_ns: int) -> None:
    records = b"".join(build.record(frame) for frame in FRAMES)

    whole = read(build.pcap_header(magic) + len(records).to_bytes(4, "little") + records)

    assert whole.frames == expected(unit_ns)


def test_aix(read: Reader) -> None:
    """An ifType of 6 is Ethernet."""
    whole = read(build.pcap(FRAMES[:1], version=(2, 2), network=6))

    assert whole.interfaces[0].link_type == 1
    assert whole.time_ns == [FRAMES[0].time_ns(1)]


@pytest.mark.parametrize("version", [(2, 1), (2, 3), (543, 0)])
def test_swapped_lengths(read: Reader, version: tuple[int, int]) -> None:
    cut = build.Packet(build.START_S, 0, b"x" * 60, 90)
    head = build.pcap_header(version=version)
    # The longer length stands first, where the captured one is expected.
    content = build.record(cut)[:8] + (90).to_bytes(4, "little") + (60).to_bytes(4, "little") + cut.data

    whole = read(head + 3 * content)

    assert [(len(data), wire) for _, wire, data in whole.frames] == 3 * [(60, 90)]


def test_fraction_of_more_than_a_second_carries_over(read: Reader) -> None:
    whole = read(build.pcap([build.Packet(100, 1_500_000, b"abcd", 4)]))

    assert whole.time_ns == [101_500_000_000]


@pytest.mark.parametrize("seconds", [0, 2**31, 2**32 - 1])
def test_times_of_1970_2038_and_2106(read: Reader, seconds: int) -> None:
    """Seconds are unsigned: draft-ietf-opsawg-pcap section 5."""
    whole = read(build.pcap([build.Packet(seconds, 5, b"abcd", 4)]))

    assert whole.time_ns == [seconds * 10**9 + 5000]


def test_clock_that_is_set_back_by_years_damages_nothing(read: Reader) -> None:
    seconds = [build.START_S, build.START_S + 1, 5, 6, build.START_S, 7]
    frames = [build.Packet(second, 0, b"abcd", 4) for second in seconds]

    whole = read(build.pcap(frames))

    assert whole.time_ns == [second * 10**9 for second in seconds]
    assert whole.damages == []


def test_captured_length_beyond_the_original_one_is_kept_where_records_follow(read: Reader) -> None:
    frames = [build.Packet(build.START_S + k, 0, b"x" * 60, 40) for k in range(300)]

    whole = read(build.pcap(frames))

    assert len(whole.frames) == 300
    assert set(whole.original) == {40}


def test_frame_as_long_as_the_snap_length_allows(read: Reader) -> None:
    long = build.Packet(build.START_S, 0, bytes(range(256)) * 4096, 1 << 20)

    whole = read(build.pcap([long, *FRAMES], snaplen=1 << 21))

    assert whole.data[0] == long.data
    assert len(whole.frames) == 41
    assert whole.damages == []


def test_old_version_is_refused(read: Reader) -> None:
    with pytest.raises(CaptureError, match=r"byte 4: pcap version 1\.2 is not supported"):
        read(build.pcap([], version=(1, 2)))


@pytest.mark.parametrize("length", range(4, 24))
def test_cut_header_is_refused(read: Reader, length: int) -> None:
    with pytest.raises(CaptureError, match=f"byte {length}: cut inside the pcap header"):
        read(build.pcap([])[:length])
