"""Files made by real programs, and what tshark says about them."""

import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.capture import build
from tests.capture.conftest import read_whole
from tests.tools import tool, tshark

FRAMES = build.packets(200)


def run(*command: str | Path) -> None:
    subprocess.run([tool(str(command[0])), *command[1:]], capture_output=True, check=True)


def told_by_tshark(path: Path) -> list[tuple[int, int, int]]:
    """Give time in ns, captured and original length of each frame."""
    fields = ["-e", "frame.time_epoch", "-e", "frame.cap_len", "-e", "frame.len"]
    rows = [line.split("\t") for line in tshark(path, "-n", "-T", "fields", *fields).splitlines()]
    return [(int(Decimal(time) * 10**9), int(captured), int(original)) for time, captured, original in rows]


def told_by_us(path: Path) -> list[tuple[int, int, int]]:
    return [(time_ns, len(data), original) for time_ns, original, data in read_whole(path).frames]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.pcap"
    path.write_bytes(build.pcap(FRAMES))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "make",
    [
        lambda order: build.pcap(FRAMES, build.MICROSECONDS, order),
        lambda order: build.pcap(FRAMES, build.NANOSECONDS, order),
        lambda order: (
            build.pcap_header(build.KUZNETZOV, order)
            + b"".join(build.record(frame, order, bytes(8)) for frame in FRAMES)
        ),
        lambda order: build.pcapng(FRAMES, order),
    ],
    ids=["microseconds", "nanoseconds", "kuznetzov", "pcapng"],
)
def test_files_of_the_builder(tmp_path: Path, make: object, order: str) -> None:
    """So that the builder of the other tests is no second opinion of our own."""
    path = tmp_path / "built"
    path.write_bytes(make(order))  # type: ignore[operator]

    assert told_by_us(path) == told_by_tshark(path)
    assert len(told_by_us(path)) == 200


@pytest.mark.parametrize(
    "kind", ["pcap", "nsecpcap", "modpcap", "nokiapcap", "rh6_1pcap", "suse6_3pcap", "pcapng"]
)
def test_formats_that_editcap_writes(tmp_path: Path, plain: Path, kind: str) -> None:
    run("editcap", "-F", kind, plain, tmp_path / "converted")

    assert told_by_us(tmp_path / "converted") == told_by_tshark(plain)


def test_snap_length_of_editcap(tmp_path: Path, plain: Path) -> None:
    run("editcap", "-s", "54", plain, tmp_path / "cut")

    assert told_by_us(tmp_path / "cut") == told_by_tshark(tmp_path / "cut")
    assert max(captured for _, captured, _ in told_by_us(tmp_path / "cut")) == 54


def test_captures_of_two_link_types_merged_by_mergecap(tmp_path: Path, plain: Path) -> None:
    other = tmp_path / "other.pcap"
    other.write_bytes(
        build.pcap([build.Packet(f.seconds, f.fraction + 1, f.data, f.original) for f in FRAMES], network=113)
    )
    run("mergecap", "-w", tmp_path / "merged", plain, other)

    assert told_by_us(tmp_path / "merged") == told_by_tshark(tmp_path / "merged")
    assert [entry.link_type for entry in read_whole(tmp_path / "merged").interfaces] == [1, 113]


def test_what_tcpdump_writes_again(tmp_path: Path, plain: Path) -> None:
    run("tcpdump", "-n", "-r", plain, "-w", tmp_path / "again", "--time-stamp-precision=nano")

    assert told_by_us(tmp_path / "again") == told_by_tshark(plain)


@pytest.mark.parametrize("options", [["-P"], []], ids=["pcap", "pcapng"])
def test_what_dumpcap_captures(tmp_path: Path, options: list[str]) -> None:
    """From a pipe, so that no interface and no right to capture is needed; statistics come with it."""
    source, path = tmp_path / "source", tmp_path / "captured"
    source.write_bytes(build.pcap(FRAMES))
    command = [tool("dumpcap"), "-q", "-i", "-", "-w", str(path), *options]
    with source.open("rb") as handle:
        done = subprocess.run(command, stdin=handle, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"dumpcap cannot capture here: {done.stderr.decode()[-200:]}")

    assert told_by_us(path) == told_by_tshark(path)
    assert len(told_by_us(path)) == 200
