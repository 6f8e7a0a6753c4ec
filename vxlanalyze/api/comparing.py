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
    """Compare captures that stand in path order, the sender's node first.

    Parameters
    ----------
    *captures : path or Capture
        Files, directories, globs, comma-separated rotated sets, archives (also ``ARCHIVE/FOLDER``), or what
        `read` gave.
    names : sequence of str, optional
        What the points are called, for paths.
    kube : path, optional
        JSON of ``kubectl get nodes,pods,services -A -o json``.
    facts : mapping, optional
        Capture's name to the directory of what was saved on its node; by default what archives among the
        captures hold.
    ports : sequence of int
        Further tunnel ports.
    since, until : str or float, optional
        RFC 3339, or seconds from the first capture's first frame.
    only : sequence of str
        Terms such as ``host=10.0.0.1`` or ``port=53``, all of which must hold.
    select, ignore : collections of str
        Codes of diagnostics that run, and that do not.
    jobs : int, optional
        Threads that read; by default one a core.
    memory : str or int, optional
        Memory (``"2G"``, or bytes) above which work goes through disk.
    client : distributed.Client, optional
        Has the workers of a Dask cluster do the work; all of them must see the files under the same path.
        They keep the packets as long as the result lives. Only `packet` takes a comparison on this machine.

    Raises
    ------
    CaptureError
        A file is no capture that can be read.
    UsageError
        An argument makes no sense.
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
    """Compare on a cluster, which keeps the packets as long as the comparison lives."""
    from vxlanalyze.dask.compare import run_there
    from vxlanalyze.dask.on_dask import OnDask

    return run_there(sources, questions, OnDask(client))
