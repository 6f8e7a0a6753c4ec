"""The line from captures to a report: decode side by side, pair, diagnose, report.

Each step is a function of the one before; this module only joins them.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event

from vxlanalyze import diagnostics, pairing, wire
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.model import Source
from vxlanalyze.cluster.facts import read_facts
from vxlanalyze.cluster.gather import with_facts
from vxlanalyze.cluster.kube import read_kube
from vxlanalyze.cluster.model import Cluster, Fact
from vxlanalyze.diagnostics import Diagnosis
from vxlanalyze.errors import UsageError
from vxlanalyze.nearest import nearest
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.pairing.part import Part, narrow
from vxlanalyze.progress import Progress, Watched
from vxlanalyze.report.build import build
from vxlanalyze.report.model import Report
from vxlanalyze.wire.model import Decoded


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
        Threads that decode, one capture each; by default one a core.
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
    with ThreadPoolExecutor(1) as beside:
        sums = {s.name: beside.submit(s.sha256) for s in sources} if digests else {}
        decoded = decode_all(sources, questions.ports, jobs=jobs, progress=progress, known=known)
        comparison = pairing.pair(
            list(zip(sources, decoded, strict=True)), cluster=questions.cluster, ports=questions.ports
        )
        comparison = narrow(comparison, questions.part)
        diagnosis = diagnostics.diagnose(comparison, questions.select, questions.ignore)
        return Run(sources, comparison, diagnosis, {name: sum_.result() for name, sum_ in sums.items()})


def decode_all(
    sources: Sequence[Source],
    ports: Sequence[int] = (),
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    known: Mapping[str, Decoded] | None = None,
) -> list[Decoded]:
    """Decode captures side by side on threads; the payload digests of all cover the same bytes.

    Parameters
    ----------
    known : mapping, optional
        What was decoded before, whole and with the same ports, by capture name.

    Raises
    ------
    CaptureError
        A capture cannot be read.
    """
    for source in sources:
        next(source.chunks(), None)  # its first chunk makes the interfaces known, with their snap lengths
    kept = pairing.common_bytes(sources)
    stop = Event()

    def decode(source: Source) -> Decoded:
        if kept is None and known and source.name in known:
            return known[source.name]
        watched = Watched(source, progress or _unheard, stop)
        return wire.decode(watched, ports=ports, keep_inner_bytes=kept)

    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        try:
            decoded = list(pool.map(decode, sources))
            if pairing.common_bytes(sources) != kept:  # a later section of a pcapng has another snap length
                kept = pairing.common_bytes(sources)
                decoded = list(pool.map(decode, sources))
        except BaseException:
            stop.set()
            raise
    return decoded


def read_cluster(kube: str | None, facts: Iterable[tuple[str, str]], captures: Collection[str]) -> Cluster:
    """Read what the cluster says of itself.

    Parameters
    ----------
    kube : str or None
        File of kubectl's JSON.
    facts : iterable of (capture name, directory)
        What was saved beside captures.
    captures : collection of str
        Names of the captures.

    Raises
    ------
    UsageError
        A file cannot be read, or a name is not that of a capture.
    """
    cluster = Cluster() if kube is None else read_kube(kube)
    tables: list[Fact] = []
    for name, directory in facts:
        if name not in captures:
            raise UsageError(
                f"--facts {name}={directory}: no capture is called {name}{nearest(name, captures)}"
            )
        tables += read_facts(name, directory)
    return with_facts(cluster, tables) if tables else cluster


def _unheard(name: str, done_bytes: int, total_bytes: int | None) -> None:
    """Nobody listens."""
