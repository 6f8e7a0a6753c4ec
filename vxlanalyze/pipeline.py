"""The line from captures to a report: decode side by side, pair, diagnose, report.

Each step is a function of the one before; this module only joins them.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event

from vxlanalyze import diagnostics, memory, pairing, wire
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.stretches import Stretch
from vxlanalyze.cluster.model import Cluster
from vxlanalyze.diagnostics import Diagnosis
from vxlanalyze.pairing.model import CaptureFacts, Comparison
from vxlanalyze.pairing.part import Part, narrow
from vxlanalyze.pairing.strict import Pairs
from vxlanalyze.progress import Meter, Progress, Watched, unheard
from vxlanalyze.report.build import build
from vxlanalyze.report.model import Report
from vxlanalyze.wire.joining import DecodedStretch
from vxlanalyze.wire.model import Decoded

_STRETCHES_A_WORKER = 4
_LEAST_STRETCH_BYTES = 32 << 20  # smaller ones cost more to begin than they gain


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run, stage by stage."""

    sources: Sequence[LogicalCapture]
    comparison: Comparison
    diagnosis: Diagnosis
    digests: Mapping[str, Sequence[str]]

    def report(self, *, plots: bool = True) -> Report:
        """Make the report; `plots` is whether to gather the series that plots are drawn from."""
        return build(self.comparison, self.diagnosis, digests=self.digests, plots=plots)

    def with_digests(self) -> "Run":
        """Give the same with the SHA-256 of all files; raises CaptureError where a file has changed."""
        return self if self.digests else replace(self, digests={s.name: s.sha256() for s in self.sources})


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of the captures.

    Parameters
    ----------
    ports : sequence of int
        Further tunnel ports.
    part : Part
        The part of the traffic to look at.
    select, ignore : collections of codes
        Which diagnostics run; `select` None for all.
    """

    cluster: Cluster = field(default_factory=Cluster)
    ports: Sequence[int] = ()
    part: Part = field(default_factory=Part)
    select: Collection[str] | None = None
    ignore: Collection[str] = ()


def run(
    sources: Sequence[LogicalCapture],
    questions: Questions,
    *,
    jobs: int | None = None,
    digests: bool = True,
    progress: Progress | None = None,
    known: Mapping[str, Decoded] | None = None,
) -> Run:
    """Compare captures in path order and diagnose what they show.

    Parameters
    ----------
    sources : sequence of LogicalCapture
        Opened captures with unique names.
    jobs : int, optional
        Threads that decode; by default one a core. The report does not depend on it.
    digests : bool
        Whether to compute the SHA-256 of the files, on a thread beside.
    progress : Progress, optional
        Told how far each capture has been read.
    known : mapping, optional
        What was decoded before, whole and with the same ports, by capture name.

    Raises
    ------
    CaptureError
        A capture cannot be read.
    UsageError
        A code or a part of the traffic makes no sense.
    """
    diagnostics.demand_codes((*(questions.select or ()), *questions.ignore))
    with ThreadPoolExecutor(1) as beside, _stopped_by_errors() as stop:
        sums = {s.name: beside.submit(s.sha256, stop) for s in sources} if digests else {}
        decoded = decode_all(sources, questions.ports, jobs=jobs, progress=progress, known=known)
        done = conclude(sources, decoded, questions)
        return replace(done, digests={name: sum_.result() for name, sum_ in sums.items()})


def conclude(
    sources: Sequence[LogicalCapture],
    decoded: Sequence[Decoded],
    questions: Questions,
    *,
    pairs: Sequence[Iterable[Pairs]] | None = None,
    facts: Sequence[CaptureFacts] | None = None,
) -> Run:
    """Pair captures that were decoded, and diagnose what they show; see `run` and `pairing.pair`."""
    comparison = pairing.pair(
        list(zip(sources, decoded, strict=True)),
        cluster=questions.cluster,
        ports=questions.ports,
        pairs=pairs,
        facts=facts,
    )
    memory.give_back()
    comparison = narrow(comparison, questions.part)
    diagnosis = diagnostics.diagnose(comparison, questions.select, questions.ignore)
    return Run(sources, comparison, diagnosis, {})


def decode_all(
    sources: Sequence[LogicalCapture],
    ports: Sequence[int] = (),
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    known: Mapping[str, Decoded] | None = None,
) -> list[Decoded]:
    """Decode captures on threads, large ones in stretches; the payload digests of all cover the same bytes.

    Parameters
    ----------
    known : mapping, optional
        What was decoded before, whole and with the same ports, by capture name.

    Raises
    ------
    CaptureError
        A capture cannot be read.
    """
    kept = bytes_kept(sources)
    held = known or {} if kept is None else {}
    decoded = _decode_on_threads(sources, ports, kept, jobs, progress or unheard, held)
    cut = [pairing.cut_at_bytes(s, d.index) for s, d in zip(sources, decoded, strict=True)]
    if pairing.common_bytes(sources, cut) != kept:  # later sections or frames are cut otherwise
        kept = pairing.common_bytes(sources, cut)
        decoded = _decode_on_threads(sources, ports, kept, jobs, progress or unheard, {})
    memory.give_back()
    return decoded


def bytes_kept(sources: Sequence[LogicalCapture]) -> int | None:
    """How many bytes of each inner packet all captures kept, as their beginnings tell; None for all."""
    # Their first chunks make the interfaces known, with their snap lengths.
    first = [next(source.chunks(), None) for source in sources]
    return pairing.common_bytes(sources, [None if chunk is None else chunk.cut_at_bytes for chunk in first])


def _decode_on_threads(
    sources: Sequence[LogicalCapture],
    ports: Sequence[int],
    kept: int | None,
    jobs: int | None,
    progress: Progress,
    held: Mapping[str, Decoded],
) -> list[Decoded]:
    jobs = jobs or os.cpu_count() or 1
    step_bytes = stretch_bytes([s for s in sources if s.name not in held], jobs)

    def decoder(source: LogicalCapture) -> Callable[[Stretch], DecodedStretch]:
        meter = Meter(source.name, source.files, progress)
        return partial(
            wire.decode_stretch,
            source,
            ports=ports,
            keep_inner_bytes=kept,
            watched=lambda part: Watched(part, meter, stop),
        )

    with ThreadPoolExecutor(jobs, initializer=memory.adopt) as pool, _stopped_by_errors() as stop:
        work = {
            source.name: [pool.submit(decoder(source), part) for part in source.stretches(step_bytes)]
            for source in sources
            if source.name not in held
        }
        return [
            held[source.name]
            if source.name in held
            else wire.join_stretches(
                source,
                [part.result() for part in work.pop(source.name)],
                decoder(source),
                ports=ports,
                keep_inner_bytes=kept,
            )
            for source in sources
        ]


@contextmanager
def _stopped_by_errors() -> Iterator[Event]:
    """Give an event that threads look at; it is set when an error or an interrupt comes by."""
    stop = Event()
    try:
        yield stop
    except BaseException:
        stop.set()
        raise


def stretch_bytes(sources: Sequence[LogicalCapture], workers: int) -> int:
    """How large stretches are to be so that all workers are busy to the end; one worker takes whole files."""
    total_bytes = sum(file.bytes for source in sources for file in source.files)
    if workers == 1:
        return max(total_bytes, 1)
    return max(total_bytes // (workers * _STRETCHES_A_WORKER), _LEAST_STRETCH_BYTES)
