"""Files that appear completely or not at all: written next to their destination, and moved there at the end.

Either all outputs of a run appear or none.
"""

import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from vxlanalyze.errors import OutputError, UsageError, writing
from vxlanalyze.export.signals import held


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file or a directory of files that waits next to its destination."""

    waiting: Path
    target: Path


class Outputs:
    """The outputs of one run; as a context, they appear when it ends without an error.

    Raises
    ------
    OutputError
        A destination cannot be written; with its path and the reason.
    """

    def __init__(self) -> None:
        self._files: list[_Staged] = []
        self._directories: list[_Staged] = []
        self._made: list[Path] = []
        self._inputs: set[Path] = set()

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with held():
            try:
                if kind is None:
                    self._publish()
            finally:
                self._clean(failed=kind is not None)

    def protect(self, inputs: Iterable[str]) -> None:
        """Name input files, which no output may replace."""
        self._inputs |= {Path(os.path.realpath(path)) for path in inputs}

    def write_text(self, path: str, text: str) -> None:
        """Write a text file in UTF-8; a device or pipe is written immediately."""
        target = Path(os.path.realpath(path))
        with writing(path):
            if target.exists() and not stat.S_ISREG(target.stat().st_mode):
                target.write_text(text, encoding="utf-8")
                return
            # Not derived from the target, whose name may have the maximum length.
            waiting = target.with_name(f".vxlanalyze-{_by_chance()}.part")
            self._files.append(_Staged(waiting, target))
            with waiting.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)

    def directory(self, path: str) -> Path:
        """Give an empty directory to write files into; they appear in `path`, created if necessary."""
        target = Path(os.path.realpath(path))
        with writing(path):
            if not target.exists():
                self._made.append(target)
                target.mkdir()
            waiting = target / f".vxlanalyze-{_by_chance()}"
            self._directories.append(_Staged(waiting, target))
            waiting.mkdir(mode=0o700)
        return waiting

    def _publish(self) -> None:
        files = [
            _Staged(file, staged.target / file.name)
            for staged in self._directories
            for file in sorted(staged.waiting.iterdir())
        ]
        files += self._files
        for staged in files:  # detected before the first one appears
            if staged.target.is_dir():
                raise OutputError(f"{staged.target}: a directory, where a file is to be written")
            if staged.target in self._inputs:
                raise OutputError(
                    f"{staged.target}: was read, and would be written over; choose another place"
                )
        for staged in files:
            with writing(str(staged.target)):
                os.replace(staged.waiting, staged.target)
        self._made.clear()

    def _clean(self, *, failed: bool) -> None:
        for staged in self._files:
            staged.waiting.unlink(missing_ok=True)
        for staged in self._directories:
            shutil.rmtree(staged.waiting, ignore_errors=True)
        for made in self._made if failed else ():
            with suppress(OSError):  # an interrupt came before it was created
                made.rmdir()


def _by_chance() -> str:
    """Give letters that no other run chooses: in a container, all have the same process number."""
    return os.urandom(4).hex()


def require_writable(path: str) -> None:
    """Check in advance that a file can be written at the end.

    Raises
    ------
    OutputError
        Its directory is missing or not writable, or it is a directory itself.
    """
    parent = Path(os.path.realpath(path)).parent
    if os.path.isdir(path):
        raise OutputError(f"{path}: a directory, where a file is expected")
    if not parent.is_dir():
        raise OutputError(f"{path}: there is no directory {parent}; make it first")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"{path}: the directory {parent} may not be written")


def require_directory(path: str) -> None:
    """Check in advance that files can be written into a directory, which is created if necessary.

    Raises
    ------
    OutputError
        It is a file, its parent is missing, or it is not writable.
    """
    place = Path(path)
    if place.exists() and not place.is_dir():
        raise OutputError(f"{path}: a file, where a directory is expected")
    if not place.exists() and not Path(os.path.realpath(path)).parent.is_dir():
        raise OutputError(
            f"{path}: there is no directory {Path(os.path.realpath(path)).parent}; make it first"
        )
    if not os.access(place if place.exists() else Path(os.path.realpath(path)).parent, os.W_OK):
        raise OutputError(f"{path}: may not be written")


def require_apart(annotate: str | None, decapsulate: str | None) -> None:
    """Check that two outputs do not write the same files, as both name them after the captures.

    Raises
    ------
    UsageError
        They use the same directory.
    """
    if annotate is None or decapsulate is None:
        return
    if os.path.realpath(annotate) == os.path.realpath(decapsulate):
        raise UsageError(
            f"--annotate and --decapsulate: both would write {annotate}/NAME.pcapng; give each its own"
        )
