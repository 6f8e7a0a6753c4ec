"""One capture for each node of a cluster: named individually, or all in a directory."""

import os
from collections.abc import Iterable
from itertools import groupby

from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.sources import is_capture, name_of, open_sources
from vxlanalyze.errors import CaptureError, UsageError


def open_nodes(specs: Iterable[str | os.PathLike[str]]) -> list[LogicalCapture]:
    """Open the captures of many nodes, under distinct names.

    Parameters
    ----------
    specs : iterable of paths
        Captures as for `open_sources`. A directory represents one node for each name in it: files with
        the same name up to the first dot (``node1.pcap0``, ``node1.pcap1``) are a rotated set, and so are the
        files in a subdirectory. With ``NAME=`` before it, a directory is the rotated set of that node.

    Raises
    ------
    CaptureError
        One of them cannot be read as a capture.
    UsageError
        A name is refused or given twice.
    """
    nodes: list[str] = []
    for given in specs:
        spec = os.fspath(given)
        nodes += _in_directory(spec) if os.path.isdir(spec) else [spec]
    return open_sources(nodes)


def other_files(specs: Iterable[str | os.PathLike[str]]) -> list[str]:
    """List the other files (notes, lists) that a glob matched in addition to the captures.

    A file named like a capture that is not one is an error, and stays.
    """
    paths = [os.fspath(spec) for spec in specs]
    return [p for p in paths if os.path.isfile(p) and "cap" not in os.path.basename(p) and not is_capture(p)]


def _in_directory(path: str) -> list[str]:
    try:
        entries = sorted((entry for entry in os.scandir(path) if _holds_capture(entry)), key=lambda e: e.name)
    except OSError as error:
        raise CaptureError(path, f"cannot be listed: {error.strerror}") from error
    if not entries:
        raise UsageError(
            f"{path}: a directory without captures; one file (or directory) for each node would do"
        )
    found = []
    for name, group in groupby(sorted(entries, key=lambda e: name_of(e.path)), key=lambda e: name_of(e.path)):
        paths = [entry.path for entry in group]
        found.append(paths[0] if len(paths) == 1 else f"{name}={','.join(paths)}")
    return found


def _holds_capture(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a capture, or a directory that contains one; others are ignored."""
    if entry.is_dir():
        with os.scandir(entry.path) as inside:
            return any(inner.is_file() and is_capture(inner.path) for inner in inside)
    return entry.is_file() and is_capture(entry.path)
