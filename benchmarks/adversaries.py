"""Traffic that would be slow for a careless program: time must grow with the packets, not their square.

    python -m benchmarks.adversaries [CASE...]

prints what a frame of each kind of hostile traffic takes at two sizes, and fails where it takes over 1.5
times as much in the larger capture. Times are the processor's: other programs on the machine do not count.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vxlanalyze as vx
from benchmarks import hostile_traffic
from vxlanalyze.pairing import match

_FRAMES = (20_000, 80_000)
_MOST = 1.5

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


def frame_us(case: hostile_traffic.Case, frames: int) -> float:
    """What comparing two captures of it takes a frame, in microseconds of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        paths = hostile_traffic.write(case, frames, Path(folder))
        begin = time.process_time()
        str(vx.compare(*map(str, paths)))
        return (time.process_time() - begin) / frames * 1e6


def main(names: list[str]) -> int:
    """Measure all cases, or some by name; give the number of those that are not linear."""
    frame_us(hostile_traffic.one_flow, 1000)  # what is loaded at the first run
    print(f"{'us a frame':20}" + "".join(f"{n:>10,}" for n in _FRAMES) + "   larger/smaller")
    failed = 0
    for case in hostile_traffic.CASES:
        if names and case.__name__ not in names:
            continue
        small, large = (frame_us(case, frames) for frames in _FRAMES)
        failed += large > _MOST * small
        verdict = "TOO SLOW" if large > _MOST * small else ""
        print(f"{case.__name__:20}{small:10.1f}{large:10.1f}{large / small:10.2f}  {verdict}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
