"""From what stands on the command line to observation points: captures, and the mirrors in them."""

import os
from collections.abc import Iterable, Sequence

from vxlanalyze.capture import open_sources
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.errors import UsageError
from vxlanalyze.pipeline import interfaces
from vxlanalyze.wire import mirrors


def open_points(specs: Iterable[str | os.PathLike[str]]) -> list[LogicalCapture]:
    """Open the captures of one comparison; a file of several observation points gives several.

    Raises
    ------
    CaptureError
        One of them cannot be read as a capture.
    UsageError
        A name is refused or given twice.
    """
    sources = open_sources(specs)
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
