"""How the C library's allocator keeps freed memory: a run allocates and frees large arrays all the time.

By default, glibc maps and unmaps each array of more than 128 KiB, and the kernel clears its pages anew: a
tenth of a run on millions of packets. Here they come from one heap, whose freed pages are used again.

Source: mallopt(3), malloc_trim(3), of glibc; others have neither.
"""

import ctypes
from collections.abc import Callable
from typing import cast

# Of glibc's malloc.h:
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20  # glibc refuses more


def reuse_freed() -> None:
    """Keep freed memory for what is allocated next, until `trim`; before threads start, and for good."""
    mallopt = _of_c_library("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)  # a thread's own arena has room for no large array
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        mallopt(_M_TOP_PAD, 64 << 20)


def trim() -> None:
    """Return freed memory to the system: the C library retains it.

    A stage frees thousands of chunks, which between stages can be a third of the memory in use.
    """
    malloc_trim = _of_c_library("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_c_library(name: str) -> Callable[..., int] | None:
    return cast("Callable[..., int] | None", getattr(ctypes.CDLL(None), name, None))
