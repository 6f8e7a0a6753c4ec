"""The kernels' cache: in a fresh environment, after a change of a source, and with no writable place."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import FunctionCache

import vxlanalyze
from vxlanalyze import compiled as compiled_module
from vxlanalyze.compiled import compiled, compiled_part

PACKAGE = Path(vxlanalyze.__file__).parent
SAMPLES = Path(__file__).parent.parent / "sample_pcaps" / "seed"


def run(package: Path, cache: Path) -> None:
    """Analyse the seed's pair with a copy of the package and a cache of its own."""
    pair = [str(SAMPLES / name) for name in ("node1.pcap.gz", "node2.pcap.gz")]
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        [sys.executable, "-m", "vxlanalyze", *pair],
        env=environment, cwd=package.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("None of the 9 packets that node1 sends to node2 arrives")


def kept(cache: Path) -> set[str]:
    """The names of the kernel directories in a cache."""
    return {str(p.parent.relative_to(cache)) for p in cache.rglob("*.nbi")}


def test_a_change_in_wire_makes_a_new_cache(tmp_path: Path) -> None:
    """Kernels of an older source are never used again; unchanged ones are."""
    package = tmp_path / "copy" / "vxlanalyze"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    run(package, cache)
    before = kept(cache)
    run(package, cache)
    assert before
    assert kept(cache) == before

    with (package / "wire" / "udp.py").open("a") as source:
        source.write("\n# changed\n")
    run(package, cache)

    assert kept(cache) - before


def test_it_works_with_no_place_to_write(tmp_path: Path) -> None:
    """A cache that cannot be made is no error."""
    nowhere = tmp_path / "file"
    nowhere.write_text("")

    run(PACKAGE, nowhere / "cache")


def adding(number: int) -> Any:
    """A closure, as the chain of tunnels is made of."""

    @compiled_part
    def add(value: int) -> int:
        return value + number

    return add


def test_closures_have_names_by_what_they_close_over() -> None:
    """Cached code of one is never taken for that of another, whatever numbers numba gives them."""
    one, another, same = (adding(number).py_func.__qualname__ for number in (1, 2, 1))

    assert one == same != another


def test_kernels_are_saved_by_one_process_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def save(self: FunctionCache, *_: object) -> None:
        with (Path(self.cache_path) / "lock").open("w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        refused.append(self.cache_path)

    monkeypatch.setattr(FunctionCache, "save_overload", save)

    @compiled
    def twice(values: np.ndarray) -> int:
        return 2 * len(values)

    assert twice(np.zeros(3)) == 6
    assert refused


def test_kernels_that_are_kept_are_loaded_without_the_compiler(tmp_path: Path) -> None:
    """What only compiling needs takes longer to import than all kernels to load."""
    code = (
        "import sys, numpy as np\n"
        "from vxlanalyze.pairing.match import unique\n"
        "print(unique(np.arange(3, dtype=np.uint64), np.arange(1, 4, dtype=np.uint64)).tolist())\n"
        "print('numba.np.linalg' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "XDG_CACHE_HOME": str(tmp_path)}
    told = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.split("\n")[:2]
        for _ in range(2)
    ]

    assert told == [["[-1, 0, 1]", "True"], ["[-1, 0, 1]", "False"]]


def test_what_is_imported_by_name_from_the_package_is_a_module_of_it() -> None:
    """Else kernels of one stage would be compiled anew when any other changes."""
    stages = {path.relative_to(PACKAGE).parts[0] for path in compiled_module._reachable(PACKAGE / "pairing")}

    assert "memory.py" in stages
    assert not stages & {"report", "diagnostics", "cli.py", "pipeline.py"}
