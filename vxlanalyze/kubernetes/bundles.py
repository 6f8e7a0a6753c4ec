"""Archives of what was saved: tar (plain, gzip, bzip2, xz, zstd, lz4) and zip, read member by member.

Nothing is unpacked to disk. A member whose path leads outside of its folder refuses the whole bundle; links
and devices are passed over; what is too large, too deep or too much is an error of one line.
"""

import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from vxlanalyze.capture.compressed import compression_of, open_stream
from vxlanalyze.capture.streams import ByteStream
from vxlanalyze.errors import CaptureError, UsageError

_MOST_MEMBERS = 100_000
_MOST_BYTES = 2 << 30  # unpacked, all members together
_DEEPEST = 32
_LARGEST_MEMBER_BYTES = (64 << 20) + 1  # one more than is read of a file, so that it is named
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"


class Member(NamedTuple):
    """One file of a bundle; `data` is cut where it is too large."""

    path: str
    data: bytes


def is_bundle(path: Path) -> bool:
    """Whether a file is an archive, by its content."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04") or head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        return True
    if compression_of(head) is None:
        return False
    with _opened(path) as stream:
        try:
            return stream.read(512)[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)
        except (OSError, CaptureError, EOFError, ValueError):
            return False


def members(path: Path) -> Iterator[Member]:
    """Give the regular files of a bundle, in its order.

    Raises
    ------
    UsageError
        It is damaged, too large, or holds a member outside of its folder.
    """
    total = 0
    try:
        for count, member in enumerate(_zipped(path) if zipfile.is_zipfile(path) else _tarred(path), 1):
            total += len(member.data)
            if count > _MOST_MEMBERS or total > _MOST_BYTES:
                raise UsageError(
                    f"{path}: unpacks to more than {_MOST_MEMBERS:,} files or {_MOST_BYTES >> 30} GiB"
                )
            yield member
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        OSError,
        EOFError,
        CaptureError,
        NotImplementedError,
    ) as error:
        raise UsageError(f"{path}: damaged archive ({error})") from error


def _checked(path: Path, name: str) -> str:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or len(parts) > _DEEPEST or ":" in name[:2]:
        shown = name.encode("unicode_escape").decode()[:80]
        raise UsageError(
            f"{path}: its member {shown} lies outside of its folder, or too deep; it is not read"
        )
    return "/".join(parts)


def _zipped(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _checked(path, info.filename)
            if info.is_dir() or info.flag_bits & 1 or (info.external_attr >> 16) & 0o170000 == 0o120000:
                continue
            with archive.open(info) as file:
                yield Member(f"{path}/{name}", file.read(_LARGEST_MEMBER_BYTES))


def _tarred(path: Path) -> Iterator[Member]:
    with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            name = _checked(path, info.name)
            if stream.given_bytes > _MOST_BYTES:
                raise UsageError(f"{path}: unpacks to more than {_MOST_BYTES >> 30} GiB")
            file = archive.extractfile(info) if info.isreg() else None
            if file is not None:
                yield Member(f"{path}/{name}", file.read(_LARGEST_MEMBER_BYTES))
        if stream.fault is not None:
            raise tarfile.ReadError(stream.fault)


class _Opened(io.RawIOBase):
    """A file's decompressed bytes, counted."""

    def __init__(self, descriptor: int, stream: ByteStream) -> None:
        self._descriptor, self._stream = descriptor, stream
        self.given_bytes = 0

    @property
    def fault(self) -> str | None:
        """What ended the stream early; None where it ended well."""
        return self._stream.fault

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(memoryview(buffer).cast("B"))
        self.given_bytes += count
        if self.given_bytes > 2 * _MOST_BYTES:
            raise tarfile.ReadError("it unpacks to too much")
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def _opened(path: Path) -> Any:
    descriptor = os.open(path, os.O_RDONLY)
    with path.open("rb") as file:
        compression = compression_of(file.read(8))
    stream = open_stream(descriptor, path.stat().st_size, compression)
    return closing(_Opened(descriptor, stream))
