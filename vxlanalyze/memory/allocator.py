"""Memory for numpy's arrays: in RAM within a budget, above it in a mapped file.

Large arrays above the budget get addresses from a range that is reserved once, and the same offset in the
file. Space in the file is allocated before use: a full disk makes an allocation fail, rather than breaking a
mapping later. Freed arrays return their pages and disk space at once.

numpy calls malloc, calloc, realloc and free for every array, from several threads, sometimes without the
interpreter lock, so these are compiled (`compiled_allocator`), and one mutex guards their state.

Sources: NEP 49; mmap(2), mallopt(3), pthread_mutex_lock(3).
"""

import ctypes
import mmap
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.errors import UsageError
from vxlanalyze.kernels import loader

LARGE_BYTES = 128 << 10  # glibc maps and returns larger ones itself
RESERVED_BYTES = 8 << 40  # address space, not memory; within the file size limit of common file systems
MAP_NORESERVE = 0x4000
_MAP_THRESHOLD = -3  # M_MMAP_THRESHOLD

# The first words of the state, followed by the length of the array that begins at each slot of LARGE_BYTES.
BASE, NEXT, FILE, FREE, SPILLED, PEAK, LOCK = range(7)  # LOCK: address of the mutex
_MUTEX, FIRST_SLOT = 8, 16
STATE_WORDS = FIRST_SLOT + RESERVED_BYTES // LARGE_BYTES
RESERVED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE

FUNCTIONS = ("malloc", "calloc", "realloc", "free")


def symbol(name: str) -> str:
    """Name the compiled function in the library."""
    return f"vxlanalyze_{name}"


def _c(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the C library."""
    function = getattr(ctypes.CDLL(None), name)
    function.restype, function.argtypes = result, arguments
    return function


def state_of(file: int) -> NDArray[np.int64]:
    """Create the state of an allocator that spills into an open file; its budget is 0.

    Raises
    ------
    UsageError
        Addresses cannot be reserved.
    """
    state = np.zeros(STATE_WORDS, np.int64)  # unwritten pages of it take no memory
    word, integer = ctypes.c_size_t, ctypes.c_int
    map_ = _c("mmap", word, word, word, integer, integer, integer, ctypes.c_long)
    address = map_(0, RESERVED_BYTES, 0, RESERVED, -1, 0)
    if address == ctypes.c_size_t(-1).value:
        raise UsageError("--memory: no addresses can be reserved; is `ulimit -v` set?")
    state[BASE], state[FILE] = address, file
    state[LOCK] = state.ctypes.data + _MUTEX * state.itemsize  # zeros are an initialised mutex
    with suppress(AttributeError):  # musl has none, and retains less
        # Otherwise glibc would retain freed blocks, up to 32 MB each.
        _c("mallopt", integer, integer, integer)(_MAP_THRESHOLD, LARGE_BYTES)
    return state


def change(state: NDArray[np.int64], by_bytes: int) -> None:
    """Change the budget."""
    lock, unlock = (_c(f"pthread_mutex_{what}", ctypes.c_int, ctypes.c_size_t) for what in ("lock", "unlock"))
    lock(int(state[LOCK]))
    state[FREE] += by_bytes
    unlock(int(state[LOCK]))


def addresses() -> tuple[int, ...]:
    """Give the addresses of malloc, calloc, realloc and free as called by numpy, with the state first.

    Raises
    ------
    KernelError
        The library of compiled functions cannot be loaded.
    """
    library = loader.library()
    functions = [library[symbol(name)] for name in FUNCTIONS]
    return tuple(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
