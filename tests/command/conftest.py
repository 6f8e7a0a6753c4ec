"""Captures, and the command as its users call it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = ROOT / "sample_pcaps" / "seed"
HEALTHY = ROOT / "sample_pcaps" / "healthy"

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**changes: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **changes}


@pytest.fixture
def vxlanalyze(tmp_path: Path) -> Command:
    """Run the command in an empty directory."""

    def run(*arguments: str | Path, **options: object) -> "subprocess.CompletedProcess[str]":
        changes = options.pop("environment", {})
        command = [sys.executable, "-m", "vxlanalyze", *map(str, arguments)]
        settings = {"capture_output": True, "text": True, "encoding": "utf-8", "cwd": tmp_path} | options
        return subprocess.run(command, check=False, env=environment(**changes), timeout=120, **settings)

    return run


@pytest.fixture
def seed() -> list[str]:
    """A pair whose path is blocked from the first node to the second."""
    return [str(SEED / "node1.pcap.gz"), str(SEED / "node2.pcap.gz")]


@pytest.fixture
def healthy() -> list[str]:
    """A pair with nothing wrong."""
    return [str(HEALTHY / "node1.pcap.gz"), str(HEALTHY / "node2.pcap.gz")]
