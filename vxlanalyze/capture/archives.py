"""Recognise an archive of several files by its content: tar, plain or compressed, and zip."""

import os
from pathlib import Path

from vxlanalyze.capture.compressed import compression_of, open_stream
from vxlanalyze.errors import CaptureError

_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"
_HEAD_BYTES = 512


def is_archive(path: str | Path) -> bool:
    """Whether a regular file is an archive."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        if head.startswith(b"PK\x03\x04") or _is_tar(head):
            return True
        compression = compression_of(head)
        if compression is None:
            return False
        view = memoryview(bytearray(_HEAD_BYTES))
        stream = open_stream(descriptor, os.fstat(descriptor).st_size, compression)
        return _is_tar(bytes(view[: stream.readinto(view)]))
    except (OSError, CaptureError, EOFError, ValueError):
        return False
    finally:
        os.close(descriptor)


def inside(path: str | Path) -> tuple[Path, str] | None:
    """Split a path into an archive and a folder in it ("" for all); None if it is not in an archive."""
    whole = Path(path)
    for at in (whole, *whole.parents):
        if os.path.isfile(at):
            below = whole.relative_to(at).as_posix().removeprefix(".")
            return (at, f"{below}/" if below else "") if is_archive(at) else None
        if at.exists():
            return None
    return None


def _is_tar(head: bytes) -> bool:
    return head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)
