"""Traffic that would be slow for a careless matcher: time must grow with the packets, not their square."""

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import match

_SIZES = (250_000, 500_000, 1_000_000)


def _flood(n: int) -> NDArray[np.uint64]:
    return np.full(n, 0x1234, np.uint64)


def _few_keys(n: int) -> NDArray[np.uint64]:
    return (np.arange(n, dtype=np.uint64) % np.uint64(7)) * np.uint64(0x9E3779B97F4A7C15)


def _distinct(n: int) -> NDArray[np.uint64]:
    return np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


CASES = {"one key for all packets": _flood, "seven keys": _few_keys, "all keys distinct": _distinct}


def measure() -> None:
    """Print the seconds of matching each kind at growing sizes, a tenth lost."""
    print("\nmatching, seconds by packets (a tenth lost, in random order of arrival)")
    print(f"  {'':28}" + "".join(f"{n:>12,}" for n in _SIZES))
    rng = np.random.default_rng(1)
    for name, make in CASES.items():
        cells = []
        for n in _SIZES:
            keys, times = make(n), np.arange(n, dtype=np.int64) * 1000
            kept = np.flatnonzero(rng.random(n) >= 0.1)
            arrival = times[kept] + rng.integers(100_000, 300_000, len(kept))
            seconds = []
            for _ in range(3):
                start = time.perf_counter()
                match.unique(keys, keys[kept])
                match.assign(keys, times, keys[kept], arrival, 0, 1_000_000)
                seconds.append(time.perf_counter() - start)
            cells.append(statistics.median(seconds))
        print(f"  {name:28}" + "".join(f"{s:12.3f}" for s in cells))
