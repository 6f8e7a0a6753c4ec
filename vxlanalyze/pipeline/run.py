"""The pipeline from captures to a report: decode in parallel, pair, diagnose, report.

Each step is a function of the previous one; this module only connects them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from vxlanalyze import diagnostics, pairing
from vxlanalyze.analysis.loss import stated_drops
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.diagnostics import Diagnosis
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.memory import heap
from vxlanalyze.pairing.model import CaptureFacts, Comparison
from vxlanalyze.pairing.part import Part, narrow
from vxlanalyze.pairing.strict import Pairs
from vxlanalyze.pipeline import other_cluster
from vxlanalyze.pipeline.decoding import decoding, stopped_by_errors
from vxlanalyze.pipeline.naming import named_by_node
from vxlanalyze.pipeline.progress import Progress
from vxlanalyze.planning import next_probe
from vxlanalyze.report.build import build
from vxlanalyze.report.model import Report
from vxlanalyze.wire.model import Decoded


@dataclass(frozen=True, slots=True)
class Run:
    """The results of one run, stage by stage."""

    sources: Sequence[LogicalCapture]
    comparison: Comparison
    diagnosis: Diagnosis
    digests: Mapping[str, Sequence[str]]

    def report(self, *, plots: bool = True) -> Report:
        """Build the report; `plots` is whether to compute the series for plots."""
        built = build(self.comparison, self.diagnosis, digests=self.digests, plots=plots)
        return next_probe.with_open(built)

    def with_digests(self) -> "Run":
        """Give a copy with the SHA-256 of all files; raises CaptureError if a file has changed."""
        return self if self.digests else replace(self, digests={s.name: s.sha256() for s in self.sources})


@dataclass(frozen=True, slots=True)
class Questions:
    """The options of an analysis.

    Parameters
    ----------
    ports : sequence of int
        Further tunnel ports.
    part : Part
        The part of the traffic to analyse.
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
        Decoding threads; by default one per core. The report does not depend on it.
    digests : bool
        Whether to compute the SHA-256 of the files, on a separate thread.
    progress : Progress, optional
        Receives the progress of each capture.
    known : mapping, optional
        Captures that were already decoded, in full and with the same ports, by name.

    Raises
    ------
    CaptureError
        A capture cannot be read.
    UsageError
        A code or a part of the traffic is invalid.
    """
    decode = decoding(sources, questions.ports, jobs=jobs, progress=progress, known=known)
    with decode as decoded:
        return finish(sources, questions, decoded, digests=digests)


def finish(
    sources: Sequence[LogicalCapture],
    questions: Questions,
    decoded: Callable[[], Sequence[Decoded]],
    *,
    digests: bool = True,
) -> Run:
    """Like `run`, with decoding done elsewhere: `decoded` waits for it and gives its result."""
    diagnostics.require_codes((*(questions.select or ()), *questions.ignore))
    with ThreadPoolExecutor(1) as background, stopped_by_errors() as stop:
        sums = [background.submit(s.sha256, stop) for s in sources] if digests else []
        done = conclude(sources, decoded(), questions)
        names = [source.name for source in done.sources]  # those from pipes only have names now
        return replace(done, digests={name: sum_.result() for name, sum_ in zip(names, sums, strict=digests)})


def conclude(
    sources: Sequence[LogicalCapture],
    decoded: Sequence[Decoded],
    questions: Questions,
    *,
    pairs: Sequence[Iterable[Pairs]] | None = None,
    facts: Sequence[CaptureFacts] | None = None,
) -> Run:
    """Pair decoded captures and diagnose them; see `run` and `pairing.pair`."""
    cluster = other_cluster.left_out(questions.cluster, decoded, [source.name for source in sources])

    def paired(sources: Sequence[LogicalCapture]) -> Comparison:
        captures = list(zip(sources, decoded, strict=True))
        return pairing.pair(captures, cluster=cluster, ports=questions.ports, pairs=pairs, facts=facts)

    comparison = paired(sources)
    named = named_by_node(sources, comparison)
    if named != list(sources):
        sources, comparison = named, paired(named)
    heap.trim()
    comparison = stated_drops.credited(narrow(comparison, questions.part))
    diagnosis = diagnostics.diagnose(comparison, questions.select, questions.ignore)
    return Run(sources, comparison, diagnosis, {})
