"""Builds the compiled functions into the wheel."""

import os
import platform
import shutil
import subprocess
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelHook(BuildHookInterface):
    """Runs ``vxlanalyze.kernels.build`` in the source tree, and marks the wheel as one of this platform."""

    def dependencies(self) -> list[str]:
        """Ask for a C compiler from PyPI where the system has none."""
        compilers = (os.environ.get("CC", "").split()[:1] or [""])[0], "cc", "gcc", "clang"
        return [] if any(name and shutil.which(name) for name in compilers) else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, for installations and for checkouts alike."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([self.root, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        command = [sys.executable, "-m", "vxlanalyze.kernels.build"]
        subprocess.run(command, cwd=self.root, env=environment, check=True)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform.system().lower()}_{platform.machine()}"
