"""Compare all pairs of nodes of a cluster, on this machine or on Dask workers.

Each capture is decoded once. Its addresses show which pairs of nodes have traffic; each of these is compared
like any two captures.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from vxlanalyze import diagnostics
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.dask import tasks
from vxlanalyze.dask.compare import decode
from vxlanalyze.dask.on_dask import OnDask
from vxlanalyze.errors import UsageError
from vxlanalyze.pairing import nodes
from vxlanalyze.pairing.between import without_peers
from vxlanalyze.pairing.capture_facts import capture_facts
from vxlanalyze.pairing.nodes import NodeEvidence
from vxlanalyze.pipeline import run as pipeline
from vxlanalyze.pipeline.decoding import decode_all
from vxlanalyze.pipeline.progress import Progress, silent
from vxlanalyze.pipeline.run import Questions
from vxlanalyze.report.matrix.build import build
from vxlanalyze.report.matrix.model import Matrix
from vxlanalyze.report.model import Report


class Together(NamedTuple):
    """Captures to be compared, two or a single one, and the addresses of all other nodes."""

    nodes: tuple[int, ...]
    peers: frozenset[str]


def compare_nodes(
    sources: Sequence[LogicalCapture],
    questions: Questions,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Matrix:
    """Compare all pairs of nodes on this machine.

    Parameters
    ----------
    sources : sequence of LogicalCapture
        One for each node, opened, with unique names.

    Raises
    ------
    CaptureError
        A capture cannot be read.
    UsageError
        There are fewer than two, or a code or a part of the traffic is invalid.
    """
    _require_sense(sources, questions)
    decoded = decode_all(sources, questions.ports, jobs=jobs, progress=progress)

    facts = [capture_facts(*capture) for capture in zip(sources, decoded, strict=True)]

    def reports(questions_: Questions, pairs: Sequence[Together]) -> list[Report]:
        return [
            pipeline.conclude(
                [sources[i] for i in pair.nodes],
                [without_peers(decoded[i], pair.peers) for i in pair.nodes],
                questions_,
                facts=[facts[i] for i in pair.nodes],
            ).report(plots=False)
            for pair in pairs
        ]

    return _matrix(
        [nodes.sight(*capture) for capture in zip(sources, decoded, strict=True)], questions, reports
    )


def compare_nodes_there(
    sources: Sequence[LogicalCapture],
    questions: Questions,
    workers: OnDask,
    *,
    progress: Progress | None = None,
) -> Matrix:
    """Compare all pairs of nodes on a cluster, each pair on a free worker; see `compare_nodes`."""
    _require_sense(sources, questions)
    captures = decode(sources, questions.ports, workers, progress or silent)

    def reports(questions_: Questions, pairs: Sequence[Together]) -> list[Report]:
        parts = [
            [workers.start(tasks.part_of, captures[i], pair.peers) for i in pair.nodes] for pair in pairs
        ]
        return workers.results([workers.start(tasks.report_of_parts, both, questions_) for both in parts])

    observed: list[NodeEvidence] = workers.results(
        [workers.start(tasks.sight, capture) for capture in captures]
    )
    return _matrix(observed, questions, reports)


def _require_sense(sources: Sequence[LogicalCapture], questions: Questions) -> None:
    if len(sources) < 2:
        raise UsageError(
            "a matrix needs the captures of two nodes or more: a directory of them, or NAME=FILE each"
        )
    diagnostics.require_codes((*(questions.select or ()), *questions.ignore))


def _matrix(
    observed: Sequence[NodeEvidence],
    questions: Questions,
    reports: Callable[[Questions, Sequence[Together]], list[Report]],
) -> Matrix:
    homes = nodes.homes(observed, questions.cluster)
    pairs: list[tuple[int, ...]] = [*nodes.concerned(observed, homes)]
    pairs += [(i,) for i in range(len(observed)) if not any(i in pair for pair in pairs)]
    with_homes = replace(questions, cluster=nodes.with_homes(questions.cluster, observed, homes))
    names = [each.name for each in observed]
    together = [Together(pair, _others(homes, {names[i] for i in pair})) for pair in pairs]
    return build(names, reports(with_homes, together))


def _others(homes: Mapping[str, frozenset[str]], pair: Collection[str]) -> frozenset[str]:
    """Addresses of the nodes outside of a pair."""
    own = frozenset[str]().union(*(homes[name] for name in pair if name in homes))
    return frozenset[str]().union(*homes.values()) - own
