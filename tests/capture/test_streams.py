"""The bytes of files: when the kernel is asked to read ahead."""

import os
from pathlib import Path

import pytest

from vxlanalyze.capture.streams import PlainStream

FILE_BYTES = 256 << 20
PIECE_BYTES = 4 << 20
STEP_BYTES = 16 << 20  # what is left behind the last step is read without a word


@pytest.fixture
def stream(tmp_path: Path):
    """A large file that takes no space."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, FILE_BYTES)
    with path.open("rb", buffering=0) as file:
        yield PlainStream(file.fileno(), FILE_BYTES)


@pytest.fixture
def advised(monkeypatch):
    """Ranges that are announced."""
    ranges: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, at, length, advice: ranges.append((at, at + length)))
    return ranges


def read(stream: PlainStream, times: int, count: int) -> None:
    for _ in range(times):
        assert stream.readinto(memoryview(bytearray(count))) == count


def test_who_reads_on_is_read_ahead_for(stream, advised):
    read(stream, FILE_BYTES // PIECE_BYTES, PIECE_BYTES)

    assert advised[0][0] <= 2 * PIECE_BYTES
    assert [begin for begin, _ in advised[1:]] == [end for _, end in advised[:-1]]
    assert advised[-1][1] > FILE_BYTES - STEP_BYTES


def test_who_looks_at_single_frames_is_not(stream, advised):
    for _ in range(100):
        read(stream, 1, 2048)
        stream.skip(1 << 20)

    assert advised == []


def test_who_begins_behind_a_jump_is_read_ahead_for_from_there(stream, advised):
    stream.skip(FILE_BYTES // 2)
    read(stream, FILE_BYTES // 2 // PIECE_BYTES, PIECE_BYTES)

    assert advised[0][0] >= FILE_BYTES // 2
    assert advised[-1][1] > FILE_BYTES - STEP_BYTES
