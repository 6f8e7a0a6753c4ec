"""Build the library of kernels: ``python -m vxlanalyze.kernels.build``, and the hook of the wheel.

Each processor level is compiled in a separate process, since numba detects the processor once; then a C
compiler links. numba is only needed to build the package. ``VXLANALYZE_MACHINE=aarch64`` cross-compiles with
a suitable compiler: the one named by ``CC``, or ziglang's.
``NUMBA_BOUNDSCHECK=1`` builds a library that checks each index, for this processor and the tests.
"""

import argparse
import hashlib
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vxlanalyze.kernels.loader import (
    BUILT,
    BUILT_CHECKED,
    CHECKED,
    LEVELS,
    MANIFEST,
    Entry,
    runnable,
)

PACKAGE = Path(__file__).parents[2]
_LINK = ("-shared", "-nostdlib", "-Wl,--build-id=none", "-Wl,-s", "-Wl,-z,noexecstack")
_ENTRY_POINTS = "entry_points"  # name of their object file


def machine() -> str:
    """Name the kind of machine to build for, as in ``uname -m``."""
    return os.environ.get("VXLANALYZE_MACHINE") or platform.machine()


def levels() -> tuple[str, ...]:
    """Give the levels of the machine to build for."""
    if CHECKED:
        return tuple(runnable()[:1])
    kind = machine()
    return tuple(name for name in LEVELS if name == kind or (kind == "x86_64" and "x86" in name))


def linker() -> list[str] | None:
    """Give the command of a C compiler: ``CC``, the system's, or ziglang's; None without one."""
    crossing = machine() != platform.machine()
    for name in (os.environ.get("CC"), *(() if crossing else ("cc", "gcc", "clang"))):
        if name and shutil.which(name.split()[0]):
            return name.split()
    if importlib.util.find_spec("ziglang") is None:
        return None
    target = ["-target", f"{machine()}-linux-gnu"] if crossing else []
    return [sys.executable, "-m", "ziglang", "cc", *target]


def build(folder: Path = BUILT_CHECKED if CHECKED else BUILT) -> None:
    """Build the library of every level, and the manifest, into a folder."""
    command = linker()
    if command is None:
        raise SystemExit("no C compiler links the kernels: install gcc or clang, or `pip install ziglang`")
    if not levels():
        raise SystemExit(f"no kernels are built for {machine()}, only for x86_64 and aarch64")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(len(levels())) as pool:
        places = {level: Path(scratch, level) for level in levels()}
        list(pool.map(_compile_apart, places.items()))
        digests = {}
        for level, place in places.items():
            library = place / f"{level}.so"
            objects = sorted(str(path) for path in place.glob("*.o"))
            subprocess.run([*command, *_LINK, "-o", str(library), *objects], check=True)
            digests[level] = hashlib.sha256(library.read_bytes()).hexdigest()
        entries = [json.loads((place / "entries.json").read_text()) for place in places.values()]
        for level, place in places.items():
            os.replace(shutil.copy(place / f"{level}.so", folder / f".{level}.so"), folder / f"{level}.so")
        manifest = {"numba": _numba_version(), "libraries": digests, "kernels": entries[0]}
        temporary = folder / ".manifest.json"
        temporary.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        os.replace(temporary, folder / MANIFEST.name)


def _numba_version() -> str:
    from importlib.metadata import version

    return version("numba")


def _compile_apart(of: tuple[str, Path]) -> None:
    """Compile for a level in a separate process."""
    level, place = of
    place.mkdir()
    processor = {"NUMBA_CPU_NAME": level if "x86" in level else "generic", "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-m", "vxlanalyze.kernels.build", "--level", level, str(place)]
    done = subprocess.run(
        command, env={**os.environ, **processor, "NUMBA_DISABLE_JIT": "0"}, cwd=PACKAGE.parent, check=False
    )
    if done.returncode:
        raise SystemExit(f"kernels for {level} could not be compiled")


def compile_level(level: str, place: Path) -> None:
    """Write an object file for each kernel, and ``entries.json``, into a folder."""
    from vxlanalyze.kernels.build import compiler
    from vxlanalyze.kernels.build.fingerprint import fingerprint

    target = compiler.target_machine(level)
    entries: dict[str, Any] = {}
    for kernel in kernels():
        symbol = kernel.name.replace(".", "_")
        made = compiler.compile_kernel(kernel, symbol)
        (place / f"{symbol}.o").write_bytes(compiler.machine_code(target, made.module))
        declared = kernel.declared or ""
        entry = Entry(symbol, declared, made.results, made.is_tuple, fingerprint(kernel))
        entries[kernel.name] = entry._asdict()
    (place / f"{_ENTRY_POINTS}.o").write_bytes(compiler.assembled(target, entry_points()))
    (place / "entries.json").write_text(json.dumps(entries))


def kernels() -> Sequence[Any]:
    """Import all modules that declare kernels, and give the kernels."""
    from vxlanalyze.kernels.decorator import KERNELS

    for path in sorted(PACKAGE.rglob("*.py")):
        if "@compiled(" in path.read_text(encoding="utf-8") and "kernels" not in path.parts:
            importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    return KERNELS


def entry_points() -> str:
    """Give the functions called from C; to be called after `kernels`."""
    from vxlanalyze.kernels.decorator import ENTRY_POINTS

    return "\n".join(write() for write in ENTRY_POINTS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build all, or compile one level."""
    parser = argparse.ArgumentParser(prog="python -m vxlanalyze.kernels.build", description=__doc__)
    parser.add_argument("--level", nargs=2, metavar=("LEVEL", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.level:
        compile_level(given.level[0], Path(given.level[1]))
    else:
        build()
