"""Decode captures in parallel, large ones in stretches."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event

from vxlanalyze import wire
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.stretches import Stretch
from vxlanalyze.memory import heap
from vxlanalyze.memory import limit as memory
from vxlanalyze.pipeline import rotated
from vxlanalyze.pipeline.progress import Meter, Progress, Watched, silent
from vxlanalyze.wire.joining import DecodedStretch
from vxlanalyze.wire.model import Decoded
from vxlanalyze.wire.snap_lengths import common_bytes, cut_at_bytes

_STRETCHES_A_WORKER = 4
_ABOUT_EQUAL = 1.05  # sizes of files, of which each worker takes one
_LEAST_STRETCH_BYTES = 32 << 20  # smaller ones cost more to set up than they gain


def decode_all(
    sources: Sequence[LogicalCapture],
    ports: Sequence[int] = (),
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    known: Mapping[str, Decoded] | None = None,
) -> list[Decoded]:
    """Decode captures on threads, large ones in stretches; all payload digests cover the same bytes.

    Parameters
    ----------
    known : mapping, optional
        Captures that were already decoded, in full and with the same ports, by name.

    Raises
    ------
    CaptureError
        A capture cannot be read.
    UsageError
        The files of one capture were taken on several nodes.
    """
    with decoding(sources, ports, jobs=jobs, progress=progress, known=known) as decoded:
        return decoded()


@contextmanager
def decoding(
    sources: Sequence[LogicalCapture],
    ports: Sequence[int] = (),
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    known: Mapping[str, Decoded] | None = None,
) -> Iterator[Callable[[], list[Decoded]]]:
    """Run `decode_all` in the background; give a function that waits for its result."""
    with ThreadPoolExecutor(1, initializer=memory.join_limit) as pool, stopped_by_errors() as stop:
        work = _Work(sources, ports, jobs or os.cpu_count() or 1, progress or silent, stop)
        yield pool.submit(_decode_all, work, known or {}).result


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be decoded, and how."""

    sources: Sequence[LogicalCapture]
    ports: Sequence[int]
    jobs: int
    progress: Progress
    stop: Event


def _decode_all(work: _Work, known: Mapping[str, Decoded]) -> list[Decoded]:
    sources = work.sources
    kept = bytes_kept(sources)
    decoded = _decode_on_threads(work, kept, known if kept is None else {})
    cut = [cut_at_bytes(s, d.index) for s, d in zip(sources, decoded, strict=True)]
    if common_bytes(sources, cut) != kept:  # later sections or frames are truncated differently
        decoded = _decode_on_threads(work, common_bytes(sources, cut), {})
    for source, capture in zip(sources, decoded, strict=True):
        rotated.require_one_node(source, capture)
    heap.trim()
    return decoded


def bytes_kept(sources: Sequence[LogicalCapture]) -> int | None:
    """Number of bytes of each inner packet kept by all captures, judged by their beginnings; None for all."""
    # Their first chunks reveal the interfaces with their snap lengths.
    first = [next(source.chunks(), None) for source in sources]
    return common_bytes(sources, [None if chunk is None else chunk.cut_at_bytes for chunk in first])


def _decode_on_threads(work: _Work, kept: int | None, held: Mapping[str, Decoded]) -> list[Decoded]:
    """Decode all captures but those `held`, with digests of the `kept` bytes."""
    step_bytes = stretch_bytes([s for s in work.sources if s.name not in held], work.jobs)

    def decoder(source: LogicalCapture) -> Callable[[Stretch], DecodedStretch]:
        meter = Meter(source.name, source.files, work.progress)
        return partial(
            wire.decode_stretch,
            source,
            ports=work.ports,
            keep_inner_bytes=kept,
            watched=lambda part: Watched(part, meter, work.stop),
        )

    with ThreadPoolExecutor(work.jobs, initializer=memory.join_limit) as pool, stopped_by_errors(work.stop):
        parts = {
            source.name: [pool.submit(decoder(source), part) for part in source.stretches(step_bytes)]
            for source in work.sources
            if source.name not in held
        }
        return [
            held[source.name]
            if source.name in held
            else wire.join_stretches(
                source,
                [part.result() for part in parts.pop(source.name)],
                decoder(source),
                ports=work.ports,
                keep_inner_bytes=kept,
            )
            for source in work.sources
        ]


@contextmanager
def stopped_by_errors(stop: Event | None = None) -> Iterator[Event]:
    """Give an event for threads to check, set when an error or an interrupt occurs."""
    stop = stop or Event()
    try:
        yield stop
    except BaseException:
        stop.set()
        raise


def stretch_bytes(sources: Sequence[LogicalCapture], workers: int) -> int:
    """Stretch size that keeps all workers busy to the end; whole files need not be joined."""
    sizes = [file.bytes for source in sources for file in source.files]
    if workers == 1 or (len(sizes) == workers and max(sizes) <= _ABOUT_EQUAL * min(sizes)):
        return max(sum(sizes), 1)
    return max(sum(sizes) // (workers * _STRETCHES_A_WORKER), _LEAST_STRETCH_BYTES)
