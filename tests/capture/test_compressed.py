"""Compressed captures: told by content, in pieces, cut, damaged, and much larger inside than outside."""

import bz2
import gzip
import lzma
import resource
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from tests.capture import build
from tests.capture.conftest import Reader, read_whole
from tests.tools import tool
from vxlanalyze.capture import open_source
from vxlanalyze.errors import CaptureError

FRAMES = build.packets(3000)
EXPECTED = [(frame.time_ns(), frame.original, frame.data) for frame in FRAMES]
PCAP = build.pcap(FRAMES)
KINDS = ["gzip", "bzip2", "zstd", "lz4", "xz"]


def packed(content: bytes, kind: str) -> bytes:
    """Pack with another library than the reader uses where there is one."""
    if kind == "gzip":
        return gzip.compress(content, mtime=0)
    if kind == "xz":
        return lzma.compress(content)
    if kind == "bzip2":
        return bz2.compress(content)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(content)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [PCAP, build.pcapng(FRAMES)], ids=["pcap", "pcapng"])
def test_compression_is_told_by_content(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "capture.txt"
    path.write_bytes(packed(content, kind))

    assert read_whole(path).frames == EXPECTED
    file = open_source(path).files[0]
    assert (file.compression, file.bytes) == (kind, path.stat().st_size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("small_steps")
def test_small_windows_over_compressed_data(read: Reader, kind: str) -> None:
    assert read(packed(build.pcap(FRAMES[:50]), kind)).frames == EXPECTED[:50]


@pytest.mark.parametrize("kind", KINDS)
def test_members_behind_each_other_are_one_stream(read: Reader, kind: str) -> None:
    third = len(PCAP) // 3

    whole = read(packed(PCAP[:third], kind) + packed(PCAP[third:-1], kind) + packed(PCAP[-1:], kind))

    assert whole.frames == EXPECTED


@pytest.mark.parametrize("program", ["gzip", "bzip2", "zstd", "lz4"])
def test_what_the_programs_write(tmp_path: Path, program: str) -> None:
    path = tmp_path / "plain"
    path.write_bytes(PCAP)
    done = subprocess.run([tool(program), "-c", path], capture_output=True, check=True)
    (tmp_path / "packed").write_bytes(done.stdout)

    assert read_whole(tmp_path / "packed").frames == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
def test_cut_compressed_data_are_read_as_far_as_they_go(read: Reader, kind: str) -> None:
    """How far that is, is the compression's: nothing of a block that is not whole."""
    frames = build.packets(60_000)
    content = packed(build.pcap(frames), kind)

    whole = read(content[: len(content) - 2000])

    assert whole.time_ns == [frame.time_ns() for frame in frames[: len(whole.time_ns)]]
    assert len(whole.time_ns) > 10_000 or kind == "bzip2"
    assert f"{kind} data cut or damaged" in whole.damages[-1].what


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "zstd"])
def test_damaged_compressed_data_end_the_reading(read: Reader, kind: str) -> None:
    content = bytearray(packed(PCAP, kind))
    content[len(content) // 2] ^= 0x55

    try:
        whole = read(bytes(content))
    except CaptureError as error:
        assert "data cut or damaged" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert "data cut or damaged" in whole.damages[-1].what


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [4, 10, 20])
def test_cut_near_the_start_is_an_error(read: Reader, kind: str, length: int) -> None:
    with pytest.raises(CaptureError, match=r"data cut or damaged|inside the .* data"):
        read(packed(PCAP, kind)[:length])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_inside_is_named(read: Reader, kind: str) -> None:
    with pytest.raises(CaptureError, match=f"inside the {kind} data: a text file"):
        read(packed(b"some text\n" * 30, kind))


def test_zeros_behind_gzip_data_are_padding(read: Reader) -> None:
    whole = read(packed(PCAP, "gzip") + bytes(512))

    assert whole.frames == EXPECTED
    assert whole.damages == []


@pytest.mark.parametrize("kind", KINDS)
def test_much_larger_inside_than_outside_takes_no_more_memory(tmp_path: Path, kind: str) -> None:
    """256 MiB of records in a small file."""
    record = build.record(build.Packet(build.START_S, 0, bytes(65_536 - 16), 65_520))
    path = tmp_path / "bomb"
    path.write_bytes(packed(build.pcap_header() + record * 4096, kind))
    assert path.stat().st_size < 3 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    frames = sum(len(chunk) for chunk in open_source(path).chunks())

    assert frames == 4096
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
