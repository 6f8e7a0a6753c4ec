"""Compare captures, from Python."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from vxlanalyze.api.capture import Capture
from vxlanalyze.api.questions import PathLike, opened, questions_of
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.memory.limit import limited, size_bytes
from vxlanalyze.pipeline import run as pipeline

if TYPE_CHECKING:
    from distributed import Client

    from vxlanalyze.dask.run_there import RunThere
from vxlanalyze.api.comparison import Comparison


def compare(
    *captures: PathLike | Capture,
    names: Sequence[str] | None = None,
    kube: PathLike | None = None,
    facts: Mapping[str, PathLike] | None = None,
    ports: Sequence[int] = (),
    since: str | float | None = None,
    until: str | float | None = None,
    only: Sequence[str] = (),
    select: Collection[str] | None = None,
    ignore: Collection[str] = (),
    jobs: int | None = None,
    memory: str | int | None = None,
    client: "Client | None" = None,
) -> Comparison:
    """Compare captures given in path order, the sender's node first.

    Parameters
    ----------
    *captures : path or Capture
        Files, directories, globs, comma-separated rotated sets, archives (also ``ARCHIVE/FOLDER``), or
        results of `read`.
    names : sequence of str, optional
        Names of the points, for paths.
    kube : path, optional
        JSON of ``kubectl get nodes,pods,services -A -o json``.
    facts : mapping, optional
        Directory of the files saved on a node, by the name of its capture; by default from archives among the
        captures.
    ports : sequence of int
        Further tunnel ports.
    since, until : str or float, optional
        RFC 3339, or seconds from the first capture's first frame.
    only : sequence of str
        Terms such as ``host=10.0.0.1`` or ``port=53``, all of which must match.
    select, ignore : collections of str
        Codes of diagnostics to run, and not to run.
    jobs : int, optional
        Reading threads; by default one per core.
    memory : str or int, optional
        Memory (``"2G"``, or bytes) above which disk is used.
    client : distributed.Client, optional
        Runs the work on a Dask cluster; all workers must see the files under the same path. They keep the
        packets as long as the result exists. Only `packet` needs a comparison on this machine.

    Raises
    ------
    CaptureError
        A file is not a readable capture.
    UsageError
        An argument is invalid.
    """
    sources = opened(captures, names)
    known = {c.name: c.decoded for c in captures if isinstance(c, Capture) and c.ports == tuple(ports)}
    paths = [os.fspath(capture) for capture in captures if not isinstance(capture, Capture)]
    questions = questions_of(
        sources, archives=paths, kube=kube, facts=facts, ports=ports, since=since, until=until, only=only,
        select=select, ignore=ignore,
    )  # fmt: skip
    if client is not None:
        there = _run_on_cluster(client, sources, questions)
        return Comparison(there.report(plots=True), None, there)
    with limited(size_bytes(memory) if isinstance(memory, str) else memory):
        run = pipeline.run(sources, questions, jobs=jobs, digests=False, known=known)
        return Comparison(run.report(plots=False), run)


def _run_on_cluster(
    client: "Client", sources: Sequence[LogicalCapture], questions: pipeline.Questions
) -> "RunThere":
    """Compare on a cluster, which keeps the packets as long as the comparison exists."""
    from vxlanalyze.dask.compare import run_there
    from vxlanalyze.dask.on_dask import OnDask

    return run_there(sources, questions, OnDask(client))
