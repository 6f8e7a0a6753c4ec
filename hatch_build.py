"""Builds the compiled functions, the shell completions and the manual page into the wheel."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _machine() -> str:
    """Name the kind of machine to build for, as `vxlanalyze.kernels.build` does."""
    return os.environ.get("VXLANALYZE_MACHINE") or platform.machine()


class KernelHook(BuildHookInterface):
    """Runs ``vxlanalyze.kernels.build`` in the source tree, and marks the wheel as one of this platform."""

    def dependencies(self) -> list[str]:
        """Ask for a C compiler from PyPI where the system has none."""
        named = (os.environ.get("CC", "").split()[:1] or [""])[0]
        compilers = [named] if _machine() != platform.machine() else [named, "cc", "gcc", "clang"]
        return [] if any(name and shutil.which(name) for name in compilers) else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, for installations and for checkouts alike."""
        environment = {
            **os.environ,
            "NUMBA_BOUNDSCHECK": "0",  # else what is built is for the tests
            "PYTHONPATH": os.pathsep.join([self.root, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        command = [sys.executable, "-m", "vxlanalyze.kernels.build"]
        subprocess.run(command, cwd=self.root, env=environment, check=True)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform.system().lower()}_{_machine()}"

        build_data["shared_data"].update(self._for_shells(environment))

    def _for_shells(self, environment: dict[str, str]) -> dict[str, str]:
        """Write completions and the manual page, and say where they are installed below the prefix."""
        written = Path(self.root, "build", "shell")
        command = [sys.executable, "-m", "vxlanalyze.command.shell", str(written)]
        subprocess.run(command, cwd=self.root, env=environment, check=True)
        return {
            str(path): f"share/{path.relative_to(written)}" for path in written.rglob("*") if path.is_file()
        }
