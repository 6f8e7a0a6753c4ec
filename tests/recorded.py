"""Comparisons of recordings and of pairs made after reports, for tests that look inside."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import vxlanalyze as vx
from tests.lab import __main__ as lab
from tests.reported.registry import discover
from vxlanalyze.pairing.model import Comparison

_FOLDERS: list[TemporaryDirectory[str]] = []


@cache
def recording(name: str) -> Comparison:
    """Compare the captures at the network cards of a recording in tests/captures."""
    folder = next(folder for _, folder in lab.recordings() if folder.name == name)
    return _compared(sorted(folder.glob("node*.pcap.gz")))


@cache
def reported(name: str) -> Comparison:
    """Compare the captures of a pair in tests/reported/pairs."""
    folder = TemporaryDirectory()  # frames are read again, so it lasts as long as the tests
    _FOLDERS.append(folder)
    discover()[name].write(Path(folder.name))
    return _compared(sorted(path for path in Path(folder.name).iterdir() if path.suffix.startswith(".pcap")))


def _compared(captures: list[Path]) -> Comparison:
    return vx.compare(*captures)._run.comparison
