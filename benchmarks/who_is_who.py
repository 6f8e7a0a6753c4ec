"""Measure what telling who is who costs where nothing needs it: pairing with the further passes and without.

    python -m benchmarks.who_is_who [--packets N] [--runs R]

The common case is generated: two nodes with one address each, unicast, nothing translated or mirrored. Both
ways of pairing run in turns in one process, so that both see the same machine. Medians of the processor's
time and their ratio are printed, and the time of each pass by itself.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.generate import generate
from vxlanalyze import pairing
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import dead_ends, homes, own_tables, ownership, translation
from vxlanalyze.pairing.home import NOBODY
from vxlanalyze.pipeline.decoding import decode_all
from vxlanalyze.wire import mirrors

PASSES: tuple[tuple[object, str, Callable[..., object]], ...] = (
    (translation, "joined", lambda c, _=None: translation.Translated(c, None, np.zeros(0, np.uint64))),
    (homes, "_extend", lambda *_: None),
    (homes, "_contradict", lambda *_: None),
    (own_tables, "stated", lambda main, *_: [NOBODY] * len(main)),
    (ownership, "is_plain", lambda _: True),
    (dead_ends, "between", lambda bare, *_: np.zeros(len(bare.decoded.flows), np.bool_)),
)


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.who_is_who", description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = open_sources([str(p) for p in generate(Path(folder), asked.packets)])
        captures: list[tuple[Any, Any]] = list(zip(sources, decode_all(sources, ()), strict=True))
        taken: dict[str, list[float]] = {}
        for _ in range(asked.runs):
            with without_passes():
                taken.setdefault("pairing without the passes", []).append(seconds(captures))
            with timed(taken):
                taken.setdefault("pairing with them", []).append(seconds(captures))
            began = time.thread_time()
            for source in sources:
                mirrors.points(source)
            taken.setdefault("search for mirrors", []).append(time.thread_time() - began)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:45} {1000 * median:9.2f} ms")
    ratios = [
        b / a for a, b in zip(taken["pairing without the passes"], taken["pairing with them"], strict=True)
    ]
    print(f"{'ratio (median of the runs)':45} {statistics.median(ratios):9.3f}")


def seconds(captures: list[tuple[Any, Any]]) -> float:
    """Pair them once."""
    began = time.process_time()
    pairing.pair(captures)
    return time.process_time() - began


@contextmanager
def without_passes() -> Iterator[None]:
    """Leave the passes out."""
    with ExitStack() as stack:
        for module, name, instead in PASSES:
            stack.enter_context(mock.patch.object(module, name, instead))
        yield


@contextmanager
def timed(taken: dict[str, list[float]]) -> Iterator[None]:
    """Measure each pass by itself."""
    with ExitStack() as stack:
        for module, name, _ in PASSES:
            label = f"{module.__name__.rpartition('.')[2]}.{name}"  # type: ignore[attr-defined]
            stack.enter_context(
                mock.patch.object(module, name, _clocked(getattr(module, name), taken, label))
            )
        yield


def _clocked(real: Callable[..., object], taken: dict[str, list[float]], label: str) -> Callable[..., object]:
    def measured(*arguments: object) -> object:
        began = time.thread_time()
        try:
            return real(*arguments)
        finally:
            taken.setdefault(label, []).append(time.thread_time() - began)

    return measured


if __name__ == "__main__":
    main()
