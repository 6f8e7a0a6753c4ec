"""Produce the same report as `pipeline.run` on the workers of a cluster.

Captures are read in stretches, each on a free worker; the stretches of a capture are joined; the packets to
be matched are partitioned by a hash of flow and packet, and matched partition by partition; one worker
combines the results and diagnoses them.
"""

import operator
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from vxlanalyze import diagnostics
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.dask import tasks
from vxlanalyze.dask.on_dask import Handle, OnDask
from vxlanalyze.dask.run_there import RunThere
from vxlanalyze.dask.tasks import DecodeSettings
from vxlanalyze.errors import UsageError
from vxlanalyze.pairing import strict
from vxlanalyze.pipeline import decoding
from vxlanalyze.pipeline.progress import Meter, Progress, silent
from vxlanalyze.pipeline.run import Questions
from vxlanalyze.report.model import Report
from vxlanalyze.wire.snap_lengths import common_bytes

_LARGEST_STRETCH_BYTES = 256 << 20  # bounds the input and output of one task, whatever the file


def compare(
    sources: Sequence[LogicalCapture],
    questions: Questions,
    workers: OnDask,
    *,
    digests: bool = True,
    plots: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Compare captures in path order and report what they show; see `run_there`.

    Parameters
    ----------
    plots : bool
        Whether the report includes the series for plots.
    """
    return run_there(sources, questions, workers, digests=digests, progress=progress).report(plots=plots)


def run_there(
    sources: Sequence[LogicalCapture],
    questions: Questions,
    workers: OnDask,
    *,
    digests: bool = True,
    progress: Progress | None = None,
) -> RunThere:
    """Compare captures in path order and diagnose what they show; the packets stay on a worker.

    Parameters
    ----------
    digests : bool
        Whether its report includes the files' SHA-256.

    Raises
    ------
    CaptureError
        A capture cannot be read on its worker.
    UsageError
        A code or a part of the traffic is invalid, or a capture is a stream.
    """
    diagnostics.require_codes((*(questions.select or ()), *questions.ignore))
    sums = [workers.start(tasks.sha256_of, source) for source in sources] if digests else []
    captures = decode(sources, questions.ports, workers, progress or silent)
    pairs = _matched(captures, workers)
    run = workers.start(tasks.conclude, captures, pairs, questions, sums)
    read = [workers.start(tasks.source_of, capture) for capture in captures]
    workers.keep([run, *read])
    return RunThere(workers, run, read, questions)


def decode(
    sources: Sequence[LogicalCapture], ports: Sequence[int], workers: OnDask, progress: Progress
) -> list[Handle]:
    """Have captures decoded so that all payload digests cover the same bytes.

    Returns
    -------
    list of handles
        Of a `tasks.DecodedCapture` each.
    """
    for source in sources:
        if source.is_stream:
            raise UsageError(f"{source.files[0].path}: workers cannot read a stream; save it to a file first")
    settings = DecodeSettings(tuple(ports), decoding.bytes_kept(sources))
    captures = _decoded(sources, settings, workers, progress)
    read = workers.results([workers.start(tasks.source_of, capture) for capture in captures])
    cut = workers.results([workers.start(tasks.cut_at_bytes, capture) for capture in captures])
    if common_bytes(read, cut) != settings.keep_inner_bytes:  # later frames are cut differently
        settings = DecodeSettings(settings.ports, common_bytes(read, cut))
        captures = _decoded(sources, settings, workers, progress)
    return captures


def _decoded(
    sources: Sequence[LogicalCapture], settings: DecodeSettings, workers: OnDask, progress: Progress
) -> list[Handle]:
    step_bytes = min(decoding.stretch_bytes(sources, workers.threads), _LARGEST_STRETCH_BYTES)
    captures = []
    for source in sources:
        meter = Meter(source.name, source.files, progress)
        parts = []
        for stretch in source.stretches(step_bytes):
            part = workers.start(tasks.decode_stretch, source, stretch, settings)
            end_bytes = min(stretch.end_bytes, source.files[stretch.file].bytes)
            part.add_done_callback(partial(_count, meter, end_bytes - stretch.begin_bytes))
            parts.append(part)
        captures.append(workers.start(tasks.join, source, parts, settings))
    return captures


def _count(meter: Meter, count: int, _: Handle) -> None:
    meter.add(count)


def _matched(captures: Sequence[Handle], workers: OnDask) -> list[list[Handle]]:
    """Have each capture matched with the next one; gives handles of the pairs of each partition."""
    parts = workers.threads
    flows = [workers.start(tasks.without_rows, capture) for capture in captures]
    seen = [
        workers.start(tasks.sightings, number, parts, capture, flows)
        for number, capture in enumerate(captures)
    ]
    parted = [[workers.start(operator.getitem, each, part) for part in range(parts)] for each in seen]
    return [
        [workers.start(strict.pairs, *both) for both in zip(here, there, strict=True)]
        for here, there in pairwise(parted)
    ]
