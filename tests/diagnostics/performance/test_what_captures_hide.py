"""What is known of slow connections where captures hide a part: the rest is not assessed, with a reason."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import vxlanalyze as vx

CAPTURES = Path(__file__).parents[2] / "captures"
SLOW = ("window-limited", "zero-window", "slow-answer")
CUTS_HEADERS, CUTS_HANDSHAKES, CUTS_PAYLOAD = 110, 120, 130
HANDSHAKE_FRAMES = 8


class Frame(NamedTuple):
    """A frame of a capture in microseconds."""

    second: int
    micro: int
    length: int
    octets: bytes


def frames(path: Path) -> Iterator[Frame]:
    data, at = gzip.decompress(path.read_bytes()), 24
    while at < len(data):
        second, micro, captured, length = struct.unpack_from("<IIII", data, at)
        yield Frame(second, micro, length, data[at + 16 : at + 16 + captured])
        at += 16 + captured


class Hidden(NamedTuple):
    """What is hidden: octets behind `snap`, the first `skip` frames, parts of `unit_us`; time runs faster."""

    snap: int = 65535
    skip: int = 0
    unit_us: int = 1
    faster: int = 1

    def record(self, frame: Frame) -> bytes:
        """Write a frame as the capture would show it then."""
        micro = (frame.second * 1_000_000 + frame.micro) // self.faster // self.unit_us * self.unit_us
        kept = frame.octets[: self.snap]
        return struct.pack("<IIII", *divmod(micro, 1_000_000), len(kept), frame.length) + kept


def compared(name: str, folder: Path, *, ends: int = 2, **hidden: int) -> vx.Comparison:
    """Compare a recording of which a part is hidden."""
    files, hides = [], Hidden(**hidden)
    for end in range(1, ends + 1):
        source = CAPTURES / name / f"node{end}.pcap.gz"
        files.append(folder / f"node{end}.pcap")
        head = gzip.decompress(source.read_bytes())[:24]
        files[-1].write_bytes(head + b"".join(map(hides.record, list(frames(source))[hides.skip :])))
    return vx.compare(*files)


def reasons(result: vx.Comparison, code: str) -> set[str]:
    return {entry["reason"] for entry in result.not_assessed if entry["code"] == code}


def codes(result: vx.Comparison) -> set[str]:
    return {finding.code for finding in result.findings} & {*SLOW}


@pytest.mark.parametrize("name", ["window-upload", "server-thinks-often", "reader-stops"])
def test_headers_that_are_cut_leave_everything_open(name: str, tmp_path: Path):
    result = compared(name, tmp_path, snap=CUTS_HEADERS)

    assert codes(result) == set()
    for code in SLOW:
        assert reasons(result, code) == {
            "the snap length cuts the TCP headers of 1 connection: windows and turns are not known"
        }


def test_handshakes_that_are_cut_hide_the_scale_and_nothing_else(tmp_path: Path):
    window = compared("window-upload", tmp_path, snap=CUTS_HANDSHAKES)
    assert reasons(window, "window-limited") == {
        "the handshake of 1 connection is cut by the snap length, so the scale of the window is not known"
    }
    assert codes(compared("server-thinks-often", tmp_path, snap=CUTS_HANDSHAKES)) == {"slow-answer"}
    assert codes(compared("reader-stops", tmp_path, snap=CUTS_HANDSHAKES)) == {"zero-window"}


def test_payload_that_is_cut_hides_nothing(tmp_path: Path):
    assert codes(compared("window-upload", tmp_path, snap=CUTS_PAYLOAD)) == {"window-limited"}


def test_a_handshake_that_was_not_captured_hides_the_scale_and_nothing_else(tmp_path: Path):
    window = compared("window-upload", tmp_path, skip=HANDSHAKE_FRAMES)

    assert codes(window) == set()
    assert reasons(window, "window-limited") == {
        "the handshake of 1 connection was not captured, so the scale of the window is not known"
    }
    assert window.slow().iloc[0]["window_p50_bytes"] is None
    assert codes(compared("server-thinks-often", tmp_path, skip=HANDSHAKE_FRAMES)) == {"slow-answer"}
    assert codes(compared("reader-stops", tmp_path, skip=HANDSHAKE_FRAMES)) == {"zero-window"}


@pytest.mark.parametrize(
    ("name", "code", "limit"),
    [
        ("window-upload", "window-limited", "window"),
        ("server-thinks-often", "slow-answer", "server"),
        ("reader-stops", "zero-window", "zero_window"),
    ],
)
class TestWhatIsStillKnown:
    def test_one_capture_shows_who_limits(self, name: str, code: str, limit: str, tmp_path: Path):
        result = compared(name, tmp_path, ends=1)
        assert codes(result) == {code}
        assert result.slow().iloc[0][["limit", "seen_at"]].tolist() == [limit, "node1"]
        assert len(result.requests) == 0

    def test_milliseconds_show_who_limits_over_long_round_trips(
        self, name: str, code: str, limit: str, tmp_path: Path
    ):
        result = compared(name, tmp_path, unit_us=1000)
        assert codes(result) == {code}
        assert result.slow().iloc[0]["limit"] == limit


def test_one_capture_cannot_tell_a_queue_from_a_congestion_window(tmp_path: Path):
    result = compared("queue-of-an-upload", tmp_path, ends=1)
    assert reasons(result, "queueing-delay") == {
        "one capture cannot tell data that waits in a queue from a congestion window"
    }
    assert reasons(compared("client-pauses", tmp_path, ends=1), "queueing-delay") == set()


def test_milliseconds_are_too_coarse_for_short_round_trips(tmp_path: Path):
    """A round trip of 8 ms, and a scale that is not known: the sender waits for acknowledgements."""
    coarse = "time stamps at node1 are whole milliseconds, and round trips are not much longer"
    result = compared("window-upload", tmp_path, skip=HANDSHAKE_FRAMES, unit_us=1000, faster=5)
    assert coarse in reasons(result, "window-limited")

    fine = compared("window-upload", tmp_path, skip=HANDSHAKE_FRAMES, faster=5)
    assert coarse not in reasons(fine, "window-limited")


def test_nothing_but_healthy_captures_leaves_nothing_open(tmp_path: Path):
    result = compared("window-upload-twin", tmp_path)
    assert [reasons(result, code) for code in SLOW] == [set(), set(), set()]
