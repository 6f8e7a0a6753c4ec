"""Compressed captures, recognised by their first bytes: gzip, bzip2, zstd, lz4, xz.

One step of output is held at a time, so memory does not depend on the decompressed size. Several consecutive
members or frames form one stream (RFC 1952 section 2.2; RFC 8878 section 3; LZ4 frame format, "Frame
Concatenation").
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from vxlanalyze.capture.streams import ByteStream, PlainStream

_SIGNATURES = {
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zX": "xz",
}
_SKIPPABLE_ZSTD = b"\x2a\x4d\x18"  # after 0x50 to 0x5f: pzstd begins with such a frame
_INPUT_BYTES = 1 << 18
_SKIP_BYTES = 1 << 20
# pyarrow returns nothing for a read that encounters damage: small reads lose little.
_ARROW_READ_BYTES = 1 << 14


def compression_of(head: bytes) -> str | None:
    """Give the compression of a file by its first bytes; None where it is not compressed."""
    if head[1:4] == _SKIPPABLE_ZSTD and 0x50 <= head[0] <= 0x5F:
        return "zstd"
    return next((name for magic, name in _SIGNATURES.items() if head.startswith(magic)), None)


def open_stream(descriptor: int, size_bytes: int, compression: str | None) -> ByteStream:
    """Give the decompressed bytes of an open file of the given size."""
    plain = PlainStream(descriptor, size_bytes)
    if compression is None:
        return plain
    return CompressedStream(plain, compression)


class _Raw(io.RawIOBase):
    """A stream as the file object that decompressors expect."""

    def __init__(self, stream: PlainStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.readinto(memoryview(buffer).cast("B"))


class CompressedStream:
    """The decompressed bytes of a compressed file.

    Damage or truncation of the compressed data ends the stream; then `fault` says so.
    """

    def __init__(self, packed: PlainStream, compression: str) -> None:
        self.fault: str | None = None
        self._compression = compression
        self._packed = packed
        self._read = _reader(io.BufferedReader(_Raw(packed), _INPUT_BYTES), compression)

    def readinto(self, view: memoryview) -> int:
        """Fill `view`; fewer bytes than it holds come only at the end."""
        done = 0
        while done < len(view) and self.fault is None:
            piece = self._piece(len(view) - done)
            if not piece:
                break
            view[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def skip(self, count: int) -> int:
        """Skip up to `count` bytes by decompressing them, and return how many there were."""
        view = memoryview(bytearray(min(count, _SKIP_BYTES)))
        done = 0
        while done < count and (step := self.readinto(view[: count - done])):
            done += step
        return done

    def _piece(self, limit: int) -> bytes:
        try:
            return self._read(limit)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            place = self._packed.offset_bytes  # of the data read ahead
            self.fault = f"{self._compression} data cut or damaged before their byte {place}: {error}"
            return b""


def _reader(packed: io.BufferedReader, compression: str) -> Callable[[int], bytes]:
    """Give a function that reads up to a number of decompressed bytes, returning none only at the end."""
    if compression == "gzip":
        return gzip.GzipFile(fileobj=packed).read1
    if compression == "bzip2":
        return bz2.BZ2File(packed).read1
    if compression == "xz":
        return lzma.LZMAFile(packed).read1
    import pyarrow as pa  # imported late: it takes 0.1 s, and most captures are not compressed

    unpacked = pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), compression)

    def read(limit: int) -> bytes:
        piece: bytes = unpacked.read(min(limit, _ARROW_READ_BYTES))
        return piece

    return read
