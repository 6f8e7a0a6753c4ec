"""Standard output and standard error: their capabilities, and progress."""

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, Timer
from typing import TYPE_CHECKING, TextIO

from vxlanalyze.errors import OutputError
from vxlanalyze.text.escaping import inert, plain

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_SHOWN_AFTER_S = 2.0
_PIPE_NOTICE_AFTER_S = 12.0  # later than a pipe without a writer is given up: that is one line
_WIDTHS = (40, 120)  # longer lines are hard to read
_DRAWN = "─│►◄✗→±µ…"


@dataclass(frozen=True, slots=True)
class Look:
    """Capabilities of standard output."""

    width: int
    colour: bool
    ascii_only: bool


def look(color: str) -> Look:
    """Determine the capabilities of standard output; `color` is auto, always or never."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    colour = color == "always" or (color == "auto" and terminal and not plain)
    # It is COLUMNS, if set, even in a pipe.
    columns = shutil.get_terminal_size().columns if terminal or os.environ.get("COLUMNS") else 80
    return Look(min(max(columns, _WIDTHS[0]), _WIDTHS[1]), colour, not _encodes(_DRAWN))


def _encodes(letters: str) -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        letters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def say(text: str) -> None:
    """Write to standard output; a closed pipe is not an error.

    Raises
    ------
    OutputError
        It cannot be written, for example because the disk is full.
    """
    if sys.stdout is None:  # closed by the caller (>&-)
        return
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout)
    except OSError as error:
        _forget(sys.stdout)
        raise OutputError(f"standard output: cannot be written ({error.strerror})") from error


def _forget(stream: TextIO) -> None:
    """Redirect the interpreter's final flush so that it cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_message(text: str) -> None:
    """Write one line to standard error, after the program's name; if that fails, the exit status remains."""
    if sys.stderr is not None:
        line = inert(f"vxlanalyze: {text}\n")
        encoding = sys.stderr.encoding or "ascii"
        try:
            sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
            sys.stderr.flush()
        except OSError:
            _forget(sys.stderr)


@contextmanager
def waiting_for(paths: Iterable[str]) -> Iterator[None]:
    """Name the pipes being waited for: on a terminal at once, elsewhere only after a while.

    Otherwise a job that hangs on a pipe without a writer would look like one that works.
    """
    pipes = list(paths)

    def say() -> None:
        for path in pipes:
            write_message(f"waiting for {plain(path)}, a pipe, to be written")

    at_once = sys.stderr is not None and sys.stderr.isatty()
    later = Timer(0 if at_once else _PIPE_NOTICE_AFTER_S, say)
    later.daemon = True
    if pipes:
        later.start()
    try:
        yield
    finally:
        later.cancel()


@contextmanager
def progress_bar(wanted: bool) -> Iterator["ReadingProgress | None"]:
    """Show reading progress on a terminal if it takes longer than two seconds."""
    if not (wanted and sys.stderr is not None and sys.stderr.isatty()):
        yield None
        return
    reading = ReadingProgress()
    try:
        yield reading
    finally:
        reading.close()


class ReadingProgress:
    """One bar for each capture: done, rate and time left; created when the work turns out to be long."""

    def __init__(self) -> None:
        self._begin_s = time.monotonic()
        self._lock = Lock()
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, name: str, done_bytes: int, total_bytes: int | None) -> None:
        """Record a capture's reading progress; called from several threads."""
        with self._lock:
            if time.monotonic() - self._begin_s < _SHOWN_AFTER_S:
                return
            bars = self._bars or self._made()
            if name not in self._tasks:
                self._tasks[name] = bars.add_task(name, total=total_bytes)
            bars.update(self._tasks[name], completed=done_bytes)

    def close(self) -> None:
        """Remove the bars from the screen."""
        if self._bars is not None:
            self._bars.stop()

    def _made(self) -> "Bars":
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("reading {task.description}", markup=False),
            BarColumn(bar_width=20),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )
        self._bars.start()
        return self._bars
