"""One file of a capture: identified as a capture, and reopened whenever its bytes are needed."""

import errno
import hashlib
import os
import select
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Event
from typing import IO

from vxlanalyze.capture.compressed import compression_of, open_stream
from vxlanalyze.capture.model import File
from vxlanalyze.capture.signatures import HEAD_BYTES, format_of, what_else
from vxlanalyze.capture.spool import Spool
from vxlanalyze.capture.streams import ByteStream
from vxlanalyze.errors import CaptureError

STANDARD_INPUT = "-"
_COPY_BYTES = 1 << 20
_TURN_MS = 200
WRITER_S = 10.0  # a shell opens what it redirects to at once; a person may start it in another window
_CHANGED = "it changed while it was read; end the capture first, or copy the file"


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An examined capture file. No descriptor stays open, except for a spooled stream.

    Attributes
    ----------
    file : File
        Its description.
    head : bytes
        Its first decompressed bytes.
    whole : bool
        `head` is the entire file.
    spool : IO[bytes] or None
        The unlinked copy of a stream that can be read only once.
    """

    file: File
    head: bytes
    whole: bool
    spool: IO[bytes] | None
    _place: str  # absolute: a later reader may run in another directory
    _identity: tuple[int, ...]

    @contextmanager
    def stream(self) -> Iterator[ByteStream]:
        """Read the decompressed bytes from the start.

        Raises
        ------
        CaptureError
            The file is missing, unreadable, or has changed before or during reading.
        """
        with self._descriptor() as descriptor:
            yield open_stream(descriptor, self.file.bytes, self.file.compression)

    def sha256(self, stop: Event | None = None) -> str:
        """Give the hexadecimal digest of the file on disk; ends early once `stop` is set."""
        digest = hashlib.sha256()
        with self._descriptor() as descriptor:
            at = 0
            while (piece := os.pread(descriptor, _COPY_BYTES, at)) and not (stop and stop.is_set()):
                digest.update(piece)
                at += len(piece)
        return digest.hexdigest()

    def seen_here(self) -> "OpenedFile":
        """Give the same file through this machine's file system, after another machine opened it.

        Raises
        ------
        CaptureError
            It is missing, or not the same.
        """
        with _errors_named(self.file.path), open(self._place, "rb", buffering=0) as handle:
            status = os.fstat(handle.fileno())
        if status.st_size != self.file.bytes:
            raise CaptureError(self.file.path, f"another file: {status.st_size} bytes, not {self.file.bytes}")
        return replace(self, _identity=_identity(status))

    def close(self) -> None:
        """Release the copy of a stream."""
        if self.spool is not None:
            self.spool.close()

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        if self.spool is not None:
            yield self.spool.fileno()
            return
        with _errors_named(self.file.path), open(self._place, "rb", buffering=0) as handle:
            self._require_unchanged(handle.fileno())
            yield handle.fileno()
            self._require_unchanged(handle.fileno())

    def _require_unchanged(self, descriptor: int) -> None:
        if _identity(os.fstat(descriptor)) != self._identity:
            raise CaptureError(self.file.path, _CHANGED)


def look_at(path: str) -> OpenedFile:
    """Open a file or a stream, and identify it.

    Parameters
    ----------
    path : str
        A file, a pipe, or ``-`` for standard input.

    Raises
    ------
    CaptureError
        It cannot be opened, or is not a capture; the message says what it is instead.
    """
    with _errors_named(path), _source(path) as handle:
        status = os.fstat(handle.fileno())
        if stat.S_ISDIR(status.st_mode):
            raise CaptureError(path, "a directory, where a file is expected")
        spool = None
        if path == STANDARD_INPUT or not stat.S_ISREG(status.st_mode):
            spool = _spooled(path, handle, status)
        return _known(path, spool or handle, spool)


def look_into(path: str, spool: IO[bytes]) -> OpenedFile:
    """Identify an unlinked copy, which the capture then owns; `path` is its name in messages.

    Raises
    ------
    CaptureError
        It is not a capture; the message says what it is instead.
    """
    with _errors_named(path):
        return _known(path, spool, spool)


def _known(path: str, handle: IO[bytes], spool: IO[bytes] | None) -> OpenedFile:
    """Identify an open file."""
    descriptor = handle.fileno()
    status = os.fstat(descriptor)
    compression = compression_of(os.pread(descriptor, 8, 0))
    stream = open_stream(descriptor, status.st_size, compression)
    view = memoryview(bytearray(HEAD_BYTES + 1))
    head = bytes(view[: stream.readinto(view)])
    kind = format_of(head)
    if kind is None:
        raise CaptureError(path, _inside(compression, stream.fault) + what_else(head))
    return OpenedFile(
        file=File(path, status.st_size, kind, compression),
        head=head[:HEAD_BYTES],
        whole=len(head) <= HEAD_BYTES,
        spool=spool,
        _place=os.path.abspath(path),
        _identity=_identity(status),
    )


def _source(path: str) -> IO[bytes]:
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise CaptureError(path, "standard input is closed; send a capture into it")
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    # A pipe is waited for; a device is not, since opening one may have side effects.
    mode = os.stat(path).st_mode
    if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not os.path.samefile(path, os.devnull)):
        raise CaptureError(path, "a device, not a capture file")
    if stat.S_ISFIFO(mode):
        return open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    return open(path, "rb", buffering=0)


def _read(descriptor: int, count: int) -> bytes:
    """Read from a stream in steps that a signal can interrupt.

    A signal just before a blocking read would be noticed only when that ends.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        if poll.poll(_TURN_MS):
            with suppress(BlockingIOError):
                return os.read(descriptor, count)


def _first(path: str, descriptor: int) -> bytes:
    """Wait until a writer opens a named pipe; give the data available by then.

    Without a writer, a read that does not wait finds the end; with one that has written nothing, it fails.

    Raises
    ------
    CaptureError
        No writer appeared within some seconds.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    named = os.path.exists(os.path.realpath(path))  # nobody can open another pipe (``<(...)``) any more
    until_s = time.monotonic() + WRITER_S
    while time.monotonic() < until_s:
        try:
            piece = os.read(descriptor, HEAD_BYTES)
        except BlockingIOError:
            return b""
        if piece or not named or poll.poll(_TURN_MS):
            return piece
    raise CaptureError(
        path,
        f"a pipe that nobody opened for writing within {WRITER_S:g} s; start what writes the capture first",
    )


def _spooled(path: str, handle: IO[bytes], status: os.stat_result) -> IO[bytes]:
    """Copy a stream to an unlinked file, unless its first bytes already show that it is not a capture."""
    if stat.S_ISCHR(status.st_mode) and os.isatty(handle.fileno()):
        raise CaptureError(path, "standard input is a terminal; send a capture into it")
    head = _first(path, handle.fileno()) if path != STANDARD_INPUT and stat.S_ISFIFO(status.st_mode) else b""
    while len(head) < HEAD_BYTES and (piece := _read(handle.fileno(), HEAD_BYTES - len(head))):
        head += piece
    if compression_of(head) is None and format_of(head) is None:
        raise CaptureError(path, what_else(head))
    spool = Spool()
    try:
        spool.write_all(head)
        while piece := _read(handle.fileno(), _COPY_BYTES):
            spool.write_all(piece)
    except BaseException:
        spool.close()
        raise
    return spool


def _inside(compression: str | None, fault: str | None) -> str:
    if fault is not None:
        return f"{fault}; what could be unpacked is "
    return "" if compression is None else f"inside the {compression} data: "


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _errors_named(path: str) -> Iterator[None]:
    """Convert errors of the operating system to one that names the file and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise CaptureError(path, "no such file") from error
    except IsADirectoryError as error:
        raise CaptureError(path, "a directory, where a file is expected") from error
    except PermissionError as error:
        raise CaptureError(path, "may not be read by this user (permission denied)") from error
    except OSError as error:
        what = f"cannot be read: {os.strerror(error.errno) if error.errno else error}"
        if error.errno == errno.ENOSPC:
            what = f"no space to keep the stream in {tempfile.gettempdir()}; TMPDIR names another place"
        raise CaptureError(path, what) from error
