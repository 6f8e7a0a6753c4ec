"""Captures that are cut, damaged or made up: read as far as they go, and the place is named."""

import resource
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.capture import build
from tests.capture.conftest import Reader, Whole, read_whole
from vxlanalyze.capture import open_source
from vxlanalyze.errors import CaptureError

FRAMES = build.packets(30)
EXPECTED = [(frame.time_ns(), frame.original, frame.data) for frame in FRAMES]
PCAP = build.pcap(FRAMES)
PCAPNG = build.pcapng(FRAMES)


def starts(kind: str) -> list[int]:
    """Give the offset of each record or packet block, and the end of the file."""
    sizes = [16 + len(frame.data) for frame in FRAMES]
    if kind == "pcapng":
        sizes = [32 + (len(frame.data) + 3) // 4 * 4 for frame in FRAMES]
    first = 24 if kind == "pcap" else 48
    return [first + sum(sizes[:k]) for k in range(len(sizes) + 1)]


@pytest.mark.parametrize(("kind", "make"), [("pcap", build.pcap), ("pcapng", build.pcapng)])
def test_every_cut_gives_the_frames_before_it(
    tmp_path: Path, kind: str, make: Callable[[list[build.Packet]], bytes]
) -> None:
    path = tmp_path / "cut"
    content, bounds = make(FRAMES[:6]), starts(kind)[:7]
    for length in range(bounds[0], len(content)):
        path.write_bytes(content[:length])
        whole_frames = sum(1 for end in bounds[1:] if end <= length)

        whole = read_whole(path)

        assert whole.frames == EXPECTED[:whole_frames], length
        where = [entry.offset_bytes for entry in whole.damages]
        assert where == ([] if length in bounds else [bounds[whole_frames]]), length


@pytest.mark.parametrize("claimed", [262_145, 0x7FFFFFFF, 0xFFFFFFFF])
def test_record_longer_than_believed_is_left_out(read: Reader, claimed: int) -> None:
    at = starts("pcap")[10]

    whole = read(PCAP[: at + 8] + struct.pack("<I", claimed) + PCAP[at + 12 :])

    assert whole.frames == EXPECTED[:10] + EXPECTED[11:]
    (damage,) = whole.damages
    assert (damage.offset_bytes, damage.resumed_bytes) == (at, starts("pcap")[11])
    assert str(claimed) in damage.what


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wrong_bytes", [-31, -1, 1, 17, 700])
def test_wrong_captured_length_loses_one_record(read: Reader, order: str, wrong_bytes: int) -> None:
    """Also where the wrong length is possible, and the walk lands inside another record."""
    content = build.pcap(FRAMES, order=order)
    at = starts("pcap")[10]
    wrong = struct.pack(order + "I", len(FRAMES[10].data) + wrong_bytes)

    whole = read(content[: at + 8] + wrong + content[at + 12 :])

    assert whole.frames[:10] == EXPECTED[:10]
    assert whole.frames[-19:] == EXPECTED[-19:]
    assert len(whole.frames) <= 30
    assert len(whole.damages) == 1


@pytest.mark.parametrize("hole_bytes", [1, 16, 333, 70_000])
@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"text "])
def test_hole_in_the_middle_is_passed_over(read: Reader, hole_bytes: int, filling: bytes) -> None:
    at = starts("pcap")[10]
    hole = (filling * hole_bytes)[:hole_bytes]

    whole = read(PCAP[:at] + hole + PCAP[at:])

    assert whole.frames == EXPECTED
    (damage,) = whole.damages
    assert (damage.offset_bytes, damage.resumed_bytes) == (at, at + hole_bytes)


@pytest.mark.parametrize("hole_bytes", [1, 16, 333, 70_000])
@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"text "])
def test_hole_between_blocks_is_passed_over(read: Reader, hole_bytes: int, filling: bytes) -> None:
    at = starts("pcapng")[10]
    hole = (filling * hole_bytes)[:hole_bytes]

    whole = read(PCAPNG[:at] + hole + PCAPNG[at:])

    assert whole.frames == EXPECTED
    (damage,) = whole.damages
    assert (damage.offset_bytes, damage.resumed_bytes) == (at, at + hole_bytes)


def test_lost_middle_resumes_at_the_next_record(read: Reader) -> None:
    first, second = starts("pcap")[10] + 5, starts("pcap")[20] + 9

    whole = read(PCAP[:first] + PCAP[second:])

    assert whole.frames[:10] == EXPECTED[:10]
    assert whole.frames[-9:] == EXPECTED[-9:]
    assert len(whole.damages) == 1


@pytest.mark.parametrize("place", [4, -4])
@pytest.mark.parametrize("wrong", [0, 11, 13, 48, 0x7FFFFFFC, 0xFFFFFFFF])
def test_block_whose_lengths_are_wrong_is_left_out(read: Reader, place: int, wrong: int) -> None:
    begin, end = starts("pcapng")[10:12]
    at = begin + place if place > 0 else end + place

    whole = read(PCAPNG[:at] + struct.pack("<I", wrong) + PCAPNG[at + 4 :])

    assert whole.frames == EXPECTED[:10] + EXPECTED[11:]
    (damage,) = whole.damages
    assert (damage.offset_bytes, damage.resumed_bytes) == (begin, end)


@pytest.mark.parametrize("field", [8, 20])
def test_packet_block_that_contradicts_itself_is_left_out(read: Reader, field: int) -> None:
    """An interface that is not described; more captured than the block holds."""
    begin, end = starts("pcapng")[10:12]

    whole = read(PCAPNG[: begin + field] + struct.pack("<I", 5000) + PCAPNG[begin + field + 4 :])

    assert whole.frames == EXPECTED[:10] + EXPECTED[11:]
    (damage,) = whole.damages
    assert (damage.offset_bytes, damage.resumed_bytes) == (begin, end)


def test_equal_damages_behind_each_other_are_one(read: Reader) -> None:
    content = build.section() + build.interface() + build.enhanced(b"good", 1)
    bad = b"".join(build.enhanced(b"bad", 1, 7) for _ in range(50))

    whole = read(content + bad + build.enhanced(b"good", 2))

    (damage,) = whole.damages
    assert whole.data == [b"good", b"good"]
    assert (damage.offset_bytes, damage.resumed_bytes) == (len(content), len(content) + len(bad))


@pytest.mark.parametrize(
    "block",
    [
        build.block(1, b""),
        build.block(5, b"\0\0\0\0"),
        build.statistics(9, b""),
        build.block(6, b""),
        build.block(2, bytes(16)),
        build.block(3, b""),
        build.interface(options=b"\x02\0\xff\xff"),
    ],
)
def test_block_too_short_for_its_type_harms_no_other(read: Reader, block: bytes) -> None:
    content = build.section() + build.interface()

    whole = read(content + block + build.enhanced(b"good", 2))

    assert whole.data == [b"good"]


@pytest.mark.parametrize(("place", "wrong"), [(3, "0002"), (7, "04000104"), (92, "0400"), (133, "01000301")])
@pytest.mark.parametrize("first", [0, 13, 24])
def test_what_looks_like_a_longer_block_near_the_end_hides_no_other(
    read: Reader, first: int, place: int, wrong: str
) -> None:
    """A file that fits into memory whole: the search has to know that nothing more can come."""
    content = build.pcapng(FRAMES, ">")
    at = starts("pcapng")[first] + place
    octets = bytes.fromhex(wrong)

    whole = read(content[:at] + octets + content[at + len(octets) :])

    assert len(set(EXPECTED) & set(whole.frames)) >= len(EXPECTED) - 3


@pytest.mark.parametrize("lost", [1, 7, 15])
def test_what_looks_like_a_longer_record_near_the_end_hides_no_other(read: Reader, lost: int) -> None:
    """In a hole stands a record header with a possible time, of a packet longer than what is left."""
    begin = starts("pcap")[20]
    claim = struct.pack("<IIII", build.START_S, 0, 5000, 5000)

    whole = read(PCAP[:begin] + claim[:-lost] + claim + PCAP[begin:])

    assert whole.frames == EXPECTED


def test_packets_without_any_interface_are_damage(read: Reader) -> None:
    whole = read(build.section() + build.enhanced(b"abcd", 1) + build.simple(b"abcd", 4))

    assert whole.frames == []
    assert [entry.offset_bytes for entry in whole.damages] == [28]


def test_reading_ends_where_a_file_is_nothing_but_damage(read: Reader) -> None:
    """A good packet and a bad one by turns: given up after a thousand places, and said so."""
    pair = build.enhanced(b"good", 1) + build.enhanced(b"bad", 1, 7)

    whole = read(build.section() + build.interface() + 3000 * pair)

    assert len(whole.data) == 1001
    assert len(whole.damages) == 1001
    assert "the rest of the file was not read" in whole.damages[-1].what


def test_memory_does_not_follow_a_claimed_length(tmp_path: Path) -> None:
    """Each record of a chain claims 16 MiB, which the snap length allows, and none is there."""
    path = tmp_path / "claims"
    claim = struct.pack("<IIII", build.START_S, 0, 16_000_000, 16_000_000)
    path.write_bytes(build.pcap_header(snaplen=0x7FFFFFFF) + claim * 1000)
    source = open_source(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    frames = sum(len(chunk) for chunk in source.chunks())

    assert frames == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000 * (
        1 if sys.platform != "darwin" else 1024
    )


def outcome(path: Path) -> Whole | CaptureError:
    try:
        return read_whole(path)
    except CaptureError as error:
        return error


fuzzing = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzzing
@given(
    head=st.sampled_from([b"", PCAP[:24], PCAP[:40], PCAPNG[:28], PCAPNG[:48]]),
    content=st.binary(max_size=600),
)
def test_any_bytes_give_frames_or_a_clear_error(tmp_path: Path, head: bytes, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(head + content)

    result = outcome(path)

    if isinstance(result, CaptureError):
        assert "\n" not in str(result)
        assert result.path == str(path)
    else:
        assert sum(len(data) for data in result.data) <= len(content) + len(head)


@fuzzing
@given(
    content=st.sampled_from([PCAP, PCAPNG, build.pcapng(FRAMES, ">")]),
    at=st.integers(0, len(PCAP) - 5),
    wrong=st.binary(min_size=1, max_size=4),
)
def test_any_wrong_octets_leave_most_frames(tmp_path: Path, content: bytes, at: int, wrong: bytes) -> None:
    """What is wrong in one place costs the frames there; the heads of file and section are another matter."""
    path = tmp_path / "wrong"
    path.write_bytes(content[:at] + wrong + content[at + len(wrong) :])

    result = outcome(path)

    if at >= 48:
        assert isinstance(result, Whole)
        kept = set(EXPECTED) & set(result.frames)
        assert len(kept) >= len(EXPECTED) - 3
