"""Recognise the files of one rotated set by their names, and name the set on the command line."""

import glob
import re
import shlex
from collections.abc import Sequence


def alike(path: str, other: str) -> bool:
    """Whether two paths differ only in digits, as ``node1.pcap0`` and ``node1.pcap1`` do."""
    return re.sub(r"\d+", "0", path) == re.sub(r"\d+", "0", other) or _unnumbered(path) == _unnumbered(other)


def _unnumbered(path: str) -> str:
    """Remove the number that tcpdump -C appends to the names of all files but the first."""
    return re.sub(r"\d+$", "", path)


def beginning(paths: Sequence[str]) -> str:
    """Give the characters that all paths begin with."""
    low, high = min(paths), max(paths)
    differ = (n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b)
    return low[: next(differ, len(low))]


def argument(paths: Sequence[str]) -> str:
    """Name some files as one capture for a shell, by a quoted glob if that matches nothing else."""
    pattern = glob.escape(beginning(paths)) + "*"
    if len(paths) > 1 and set(glob.glob(pattern)) == set(paths):
        return shlex.quote(pattern)
    return shlex.quote(",".join(paths))
