"""The library names no C library: a program of musl calls its allocator and kernels as one of glibc does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from vxlanalyze.kernels import loader


@pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="musl-gcc (Debian: musl-tools) is not installed")
def test_a_program_of_musl_calls_allocator_and_kernels(tmp_path: Path):
    program = tmp_path / "program"
    source = Path(__file__).with_name("musl.c")
    subprocess.run(["musl-gcc", "-O1", "-o", str(program), str(source)], check=True)
    runnable = [name for name in loader.runnable() if name in loader.manifest()["libraries"]]

    for name in runnable:
        library = loader.FOLDER / f"{name}.so"
        done = subprocess.run([program, library], capture_output=True, text=True, check=False)

        assert (done.returncode, done.stdout) == (0, "well\n")
