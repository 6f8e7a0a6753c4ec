"""A memory limit: above it, large arrays are kept in a file on disk, and the kernel moves their pages.

numpy allows its allocator to be replaced (NEP 49). While a limit is active, large arrays are created in
memory as long as they fit, and then in an unlinked, mapped file (`allocator`), transparently to all stages.
The file has no name, so nothing remains however the process ends.

Sources: NEP 49, "Data allocation strategies"; numpy C API, ``PyDataMem_SetHandler``.
"""

# ctypes' inside has no types:
# mypy: disable-error-code="misc"

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from vxlanalyze.errors import UsageError

if TYPE_CHECKING:  # numpy is only imported when a limit is set: the command line only parses sizes here
    import numpy as np
    from numpy.typing import NDArray

LEAST_BYTES = 128 << 20
_LEAST_BUDGET_BYTES = 16 << 20
_OTHER_BYTES = 192 << 20  # the interpreter, its libraries, kernels, buffers, and arrays too small to count
_SET_HANDLER = 304  # PyDataMem_SetHandler in numpy's table of functions, part of its ABI since 1.22
_DIRECTORY = "/var/tmp"  # for large files, unless TMPDIR is set; /tmp may be in memory


class _Handler(ctypes.Structure):
    """numpy's PyDataMem_Handler, of version 1."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class _Allocator:
    """An allocator that numpy may use as long as any of its arrays lives, so the only one is kept forever."""

    capsule: Any
    state: "NDArray[np.int64]"
    kept: tuple[object, ...]  # what the addresses in the capsule point to


class _Limit:
    """Whether a limit is active, and the allocator that enforces it."""

    holds = False

    @cached_property
    def allocator(self) -> _Allocator:
        return _make()


_limit = _Limit()


def size_bytes(text: str) -> int:
    """Read a size such as ``512M`` or ``1.5 GiB``; suffixes are powers of 1024.

    Raises
    ------
    UsageError
        It is not a size.
    """
    letters = text.strip().upper().removesuffix("B").removesuffix("I")
    unit = letters[-1:] if letters[-1:] in tuple("KMGT") else ""
    try:
        return int(float(letters.removesuffix(unit)) * 1024 ** (" KMGT".index(unit) if unit else 0))
    except (ValueError, OverflowError):
        raise UsageError(f"{text} is not a size of memory; write it as 512M or 2G") from None


@contextmanager
def limited(to_bytes: int | None) -> Iterator[None]:
    """Keep anonymous memory below a limit during this context; None means no limit.

    It covers the calling thread, and threads that first call `join_limit`.

    Raises
    ------
    UsageError
        The limit is below what any run needs, or no file can hold the excess.
    """
    if to_bytes is None:
        yield
        return
    if to_bytes < LEAST_BYTES:
        raise UsageError(f"{to_bytes >> 20} MB of memory are too little: {LEAST_BYTES >> 20} MB is the least")
    from vxlanalyze.memory import allocator

    made, budget = _limit.allocator, max(to_bytes - _OTHER_BYTES, _LEAST_BUDGET_BYTES)
    allocator.change(made.state, budget)
    before = _set_handler(made.capsule)
    _limit.holds = True
    try:
        yield
    finally:
        _limit.holds = False
        _set_handler(before)
        allocator.change(made.state, -budget)


def join_limit() -> None:
    """Put the arrays of the calling thread under the active limit, if any."""
    if _limit.holds:
        _set_handler(_limit.allocator.capsule)


def spilled_bytes() -> tuple[int, int]:
    """Bytes on disk now, and at most."""
    if "allocator" not in vars(_limit):
        return 0, 0
    from vxlanalyze.memory import allocator

    state = _limit.allocator.state
    return int(state[allocator.SPILLED]), int(state[allocator.PEAK])


def _set_handler(capsule: Any) -> Any:
    """Make numpy allocate through a handler in this thread; give the previous one."""
    from numpy._core import multiarray

    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.argtypes, get_pointer.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_void_p
    table = ctypes.cast(get_pointer(multiarray._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[_SET_HANDLER])
    return set_handler(capsule)


def _make() -> _Allocator:
    from vxlanalyze.memory import allocator

    file = _file()
    state = allocator.state_of(file.fileno())
    handler = _Handler(b"vxlanalyze", 1, state.ctypes.data, *allocator.addresses())
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    new_capsule.restype = ctypes.py_object
    name = b"mem_handler"  # numpy looks for this name; a capsule keeps the pointer, not the text
    capsule = new_capsule(ctypes.addressof(handler), name, None)
    made = _Allocator(capsule, state, (file, handler, name))
    # Arrays may be freed last, when the interpreter ends: all of this must still exist.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    return made


def _file() -> IO[bytes]:
    import tempfile  # few runs have a limit

    directory = os.environ.get("TMPDIR") or _DIRECTORY
    try:
        file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  it lives as long as the process
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        os.truncate(file.fileno(), 0)
    except OSError as error:
        raise UsageError(
            f"{directory}: cannot hold what is above --memory: {error.strerror}; set TMPDIR to a directory "
            "with room"
        ) from None
    return file
