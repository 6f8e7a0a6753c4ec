"""Memory for numpy's arrays: in memory within a budget, above it in a file that is mapped.

Large arrays above the budget get addresses of a range that is reserved once, and the same place in the file.
Space in the file is allocated before it is used: a full disk makes an allocation fail, never a mapping that
breaks later. What is freed gives its pages and its space on disk back at once.

numpy calls these functions for every array, from several threads, sometimes without the interpreter lock: so
they are compiled, and one mutex guards their state. They reach the C library by address.

Sources: NEP 49; mmap(2), fallocate(2), malloc_usable_size(3), mallopt(3), pthread_mutex_lock(3).
"""

# The bodies of compiled functions have no types, nor has numba's inside:
# mypy: disable-error-code="no-untyped-call,untyped-decorator,attr-defined,call-overload"

import ctypes
import mmap
from typing import Any

import numba
import numpy as np
from numba import carray, cfunc, types
from numpy.typing import NDArray

from vxlanalyze.errors import UsageError

LARGE_BYTES = 128 << 10  # what glibc maps, and gives back, on its own
_RESERVED_BYTES = 8 << 40  # of addresses, not of memory; within a file of any usual file system
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_FIXED, _NO_RESERVE = 0x10, 0x4000  # MAP_FIXED, MAP_NORESERVE
_MAP_THRESHOLD = -3  # M_MMAP_THRESHOLD

# The first words of the state; behind them the length of what begins at each slot of LARGE_BYTES.
BASE, NEXT, FILE, FREE, SPILLED, PEAK, LOCK = range(7)  # LOCK: address of the mutex
_MUTEX, _FIRST_SLOT = 8, 16
_STATE_WORDS = _FIRST_SLOT + _RESERVED_BYTES // LARGE_BYTES


def _c(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the C library."""
    function = getattr(ctypes.CDLL(None), name)
    function.restype, function.argtypes = result, arguments
    return function


_WORD, _INT, _LONG = ctypes.c_size_t, ctypes.c_int, ctypes.c_long
_malloc, _calloc = _c("malloc", _WORD, _WORD), _c("calloc", _WORD, _WORD, _WORD)
_realloc, _free = _c("realloc", _WORD, _WORD, _WORD), _c("free", None, _WORD)
_usable, _copy = _c("malloc_usable_size", _WORD, _WORD), _c("memcpy", _WORD, _WORD, _WORD, _WORD)
_map = _c("mmap", _WORD, _WORD, _WORD, _INT, _INT, _INT, _LONG)
_allocate = _c("fallocate", _INT, _INT, _INT, _LONG, _LONG)
_lock, _unlock = _c("pthread_mutex_lock", _INT, _WORD), _c("pthread_mutex_unlock", _INT, _WORD)
_tune = _c("mallopt", _INT, _INT, _INT)

_READ_WRITE, _IN_FILE = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _FIXED
_RESERVED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
_NOTHING = _RESERVED | _FIXED

_part = numba.njit(no_cpython_wrapper=True)


def state_of(file: int) -> NDArray[np.int64]:
    """Make the state of an allocator that spills into an open file; its budget is 0.

    Raises
    ------
    UsageError
        Addresses cannot be reserved.
    """
    state = np.zeros(_STATE_WORDS, np.int64)  # pages of it that nobody writes take no memory
    address = _map(0, _RESERVED_BYTES, 0, _RESERVED, -1, 0)
    if address == ctypes.c_size_t(-1).value:
        raise UsageError("--memory: no addresses can be reserved; is `ulimit -v` set?")
    state[BASE], state[FILE] = address, file
    state[LOCK] = state.ctypes.data + _MUTEX * state.itemsize  # zeros are an initialised mutex
    # Else glibc would keep what is freed, up to 32 MB apiece.
    _tune(_MAP_THRESHOLD, LARGE_BYTES)
    return state


def change(state: NDArray[np.int64], by_bytes: int) -> None:
    """Change the budget."""
    _lock(int(state[LOCK]))
    state[FREE] += by_bytes
    _unlock(int(state[LOCK]))


@_part
def _counted(state: Any, address: Any, count: Any) -> Any:
    # Small arrays are not counted: what stands beside the budget is for them.
    if address != 0:
        size = np.int64(_usable(address))
        if size >= LARGE_BYTES:
            state[FREE] -= count * size
    return np.int64(address)


@_part
def _fits(state: Any, size: Any) -> Any:
    return size < LARGE_BYTES or size <= state[FREE]


@_part
def _spill(state: Any, size: Any) -> Any:
    length, at = (size + LARGE_BYTES - 1) // LARGE_BYTES * LARGE_BYTES, state[NEXT]
    if at + length > _RESERVED_BYTES or _allocate(state[FILE], 0, at, length) != 0:
        return np.int64(0)
    address = np.int64(_map(state[BASE] + at, length, _READ_WRITE, _IN_FILE, state[FILE], at))
    if address != state[BASE] + at:
        return np.int64(0)
    state[NEXT] = at + length
    state[_FIRST_SLOT + at // LARGE_BYTES] = length
    state[SPILLED] += length
    state[PEAK] = max(state[PEAK], state[SPILLED])
    return address


@_part
def _spilled_length(state: Any, address: Any) -> Any:
    at = address - state[BASE]
    return state[_FIRST_SLOT + at // LARGE_BYTES] if 0 <= at < _RESERVED_BYTES else np.int64(0)


@_part
def _release(state: Any, address: Any) -> None:
    length = _spilled_length(state, address)
    if length > 0:
        _map(address, length, 0, _NOTHING, -1, 0)
        _allocate(state[FILE], _PUNCH_HOLE_KEEP_SIZE, address - state[BASE], length)
        state[SPILLED] -= length
    else:
        _counted(state, address, -1)
        _free(address)


@_part
def _get(state: Any, size: Any) -> Any:
    return _counted(state, _malloc(size), 1) if _fits(state, size) else _spill(state, size)


@_part
def _moved(state: Any, address: Any, size: Any) -> Any:
    length = _spilled_length(state, address)
    held = np.int64(_usable(address)) if length == 0 and address != 0 else np.int64(0)
    if length == 0 and (size < LARGE_BYTES or size - held <= state[FREE]):
        _counted(state, address, -1)
        moved = np.int64(_realloc(address, size))
        _counted(state, moved if moved != 0 else address, 1)
        return moved
    moved = _get(state, size)
    if moved != 0:
        _copy(moved, address, min(size, length + held))
        _release(state, address)
    return moved


def functions() -> tuple[Any, ...]:
    """Compile malloc, calloc, realloc and free, as numpy calls them: with the address of the state first."""

    @cfunc(types.intp(types.voidptr, types.intp))
    def malloc(context: Any, size: Any) -> Any:
        state = carray(context, (_STATE_WORDS,), np.int64)
        _lock(state[LOCK])
        address = _get(state, size)
        _unlock(state[LOCK])
        return address

    @cfunc(types.intp(types.voidptr, types.intp, types.intp))
    def calloc(context: Any, count: Any, size: Any) -> Any:
        state = carray(context, (_STATE_WORDS,), np.int64)
        _lock(state[LOCK])
        if _fits(state, count * size):
            address = _counted(state, _calloc(count, size), 1)
        else:
            address = _spill(state, count * size)  # a new part of the file reads as zeros
        _unlock(state[LOCK])
        return address

    @cfunc(types.intp(types.voidptr, types.intp, types.intp))
    def realloc(context: Any, address: Any, size: Any) -> Any:
        state = carray(context, (_STATE_WORDS,), np.int64)
        _lock(state[LOCK])
        moved = _moved(state, address, size)
        _unlock(state[LOCK])
        return moved

    @cfunc(types.void(types.voidptr, types.intp, types.intp))
    def free(context: Any, address: Any, size: Any) -> None:
        state = carray(context, (_STATE_WORDS,), np.int64)
        if address != 0:
            _lock(state[LOCK])
            _release(state, address)
            _unlock(state[LOCK])

    return malloc, calloc, realloc, free
