"""Every decoded field equal to tshark's: over what is built here, what kernels sent, and all recordings.

Frames are put into few files, since starting tshark takes longer than its work. What may explain a difference is
listed for each: a reason that covers a fault would show.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.capture import build as files
from tests.tools import tool
from tests.tshark_fields import Outcome, compare
from tests.wire import build
from tests.wire.kernel import Frame
from tests.wire.outside import STANDARD, all_frames, kernel_frames
from vxlanalyze.capture import open_sources

PROJECT = Path(__file__).resolve().parents[2]
SAMPLES = sorted((PROJECT / "sample_pcaps").rglob("node[12].pcap.gz"))
RECORDED = sorted(path for path in (PROJECT / "tests" / "captures").iterdir() if path.is_dir())
FRAMES_OF_EACH = 24

OFFLOAD = "a checksum that the network card will fill in is bad to tshark, and offload here"
CUT = "of a header that is cut or malformed, tshark and this program show different parts"
FRAGMENT = "tshark sums what one fragment of several holds"
FIRST = "of a first fragment, tshark gives the datagram's length, and this program what it holds"
GUESSED = "a tunnel on a port that tshark does not know was recognised by its content"
NO_GUE = "tshark does not know GUE"


@pytest.fixture(autouse=True)
def _tshark() -> None:
    tool("tshark")


def pcapng(frames: Iterable[Frame], order: str = "<") -> bytes:
    """One section, an interface for each link type, times a microsecond apart."""
    frames = list(frames)
    kinds = sorted({frame.link_type for frame in frames})
    head = files.section(order) + b"".join(files.interface(kind, order=order) for kind in kinds)
    return head + b"".join(
        files.enhanced(
            frame.data, files.START_S * 10**6 + at, kinds.index(frame.link_type), frame.wire, order=order
        )
        for at, frame in enumerate(frames)
    )


def assert_equal(outcome: Outcome, frames: int, *explained: str) -> None:
    assert outcome.differences == []
    assert outcome.frames == frames
    assert set(outcome.explained) <= set(explained)


def compared(path: Path, content: bytes) -> Outcome:
    path.write_bytes(content)
    return compare(str(path))


def sampled(paths: Iterable[Path], most: int) -> list[Frame]:
    """Frames of captures, evenly spaced where there are more than `most`."""
    found = []
    for source in open_sources([str(path) for path in paths]):
        places = np.concatenate([chunk.place.copy() for chunk in source.chunks()] or [np.empty(0, np.int64)])
        chosen = np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int))
        frames = source.fetch(places[chosen])
        for at in range(len(frames)):
            begin, captured = int(frames.start[at]), int(frames.captured_length[at])
            link_type = source.interfaces[frames.interface[at]].link_type
            data = frames.data[begin : begin + captured].tobytes()
            found.append(Frame(link_type, data, int(frames.original_length[at])))
        source.close()
    return found


def test_frames_from_outside(tmp_path: Path) -> None:
    frames = all_frames()

    assert_equal(compared(tmp_path / "all.pcapng", pcapng(frames)), len(frames), OFFLOAD, CUT, NO_GUE)


def test_cut_frames(tmp_path: Path) -> None:
    """Every fifth length of each: the snap length may end anywhere."""
    frames = [
        Frame(link_type, data[:length], len(data))
        for link_type, data in STANDARD.values()
        for length in range(1, len(data), 5)
    ]

    assert_equal(compared(tmp_path / "cut.pcapng", pcapng(frames)), len(frames), CUT, NO_GUE)


def test_link_types_that_mean_the_same(tmp_path: Path) -> None:
    four, six = build.small_packet(), build.small_packet6()
    frames = [Frame(kind, four, len(four)) for kind in (12, 14, 101, 228)]
    frames += [Frame(kind, six, len(six)) for kind in (12, 14, 101, 229)]
    for family in ("02000000", "00000002", "1c000000", "0000001e"):
        packet = bytes.fromhex(family) + (four if "02" in family else six)
        kinds = (0, 108) if family.startswith("00") else (0,)
        frames += [Frame(kind, packet, len(packet)) for kind in kinds]

    assert_equal(compared(tmp_path / "links.pcapng", pcapng(frames)), len(frames))


@pytest.mark.parametrize("order", ["<", ">"])
def test_formats(tmp_path: Path, order: str) -> None:
    """Times, lengths and fields of the same frames in each format, in both byte orders."""
    frames = [frame for frame in kernel_frames() if frame.link_type == 1][::10]
    packets = [
        files.Packet(files.START_S + at, 7 * at, frame.data, frame.wire) for at, frame in enumerate(frames)
    ]
    for name, content in (
        ("microseconds", files.pcap(packets, files.MICROSECONDS, order)),
        ("nanoseconds", files.pcap(packets, files.NANOSECONDS, order)),
        (
            "kuznetzov",
            files.pcap_header(files.KUZNETZOV, order)
            + b"".join(files.record(packet, order, bytes(8)) for packet in packets),
        ),
        ("pcapng", pcapng(frames, order)),
        ("two sections", pcapng(frames[:9], order) + pcapng(frames[9:], "<")),
    ):
        assert_equal(compared(tmp_path / name, content), len(frames), OFFLOAD, CUT)


def test_sample_captures(tmp_path: Path) -> None:
    frames = sampled(SAMPLES, 10_000)

    assert_equal(compared(tmp_path / "samples.pcapng", pcapng(frames)), len(frames), OFFLOAD)


def test_recorded_captures(tmp_path: Path) -> None:
    """Some frames of each file: every kind of network, traffic and damage that the laboratory makes."""
    paths = [path for folder in RECORDED for path in sorted(folder.glob("*node[12].pcap*"))]
    frames = sampled(paths, FRAMES_OF_EACH)

    assert len(paths) > 100
    assert_equal(
        compared(tmp_path / "recorded.pcapng", pcapng(frames)),
        len(frames),
        *(OFFLOAD, CUT, GUESSED, FRAGMENT, FIRST),
    )
