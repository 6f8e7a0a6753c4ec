"""Traffic that would be slow for a careless program: time must grow with the packets, not their square.

    python -m benchmarks.adversaries [--write] [CASE...]

prints what a frame of each kind of hostile traffic takes at two sizes, through the whole command with a
report as text, JSON and HTML, and fails where it takes over 1.5 times as much in the larger capture. What a
run of the smallest capture takes is subtracted. Clocks that contradict each other are compared with good
ones, and fail where they take over 1.2 times as much. Times are the processor's: other programs on the
machine do not count. `--write` renews the tables of docs/scale.md from this run.
"""

import contextlib
import io
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.hostile import names, slots, traffic
from benchmarks.hostile.frames import Case, write
from vxlanalyze.command import cli
from vxlanalyze.pairing import match

CASES: tuple[Case, ...] = (*traffic.CASES, *names.CASES, *slots.CASES)
_SMALLEST, SMALL, LARGE = 200, 20_000, 80_000
MOST = 1.5
MOST_OF_CLOCKS = 1.2
_LEAST_US = 1.0  # a frame: below, what is measured is noise
_TIMES = 3  # a clock is measured, in turns with good ones

DOCUMENT = Path(__file__).parent.parent / "docs" / "scale.md"
BEGIN, END = "<!-- python -m benchmarks.adversaries --write -->", "<!-- end of that run -->"

_SIZES = (250_000, 500_000, 1_000_000)


class Figure(NamedTuple):
    """What a case takes, in microseconds of the processor a frame, and where that is too much."""

    name: str
    small: float
    large: float
    most: float

    @property
    def ratio(self) -> float:
        """How much more a frame takes in the larger capture, or by the worse clock."""
        return self.large / max(self.small, _LEAST_US)


def _flood(n: int) -> NDArray[np.uint64]:
    return np.full(n, 0x1234, np.uint64)


def _few_keys(n: int) -> NDArray[np.uint64]:
    return (np.arange(n, dtype=np.uint64) % np.uint64(7)) * np.uint64(0x9E3779B97F4A7C15)


def _distinct(n: int) -> NDArray[np.uint64]:
    return np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


KEYS = {"one key for all packets": _flood, "seven keys": _few_keys, "all keys distinct": _distinct}


_LIMITS = match.Limits(np.int64(0), np.int64(1_000_000))


def measure() -> None:
    """Print the seconds of matching each kind at growing sizes, a tenth lost."""
    print("\nmatching, seconds by packets (a tenth lost, in random order of arrival)")
    print(f"  {'':28}" + "".join(f"{n:>12,}" for n in _SIZES))
    rng = np.random.default_rng(1)
    for name, make in KEYS.items():
        cells = []
        for n in _SIZES:
            keys, times = make(n), np.arange(n, dtype=np.int64) * 1000
            kept = np.flatnonzero(rng.random(n) >= 0.1)
            arrival = times[kept] + rng.integers(100_000, 300_000, len(kept))
            sent, received = match.Keyed(keys, times), match.Keyed(keys[kept], arrival)
            seconds = []
            for _ in range(3):
                start = time.perf_counter()
                match.unique(keys, keys[kept])
                match.assign(sent, received, _LIMITS)
                seconds.append(time.perf_counter() - start)
            cells.append(statistics.median(seconds))
        print(f"  {name:28}" + "".join(f"{s:12.3f}" for s in cells))


def seconds(case: Case, frames: int, suffixes: Sequence[str] = ("json", "html")) -> float:
    """What the command takes for two captures of it, in seconds of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(path) for path in write(case, frames, Path(folder))]
        beside = names.BESIDE[case](frames, Path(folder)) if case in names.BESIDE else []
        written = [f"--output={folder}/r.{suffix}" for suffix in suffixes]
        out = io.TextIOWrapper(io.BytesIO(), "utf-8")
        begin = time.process_time()
        with contextlib.redirect_stdout(out):
            status = cli.main([*paths, *beside, *written])
        took = time.process_time() - begin
    if status != 0:
        raise SystemExit(f"{case.__name__}: ended with {status}")
    return took


def of_sizes(case: Case) -> Figure:
    """Compare what a frame takes in a small capture and in a large one."""
    fixed = seconds(case, _SMALLEST)
    small, large = ((seconds(case, n) - fixed) / (n - _SMALLEST) * 1e6 for n in (SMALL, LARGE))
    return Figure(case.__name__, max(small, 0), max(large, 0), MOST)


def of_clocks(case: Case) -> Figure:
    """Compare what a frame takes by good clocks and by bad ones, of equal traffic.

    Without pictures: that of a packet which is out of order is one, however many there are.
    """
    of = (traffic.two_ways, case)
    turns = [[seconds(each, LARGE, ("json",)) for each in of] for _ in range(_TIMES)]
    good, bad = (min(taken) / LARGE * 1e6 for taken in zip(*turns, strict=True))
    return Figure(case.__name__, good, bad, MOST_OF_CLOCKS)


def figures(wanted: Collection[str]) -> Iterator[Figure]:
    """Measure all cases, or some by name."""
    seconds(traffic.one_flow, _SMALLEST)  # what is loaded at the first run
    for measured, cases in ((of_sizes, CASES), (of_clocks, traffic.CLOCKS)):
        yield from (measured(case) for case in cases if not wanted or case.__name__ in wanted)


def tables(found: Sequence[Figure]) -> str:
    """Write the figures for docs/scale.md."""
    machine = f"{os.cpu_count()} cores ({platform.machine()}) that others used as well"
    sizes = [f for f in found if f.most == MOST]
    clocks = [f for f in found if f.most == MOST_OF_CLOCKS]
    lines = [f"Run of {date.today():%Y-%m-%d} on {machine}.", ""]
    lines += [
        f"| traffic | {SMALL:,} frames | {LARGE:,} frames | larger/smaller |",
        "| --- | --- | --- | --- |",
    ]
    lines += map(_row, sizes)
    lines += ["", "| clocks | good ones | these | these/good |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *map(_row, clocks)])


def _row(figure: Figure) -> str:
    cells = f"{figure.small:.1f} | {figure.large:.1f} | {figure.ratio:.2f}"
    return f"| {figure.name.replace('_', ' ')} | {cells} |"


def write_down(found: Sequence[Figure]) -> None:
    """Put the tables of a run in the place of those in the documentation."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{tables(found)}\n{END}{after}")


def main(arguments: list[str]) -> int:
    """Print the figures; give the number of those that are too high."""
    wanted = [a for a in arguments if a != "--write"]
    found = []
    print(f"{'us a frame':24}{SMALL:>10,}{LARGE:>10,}   larger/smaller; clocks: good, bad, bad/good")
    failed = 0
    for figure in figures(wanted):
        slow = figure.ratio > figure.most
        failed += slow
        cells = f"{figure.small:10.1f}{figure.large:10.1f}{figure.ratio:10.2f}"
        print(f"{figure.name:24}{cells}  {'TOO SLOW' if slow else ''}".rstrip(), flush=True)
        found.append(figure)
    if "--write" in arguments and not wanted:
        write_down(found)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
