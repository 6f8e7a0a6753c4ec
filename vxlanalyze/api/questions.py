"""Convert the library's arguments for the pipeline."""

import os
from collections.abc import Collection, Mapping, Sequence

from vxlanalyze.api.capture import Capture
from vxlanalyze.capture import open_sources
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.saved import read_cluster
from vxlanalyze.pairing.part import Moment, Part, parse_moment, parse_term
from vxlanalyze.pipeline import bundled
from vxlanalyze.pipeline import run as pipeline
from vxlanalyze.pipeline.opening import apart, open_points

PathLike = str | os.PathLike[str]


def opened(captures: Sequence[PathLike | Capture], names: Sequence[str] | None) -> list[LogicalCapture]:
    """Open captures in path order, or use those already read.

    Raises
    ------
    CaptureError
        A file is not a readable capture.
    UsageError
        There is none, or names are missing, not allowed or given twice.
    """
    if not captures:
        raise UsageError("no capture is given; give them in path order")
    paths = [os.fspath(c) for c in captures if not isinstance(c, Capture)]
    if names is not None:
        if len(names) != len(captures):
            raise UsageError(f"{len(names)} names for {len(captures)} captures")
        if len(paths) < len(captures):
            raise UsageError("names are for paths; name a Capture when it is read: read(path, name=...)")
        paths = [f"{name}={path}" for name, path in zip(names, paths, strict=True)]
    from_paths = iter(_from_paths(paths))
    sources: list[LogicalCapture] = []
    for capture in captures:
        sources += apart([capture.source]) if isinstance(capture, Capture) else next(from_paths)
    taken = [source.name for source in sources]
    for name in taken:
        if taken.count(name) > 1:
            raise UsageError(
                f"two captures are called {name}; name one when it is read: read(path, name=...)"
            )
    return sources


def _from_paths(paths: Sequence[str]) -> list[list[LogicalCapture]]:
    """Give the observation points of each path; an archive represents the captures in it."""
    if any(bundled.archive_of(path) for path in paths):
        return [open_points([path]) for path in paths]
    return [apart([source]) for source in open_sources(paths)]


def questions_of(
    sources: Sequence[LogicalCapture],
    *,
    archives: Sequence[str] = (),
    kube: PathLike | None,
    facts: Mapping[str, PathLike] | None,
    ports: Sequence[int],
    since: str | float | None = None,
    until: str | float | None = None,
    only: Sequence[str],
    select: Collection[str] | None,
    ignore: Collection[str],
) -> pipeline.Questions:
    """Read the cluster's files, and parse the selected part of the traffic.

    Parameters
    ----------
    archives : sequence of str
        Paths of captures; archives among them provide the facts that `facts` does not.

    Raises
    ------
    UsageError
        An argument is invalid.
    """
    names = [source.name for source in sources]
    given = [(name, os.fspath(directory)) for name, directory in (facts or {}).items()]
    cluster = read_cluster(
        None if kube is None else os.fspath(kube),
        given,
        names,
        tuple(bundled.bundles(archives, sources)),
    )
    part = Part(_moment(since), _moment(until), tuple(parse_term(term, cluster) for term in only))
    return pipeline.Questions(cluster, tuple(ports), part, select, ignore)


def _moment(given: str | float | None) -> Moment | None:
    if given is None:
        return None
    return parse_moment(given if isinstance(given, str) else f"{given:.9f}")
