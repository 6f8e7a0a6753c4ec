"""Archives of saved files: tar (plain, gzip, bzip2, xz, zstd, lz4) and zip, read member by member.

Nothing is unpacked to a named file. A member whose path leads outside of its folder causes the whole bundle
to be rejected; links and devices are skipped; anything too large, too deep or too numerous is a one-line
error.
"""

import io
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from vxlanalyze.capture.compressed import compression_of, open_stream
from vxlanalyze.capture.signatures import HEAD_BYTES, format_of
from vxlanalyze.capture.spool import Spool
from vxlanalyze.capture.streams import ByteStream
from vxlanalyze.errors import CaptureError, UsageError

_MOST_MEMBERS = 100_000
_MOST_BYTES = 2 << 30  # unpacked, all members together
_CALLED_CAPTURE = re.compile(r"\.p?cap(?:ng)?\d*\.\w+$")
_DEEPEST = 32
_LARGEST_MEMBER_BYTES = (64 << 20) + 1  # one more than is read of a file, so that the excess is noticed
_LARGEST_CAPTURES_BYTES = 16 << 30  # unpacked, all captures together
_COPY_BYTES = 1 << 20


class Member(NamedTuple):
    """One file of a bundle; `data` is truncated if too large."""

    path: str
    data: bytes


def members(path: Path) -> Iterator[Member]:
    """Give the regular files of a bundle, in its order.

    Raises
    ------
    UsageError
        It is damaged, too large, or contains a member outside of its folder.
    """
    total = 0
    with _damage_named(path):
        for name, file in _entries(path):
            if format_of(head := file.read(HEAD_BYTES)) is not None:
                yield Member(f"{path}/{name}", head)  # a capture: only its name matters
                continue
            data = head + file.read(_LARGEST_MEMBER_BYTES - len(head))
            total += len(data)
            if total > _MOST_BYTES:
                raise UsageError(f"{path}: unpacks to more than {_MOST_BYTES >> 30} GiB")
            yield Member(f"{path}/{name}", data)


def capture_places(path: Path) -> list[str]:
    """Give the paths of the captures in a bundle, in its order.

    Raises
    ------
    UsageError
        As in `members`.
    """
    with _damage_named(path):
        return [name for name, file in _entries(path) if _is_capture(name, file.read(HEAD_BYTES))]


def _is_capture(name: str, head: bytes) -> bool:
    called = compression_of(head) is not None and _CALLED_CAPTURE.search(name) is not None
    return called or format_of(head) is not None


def captures(path: Path, below: str = "") -> Iterator[tuple[str, IO[bytes]]]:
    """Give the captures of a bundle, each copied to an unlinked file, with its path in the bundle.

    Parameters
    ----------
    below : str
        The folder or member to read; "" for all.

    Raises
    ------
    UsageError
        As in `members`.
    """
    total = 0
    with _damage_named(path):
        for name, file in _entries(path):
            head = file.read(HEAD_BYTES)
            if not _is_capture(name, head) or not f"{name}/".startswith(below):
                continue
            spool = Spool()
            try:
                spool.write_all(head)
                while piece := file.read(_COPY_BYTES):
                    spool.write_all(piece)
                    total += len(piece)
                    if total > _LARGEST_CAPTURES_BYTES:
                        most = _LARGEST_CAPTURES_BYTES >> 30
                        raise UsageError(f"{path}: its captures unpack to more than {most} GiB")
            except BaseException:
                spool.close()
                raise
            yield name, spool


def _entries(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and open files of all regular members, up to the limits."""
    for count, entry in enumerate(_zipped(path) if zipfile.is_zipfile(path) else _tarred(path), 1):
        if count > _MOST_MEMBERS:
            raise UsageError(f"{path}: holds more than {_MOST_MEMBERS:,} files")
        yield entry


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Convert library errors about a damaged archive to one line that names it."""
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
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


def _zipped(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _checked(path, info.filename)
            if info.is_dir() or info.flag_bits & 1 or (info.external_attr >> 16) & 0o170000 == 0o120000:
                continue
            with archive.open(info) as file:
                yield name, file


def _tarred(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            name = _checked(path, info.name)
            file = archive.extractfile(info) if info.isreg() else None
            if file is not None:
                yield name, file
        if stream.fault is not None:
            raise tarfile.ReadError(stream.fault)


class _Opened(io.RawIOBase):
    """A file's decompressed bytes, counted."""

    def __init__(self, descriptor: int, stream: ByteStream) -> None:
        self._descriptor, self._stream = descriptor, stream
        self.given_bytes = 0

    @property
    def fault(self) -> str | None:
        """The reason why the stream ended early; None if it is complete."""
        return self._stream.fault

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(memoryview(buffer).cast("B"))
        self.given_bytes += count
        if self.given_bytes > _MOST_BYTES + _LARGEST_CAPTURES_BYTES:
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
