"""The kernels' cache: in a fresh environment, after a change of a source, and with no writable place."""

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import FunctionCache

import vxlanalyze
from vxlanalyze.kernels import compile_ahead, kernel_cache
from vxlanalyze.kernels import decorator as compiled_module
from vxlanalyze.kernels.decorator import compiled

PACKAGE = Path(vxlanalyze.__file__).parent
SAMPLES = Path(__file__).parent.parent / "sample_pcaps" / "seed"


PAIR = [str(SAMPLES / name) for name in ("node1.pcap.gz", "node2.pcap.gz")]


def environment(package: Path, cache: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(cache)}


def run(package: Path, cache: Path) -> None:
    """Analyse the seed's pair with a copy of the package and a cache of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "vxlanalyze", *PAIR],
        env=environment(package, cache), cwd=package.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("None of the 9 packets that node1 sends to node2 arrives")


def kept(cache: Path) -> set[str]:
    """The names of the kernel directories in a cache."""
    return {str(p.parent.relative_to(cache)) for p in cache.rglob("*.kernel")}


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a copy of the package and the cache that its first run has filled."""
    place = tmp_path_factory.mktemp("first")
    package = place / "copy" / "vxlanalyze"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    run(package, place / "cache")
    return package, place / "cache"


def test_what_is_compiled_ahead_is_what_a_run_needs(first_run: tuple[Path, Path]) -> None:
    """Else a second core would be busy for nothing."""
    package, cache = first_run
    code = (
        "import sys\n"
        "from vxlanalyze.command import cli\n"
        "from vxlanalyze.kernels import decorator as compiled\n"
        "code = compiled._Kernel.code\n"
        "def told(kernel, kinds):\n"
        "    name = f'{kernel.__module__}.{kernel.__name__}'.removeprefix('vxlanalyze.')\n"
        "    print(name, *kinds, file=sys.stderr)\n"
        "    return code(kernel, kinds)\n"
        "compiled._Kernel.code = told\n"
        "cli.main(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *PAIR],
        env=environment(package, cache), cwd=package.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert set(compile_ahead.KERNELS) <= set(done.stderr.splitlines())
    for part in compile_ahead.PARTS:  # and numba made nothing else of it than what was made ahead
        module, function = part.split()[0].rsplit(".", 1)
        name = getattr(import_module(f"vxlanalyze.{module}"), function).__qualname__.split(".")[-1]
        made = [path.parent for path in cache.rglob(f"*.{name}-*.nbc")]
        assert 0 < len(made) == len(set(made))


def test_a_change_in_wire_makes_a_new_cache(first_run: tuple[Path, Path]) -> None:
    """Kernels of an older source are never used again; unchanged ones are."""
    package, cache = first_run
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


def test_only_what_others_find_is_compiled_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary place is this process's own."""
    monkeypatch.setattr(kernel_cache, "_user_root", lambda: tmp_path / "user")
    monkeypatch.setattr(kernel_cache, "_temporary_root", cache(lambda: tmp_path / "temporary"))
    make = kernel_cache._cache_directory.__wrapped__
    shared = make("0")
    (tmp_path / "user" / "1").write_text("")  # no directory can be made
    own = make("1")

    assert shared is not None
    assert own is not None
    assert kernel_cache.is_shared(shared)
    assert not kernel_cache.is_shared(own)


def adding(number: int) -> Any:
    """A closure, as the chain of tunnels is made of."""

    @compiled
    def add(value: int) -> int:
        return value + number

    return add


def test_closures_have_names_by_what_they_close_over() -> None:
    """Cached code of one is never taken for that of another, whatever numbers numba gives them."""
    one, another, same = (adding(number).py_func.__qualname__ for number in (1, 2, 1))

    assert one == same != another


def test_parts_of_kernels_are_saved_by_one_process_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def save(self: FunctionCache, *_: object) -> None:
        with (Path(self.cache_path) / "lock").open("w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        refused.append(self.cache_path)

    monkeypatch.setattr(FunctionCache, "save_overload", save)
    monkeypatch.setattr(compiled_module, "_read", lambda _: None)  # of an earlier run

    @compiled
    def double(value: int) -> int:
        return 2 * value

    @compiled
    def twice(values: np.ndarray) -> int:
        return double(len(values))

    assert twice(np.zeros(3)) == 6
    assert refused


JOIN = (
    "import sys, numpy as np\n"
    "from vxlanalyze.pairing.match import unique\n"
    "print(unique(np.arange(3, dtype=np.uint64), np.arange(1, 4, dtype=np.uint64)).tolist())\n"
    "print('numba' in sys.modules)\n"
)


def join(cache: Path) -> list[str]:
    """Run a kernel in a process of its own; gives what it finds, and whether numba was there."""
    done = subprocess.run(
        [sys.executable, "-c", JOIN],
        env=environment(PACKAGE, cache), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_kernels_that_are_kept_are_loaded_without_numba(tmp_path: Path) -> None:
    """It takes longer to import than a small pair of captures to analyse."""
    assert [join(tmp_path), join(tmp_path)] == [["[-1, 0, 1]", "True"], ["[-1, 0, 1]", "False"]]


@pytest.mark.parametrize("damage", [lambda kept: kept[:-1] + b"?", lambda kept: kept[:20], lambda kept: b""])
def test_a_damaged_kernel_is_compiled_again(tmp_path: Path, damage: Any) -> None:
    """Machine code that has changed on the disk must not run."""
    join(tmp_path)
    (kernel,) = tmp_path.rglob("*.kernel")
    kernel.write_bytes(damage(kernel.read_bytes()))

    assert join(tmp_path) == ["[-1, 0, 1]", "True"]
    assert join(tmp_path) == ["[-1, 0, 1]", "False"]


@compiled
def sums(pair: tuple[Any, Any], factor: float, signed: int, odd: bool) -> tuple[float, int, bool]:
    """Take what kernels take: a tuple of arrays of different types, one of them with strides, and numbers."""
    octets, words = pair
    total = 0
    for row in range(words.shape[0]):
        for column in range(words.shape[1]):
            total += words[row, column]
    return octets.sum() * factor, total - signed, not odd


def test_arguments_and_results_are_what_python_makes_of_them() -> None:
    octets = np.arange(10, dtype=np.uint8)
    octets.setflags(write=False)
    words = np.arange(40, dtype=np.int32).reshape(4, 10)[::2, ::3]
    arguments = (octets, words), 0.5, np.int16(-7), np.bool_(False)

    assert sums(*arguments) == sums.py_func(*arguments)  # type: ignore[attr-defined]


def test_what_kernels_do_not_take_is_refused() -> None:
    with pytest.raises(TypeError, match="not str"):
        sums((np.zeros(1), np.zeros((1, 1))), "2", 0, True)


def test_a_kernel_that_needs_numba_to_run_is_refused() -> None:
    """It would be loaded where numba is not, and end the process."""

    @compiled
    def chance() -> float:
        return float(np.random.random())  # noqa: NPY002 - numba knows no other

    with pytest.raises(TypeError, match=r"chance calls \w+, which only numba has"):
        chance()


def test_what_is_imported_by_name_from_the_package_is_a_module_of_it() -> None:
    """Else kernels of one stage would be compiled anew when any other changes."""
    stages = {path.relative_to(PACKAGE).parts[0] for path in kernel_cache._reachable(PACKAGE / "pairing")}

    assert "memory" in stages
    assert not stages & {"report", "diagnostics", "command", "pipeline"}
