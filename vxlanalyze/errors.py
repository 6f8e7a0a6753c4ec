"""Errors that a user can act on; everything else is a bug and keeps its traceback."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

# Address space that numpy, numba and their libraries map before the first packet; with less, they abort.
_LEAST_ADDRESS_SPACE_BYTES = 700_000_000
_LEAST_FILES = 16


class VxlanalyzeError(Exception):
    """The work cannot be done; the message is one line: what, where, and how to fix it."""

    exit_status = 2


class UsageError(VxlanalyzeError):
    """The call itself is wrong: an unknown option value, a name that cannot be used."""


class CaptureError(VxlanalyzeError):
    """An input is not a readable capture.

    Parameters
    ----------
    path : str
        The file as the user named it.
    what : str
        What is wrong, and how to fix it.
    offset_bytes : int, optional
        Offset of the fault in the (decompressed) file.
    """

    def __init__(self, path: str, what: str, offset_bytes: int | None = None) -> None:
        place = path if offset_bytes is None else f"{path}, byte {offset_bytes}"
        super().__init__(f"{place}: {what}")
        self.path = path
        self.what = what
        self.offset_bytes = offset_bytes

    def __reduce__(self) -> tuple[type["CaptureError"], tuple[str, str, int | None]]:
        return CaptureError, (self.path, self.what, self.offset_bytes)


class OutputError(VxlanalyzeError):
    """An output cannot be written."""


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Convert operating system errors during writing to an error that names the file.

    Raises
    ------
    OutputError
        With the file and the reason, such as a full disk.
    """
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise OutputError(f"{path}: cannot be written ({why})") from error


class OutOfMemoryError(VxlanalyzeError):
    """Memory was insufficient."""

    def __init__(self) -> None:
        super().__init__(
            "not enough memory for so many packets; give --memory SIZE (or more room to TMPDIR, where that "
            "is given), or cut the captures to the time of the trouble (editcap -A START -B END)"
        )


class TooFewFilesError(VxlanalyzeError):
    """No further file may be opened."""

    def __init__(self) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        super().__init__(
            f"ulimit -n allows {allowed:,} open files, too few for this run; {_LEAST_FILES} and two for each "
            "capture suffice"
        )


def is_too_few_files(error: OSError) -> bool:
    """Whether something failed because no further file may be opened."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def require_open_files() -> None:
    """Check that enough files may be open: modules and fonts are read along with captures.

    Raises
    ------
    TooFewFilesError
        Too few may be open.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < _LEAST_FILES:
        raise TooFewFilesError


def require_address_space() -> None:
    """Check that the process's address space limit leaves room for loading: too little causes an abort.

    Raises
    ------
    UsageError
        It is too low.
    """
    allowed_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= allowed_bytes < _LEAST_ADDRESS_SPACE_BYTES:
        raise UsageError(
            f"ulimit -v allows {allowed_bytes // 10**6} MB of address space, too little to begin; "
            f"{_LEAST_ADDRESS_SPACE_BYTES // 10**6} MB or more are needed"
        )
