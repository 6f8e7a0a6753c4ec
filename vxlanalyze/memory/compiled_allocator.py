"""malloc, calloc, realloc and free of `allocator`, for the library of compiled functions.

They call the C library by name, resolved by the dynamic loader: glibc or musl.

Sources: NEP 49; mmap(2), fallocate(2), malloc_usable_size(3), pthread_mutex_lock(3).
"""

# The bodies of compiled functions have no types, nor has numba's inside:
# mypy: disable-error-code="no-untyped-call,untyped-decorator,attr-defined,call-overload"

import mmap
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import ENTRY_POINTS, compiled
from vxlanalyze.memory.allocator import (
    BASE,
    FILE,
    FIRST_SLOT,
    FREE,
    FUNCTIONS,
    LARGE_BYTES,
    LOCK,
    NEXT,
    PEAK,
    RESERVED,
    RESERVED_BYTES,
    SPILLED,
    STATE_WORDS,
    symbol,
)

_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_FIXED = 0x10  # MAP_FIXED
_READ_WRITE, _IN_FILE = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _FIXED
_NOTHING = RESERVED | _FIXED


def _c(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the C library, by name."""
    return types.ExternalFunction(name, result(*arguments))


_WORD, _INT = types.intp, types.int32
_malloc, _calloc = _c("malloc", _WORD, _WORD), _c("calloc", _WORD, _WORD, _WORD)
_realloc, _free = _c("realloc", _WORD, _WORD, _WORD), _c("free", types.void, _WORD)
_usable, _copy = _c("malloc_usable_size", _WORD, _WORD), _c("memcpy", _WORD, _WORD, _WORD, _WORD)
_map = _c("mmap", _WORD, _WORD, _WORD, _INT, _INT, _INT, _WORD)
_allocate = _c("fallocate", _INT, _INT, _INT, _WORD, _WORD)
_lock, _unlock = _c("pthread_mutex_lock", _INT, _WORD), _c("pthread_mutex_unlock", _INT, _WORD)


@compiled
def _counted(state: Any, address: Any, count: Any) -> Any:
    # Small arrays are not counted: they are covered by the reserve outside of the budget.
    if address != 0:
        size = np.int64(_usable(address))
        if size >= LARGE_BYTES:
            state[FREE] -= count * size
    return np.int64(address)


@compiled
def _fits(state: Any, size: Any) -> Any:
    return size < LARGE_BYTES or size <= state[FREE]


@compiled
def _spill(state: Any, size: Any) -> Any:
    length, at = (size + LARGE_BYTES - 1) // LARGE_BYTES * LARGE_BYTES, state[NEXT]
    if at + length > RESERVED_BYTES or _allocate(state[FILE], 0, at, length) != 0:
        return np.int64(0)
    address = np.int64(_map(state[BASE] + at, length, _READ_WRITE, _IN_FILE, state[FILE], at))
    if address != state[BASE] + at:
        return np.int64(0)
    state[NEXT] = at + length
    state[FIRST_SLOT + at // LARGE_BYTES] = length
    state[SPILLED] += length
    state[PEAK] = max(state[PEAK], state[SPILLED])
    return address


@compiled
def _spilled_length(state: Any, address: Any) -> Any:
    at = address - state[BASE]
    return state[FIRST_SLOT + at // LARGE_BYTES] if 0 <= at < RESERVED_BYTES else np.int64(0)


@compiled
def _release(state: Any, address: Any) -> None:
    length = _spilled_length(state, address)
    if length > 0:
        _map(address, length, 0, _NOTHING, -1, 0)
        _allocate(state[FILE], _PUNCH_HOLE_KEEP_SIZE, address - state[BASE], length)
        state[SPILLED] -= length
    else:
        _counted(state, address, -1)
        _free(address)


@compiled
def _get(state: Any, size: Any) -> Any:
    return _counted(state, _malloc(size), 1) if _fits(state, size) else _spill(state, size)


@compiled
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


@compiled("i8[] i8")
def malloc(state: NDArray[np.int64], size: int) -> int:
    """As malloc(3)."""
    _lock(state[LOCK])
    address: int = _get(state, size)
    _unlock(state[LOCK])
    return address


@compiled("i8[] i8 i8")
def calloc(state: NDArray[np.int64], count: int, size: int) -> int:
    """As calloc(3)."""
    _lock(state[LOCK])
    if _fits(state, count * size):
        address = _counted(state, _calloc(count, size), 1)
    else:
        address = _spill(state, count * size)  # new parts of the file read as zeros
    _unlock(state[LOCK])
    return address


@compiled("i8[] i8 i8")
def realloc(state: NDArray[np.int64], address: int, size: int) -> int:
    """As realloc(3)."""
    _lock(state[LOCK])
    moved: int = _moved(state, address, size)
    _unlock(state[LOCK])
    return moved


@compiled("i8[] i8 i8")
def free(state: NDArray[np.int64], address: int, size: int) -> int:
    """As free(3); numpy also passes the size."""
    if address != 0:
        _lock(state[LOCK])
        _release(state, address)
        _unlock(state[LOCK])
    return 0


def entry_points() -> str:
    """Generate, as LLVM assembly, the C functions called by numpy, which pass the state first.

    See `loader` for the arguments of compiled functions.
    """
    return "\n".join(_entry_point(kernel, count) for kernel, count in zip(FUNCTIONS, _NUMBERS, strict=True))


_NUMBERS = (1, 2, 2, 2)  # arguments of each of FUNCTIONS


def _entry_point(name: str, count: int) -> str:
    numbers = ", ".join(f"i64 %n{at}" for at in range(count))
    types_ = ", ".join("i64" for _ in range(count))
    compiled_name = f"memory_compiled_allocator_{name}"
    state = f"ptr null, ptr null, i64 {STATE_WORDS}, i64 8, ptr %state, i64 {STATE_WORDS}, i64 8"
    return f"""
        declare i32 @{compiled_name}(ptr, ptr, ptr, ptr, i64, i64, ptr, i64, i64, {types_})
        define i64 @{symbol(name)}(ptr %state, {numbers}) {{
            %result = alloca i64
            %exception = alloca ptr
            %status = call i32 @{compiled_name}(ptr %result, ptr %exception, {state}, {numbers})
            %value = load i64, ptr %result
            ret i64 %value
        }}"""


ENTRY_POINTS.append(entry_points)
