"""Open the observation points named on the command line: captures, and the mirrors in them."""

import os
from collections.abc import Iterable, Sequence

from vxlanalyze.capture import open_nodes, open_sources
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.errors import UsageError
from vxlanalyze.pipeline import bundled, interfaces
from vxlanalyze.wire import mirrors


def open_points(specs: Iterable[str | os.PathLike[str]]) -> list[LogicalCapture]:
    """Open the captures of one comparison; a file of several observation points gives several.

    Raises
    ------
    CaptureError
        One of them cannot be read as a capture.
    UsageError
        A name is not allowed or given twice.
    """
    specs = list(specs)
    archives = [bundled.archive_of(spec) for spec in specs]
    if not any(archives):
        return _apart(open_sources(specs))
    sources: list[LogicalCapture] = []
    for spec, archive in zip(specs, archives, strict=True):
        sources += open_sources([spec]) if archive is None else bundled.open_captures(archive)
    return _apart(sources)


def open_node_points(specs: Iterable[str | os.PathLike[str]]) -> list[LogicalCapture]:
    """Open the captures of a matrix like `open_nodes`; a file of several observation points gives several.

    Raises
    ------
    CaptureError
        One of them cannot be read as a capture.
    UsageError
        A name is not allowed or given twice.
    """
    specs = list(specs)
    archives = [bundled.archive_of(spec) for spec in specs]
    if not any(archives):
        return _apart(open_nodes(specs))
    sources: list[LogicalCapture] = []
    for spec, archive in zip(specs, archives, strict=True):
        sources += open_nodes([spec]) if archive is None else bundled.open_captures(archive, None)
    return _apart(sources)


def _apart(sources: Sequence[LogicalCapture]) -> list[LogicalCapture]:
    """Give the observation points of captures just opened, closing these on failure."""
    try:
        return apart(sources)
    except BaseException:
        for source in sources:
            source.close()
        raise


def apart(sources: Sequence[LogicalCapture]) -> list[LogicalCapture]:
    """Give the observation points of all captures, in their order."""
    points: list[LogicalCapture] = []
    for source in sources:
        mirrored = mirrors.points(source)
        points += interfaces.points(source) if mirrored == [source] and source.view is None else mirrored
    names = [point.name for point in points]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two observation points would be called {name}; name the captures: NAME=FILE")
    return points
