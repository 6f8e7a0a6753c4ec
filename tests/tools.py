"""Programs from outside that tests ask.

Without one its tests are skipped; with VXLANALYZE_REQUIRE_TOOLS=1 they fail.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """Path of a program; skips the test where there is none."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("VXLANALYZE_REQUIRE_TOOLS") == "1":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def tshark(capture: Path, *arguments: str) -> str:
    """What tshark prints about a capture."""
    command = [tool("tshark"), "-r", str(capture), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
