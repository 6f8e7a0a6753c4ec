"""The compiled walks under the eyes of bounds checks, and as plain Python.

A compiled kernel reads out of bounds silently; so the tests of both formats and of damage run once more
in processes that compile otherwise.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_formats_and_damage_with_other_compilation(setting: str) -> None:
    if os.environ.get(setting) == "1":
        pytest.skip("these tests run so already")
    files = [str(HERE / name) for name in ("test_pcap.py", "test_pcapng.py", "test_damage.py")]
    options = ["-q", "-p", "no:cacheprovider", "--tb=short"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        env={**os.environ, setting: "1"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]
