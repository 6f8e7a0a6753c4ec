"""Recorded captures, read and diagnosed: what outputs made of packets are tried on."""

import json
from functools import cache
from pathlib import Path

import vxlanalyze as vx
from vxlanalyze.pipeline.run import Run

CAPTURES = Path(__file__).parents[1] / "captures"


def paths(name: str) -> list[Path]:
    """The captures of a recording, in path order."""
    truth = json.loads((CAPTURES / name / "truth.json").read_text())
    return [CAPTURES / name / capture["path"] for capture in truth["captures"]]


@cache
def run(name: str) -> Run:
    """One recording, run through all stages, with what its cluster says."""
    return vx.compare(*paths(name), kube=CAPTURES / name / "kube.json").of_captures
