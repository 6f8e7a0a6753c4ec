"""The comparison of a cluster's nodes in the library."""

import os
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from vxlanalyze.api.findings import Findings
from vxlanalyze.api.questions import PathLike, questions_of
from vxlanalyze.dask.matrix import compare_nodes, compare_nodes_there
from vxlanalyze.errors import UsageError
from vxlanalyze.export.outputs import Outputs
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.memory.limit import limited, size_bytes
from vxlanalyze.pipeline.opening import open_node_points
from vxlanalyze.report import by_suffix
from vxlanalyze.report.matrix import as_html, as_text, render
from vxlanalyze.report.matrix import model as plain
from vxlanalyze.report.model import CaptureRecord

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client


class Matrix:
    """Which nodes have trouble with each other; created by `matrix`.

    Jupyter displays it; ``print`` gives it as text.
    """

    def __init__(self, report: plain.Matrix, cluster: Cluster | None = None) -> None:
        self.report = report
        self._cluster = cluster

    @property
    def verdict(self) -> str:
        """Which directions are in trouble, in one sentence."""
        return self.report.verdict

    @property
    def nodes(self) -> list[CaptureRecord]:
        """Description of each node's capture, with the node's addresses."""
        return self.report.nodes

    @cached_property
    def findings(self) -> Findings:
        """Faults and notes between any two nodes, pair by pair."""
        return Findings(self.report.findings)

    @cached_property
    def cells(self) -> "pd.DataFrame":
        """A row for each direction: its state, finding and figures."""
        import pandas as pd

        table = pd.DataFrame(self.report.cells)
        delays = pd.DataFrame([dict(cell["delay_ns"] or {}) for cell in self.report.cells])
        return table.drop(columns="delay_ns").join(delays.add_prefix("delay_ns."))

    def table(self, column: str = "state") -> "pd.DataFrame":
        """Give one column of `cells` as a matrix: a row for each sender, a column for each receiver.

        Raises
        ------
        KeyError
            `cells` has no such column.
        """
        names = [node["name"] for node in self.nodes]
        return self.cells.pivot(index="from", columns="to", values=column).reindex(index=names, columns=names)

    def pair(self, first: str, second: str) -> plain.PairRecord:
        """Give the comparison of two nodes.

        Raises
        ------
        KeyError
            There is no traffic between them, or no such node.
        """
        for found in self.report.pairs:
            if set(found["nodes"]) == {first, second}:
                return found
        raise KeyError(f"{first} and {second}")

    def save(self, path: PathLike, *, redact: bool = False) -> None:
        """Write it; the suffix selects the format: .html, .json, .txt, .md.

        Parameters
        ----------
        redact : bool
            Whether to replace addresses and names by pseudonyms.

        Raises
        ------
        UsageError
            A matrix has no format with this suffix.
        OutputError
            The file cannot be written.
        """
        name, report = os.fspath(path), self.report
        if redact:
            from vxlanalyze.export.redaction import Redactor

            report = Redactor.of_matrix(report, self._cluster).matrix(report)
        text = render(report, by_suffix(name).name)
        with Outputs() as outputs:
            outputs.write_text(name, text)

    def to_json(self) -> str:
        """Give the complete matrix as JSON."""
        return render(self.report, "json")

    def _repr_html_(self) -> str:
        """Verdict, matrix and findings, for Jupyter."""
        return as_html.notebook(self.report)

    def __str__(self) -> str:
        return as_text.render(self.report)

    def __repr__(self) -> str:
        return f"<Matrix of {len(self.nodes)} nodes: {self.verdict}>"


def matrix(
    *captures: PathLike,
    names: Sequence[str] | None = None,
    kube: PathLike | None = None,
    facts: Mapping[str, PathLike] | None = None,
    ports: Sequence[int] = (),
    only: Sequence[str] = (),
    select: Collection[str] | None = None,
    ignore: Collection[str] = (),
    jobs: int | None = None,
    memory: str | int | None = None,
    client: "Client | None" = None,
) -> Matrix:
    """Compare all pairs of nodes of a cluster.

    Parameters
    ----------
    *captures : path
        One for each node, as for `compare`, or directories or archives with a capture of each node.
    names : sequence of str, optional
        Names of the nodes, one for each path.
    kube, facts, ports, only, select, ignore, jobs, memory
        As for `compare`.
    client : distributed.Client, optional
        Runs the work on a Dask cluster; all workers must see the files under the same path.

    Raises
    ------
    CaptureError
        A file is not a readable capture.
    UsageError
        There are fewer than two nodes, or an argument is invalid.
    """
    if names is not None and len(names) != len(captures):
        raise UsageError(f"{len(names)} names for {len(captures)} captures")
    paths = [os.fspath(path) for path in captures]
    named = paths if names is None else [f"{name}={path}" for name, path in zip(names, paths, strict=True)]
    sources = open_node_points(named)
    questions = questions_of(
        sources, archives=named, kube=kube, facts=facts, ports=ports, only=only, select=select, ignore=ignore
    )
    if client is not None:
        from vxlanalyze.dask.on_dask import OnDask

        with OnDask(client) as workers:
            return Matrix(compare_nodes_there(sources, questions, workers), questions.cluster)
    with limited(size_bytes(memory) if isinstance(memory, str) else memory):
        return Matrix(compare_nodes(sources, questions, jobs=jobs), questions.cluster)
