"""Where kernels are kept between runs.

A directory of them is named by a digest of everything that shapes them: all sources that a kernel's file can
reach by import, the versions of Python and numba, its settings, and the processor. numba's own cache keeps
a function when another file changes whose functions or constants it took in, and fails at import with no
place to write. The directory lies under ``XDG_CACHE_HOME`` (``~/.cache``), else in a temporary one that lives
as long as the process.

Sources: numba documentation, "Notes on Caching"; XDG Base Directory Specification 0.8.
"""

# mypy: disable-error-code="no-untyped-call"

import atexit
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite  # type: ignore[import-untyped]
import llvmlite.binding  # type: ignore[import-untyped]

_PACKAGE = Path(__file__).parents[1]
_COMPILING = [
    _PACKAGE / "kernels" / f"{name}.py" for name in ("decorator", "compiler", "kernel_cache", "machine_code")
]
# It begins with what is rare: all sources are looked through in each run.
_IMPORT = re.compile(rb" vxlanalyze((?:\.\w+)*)(?: import (\([^)]*\)|.*))?")
_IMPORTING = (b"from", b"port")
_IMPORTED_NAME = re.compile(rb"(?:^|[,(])\s*(\w+)")
_DIGEST_LETTERS = 20
_STALE_AFTER_S = 14 * 24 * 3600  # another installation may use its kernels; nobody does after two weeks
_KEPT_DIRECTORIES = 64  # while somebody edits kernels, each edit makes some


def directory_for(source: Path) -> Path | None:
    """Give the directory for the kernels of a file; None where nothing at all can be written."""
    return _cache_directory(_digest(source)) if source.exists() else None


def is_shared(directory: Path) -> bool:
    """Tell whether other processes look for kernels there."""
    temporary = _temporary_root.cache_info().currsize > 0
    return not (temporary and directory.is_relative_to(_temporary_root()))


def _digest(path: Path) -> str:
    """Name what a kernel of this file depends on."""
    place = path.relative_to(_PACKAGE) if path.is_relative_to(_PACKAGE) else path
    inside = path.is_relative_to(_PACKAGE) and len(place.parts) > 1
    return _digest_of(_PACKAGE / place.parts[0] if inside else path)


@cache
def _digest_of(start: Path) -> str:
    summary = hashlib.sha256(_machine().encode())
    for path in sorted(_reachable(start)):
        summary.update(f"\n{path}\n".encode())
        summary.update(_content(path))
    return summary.hexdigest()[:_DIGEST_LETTERS]


def _machine() -> str:
    features = llvmlite.binding.get_host_cpu_features().flatten()
    return "\n".join(
        (
            sys.version,
            llvmlite.__version__,
            _numba_version(),
            f"{llvmlite.binding.get_host_cpu_name()} {features}",
            *sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_")),
        )
    )


def _numba_version() -> str:
    # numba takes longer to import than all kernels to load.
    found = importlib.util.find_spec("numba")
    place = None if found is None or found.origin is None else Path(found.origin)
    return "" if place is None else place.with_name("_version.py").read_text()


def _reachable(start: Path) -> set[Path]:
    """All sources in `start` (a directory or a file) and, transitively, all that they import of ours."""
    found: set[Path] = set(_COMPILING)
    waiting = list(_sources(start))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            for name in _imports(path):
                waiting.extend(_module_sources(name))
    return found


@cache
def _imports(path: Path) -> frozenset[str]:
    """What a source imports of ours: modules, and packages, of which each name may be a module."""
    found: set[bytes] = set()
    content = _content(path)
    for match in _IMPORT.finditer(content):
        if content[match.start() - 4 : match.start()] not in _IMPORTING:
            continue
        dotted, names = match.groups(b"")
        # Of the package itself, only what is named is taken: its modules at large reach everything.
        found.update([dotted] if dotted else [b"." + name for name in _IMPORTED_NAME.findall(names)])
    return frozenset(name.decode() for name in found)


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _module_sources(dotted: str) -> tuple[Path, ...]:
    """Find ``vxlanalyze`` + `dotted`; a package counts whole, since a name may be a module of it."""
    path = _PACKAGE.joinpath(*dotted.split(".")[1:])
    found = tuple(_sources(path if path.is_dir() else path.with_suffix(".py")))
    return found or (_PACKAGE / "__init__.py",)  # a name that is no module stands there


def _sources(path: Path) -> Iterable[Path]:
    if path.is_dir():
        return path.rglob("*.py")
    return (path,) if path.exists() else ()


@cache
def _cache_directory(digest: str) -> Path | None:
    """Make a directory for the kernels of this digest; None where nothing at all can be written."""
    for root in (_user_root, _temporary_root):
        try:
            directory = root() / digest
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                os.utime(directory)
        except (OSError, RuntimeError):  # RuntimeError: no home directory is known
            continue
        return directory
    return None


@cache
def _user_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "vxlanalyze" / "kernels"
    _remove_stale(root)
    return root


@cache
def _temporary_root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="vxlanalyze-kernels-"))
    atexit.register(_remove_own, root, os.getpid())
    return root


def _remove_own(root: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child shares the directory and must leave it
        shutil.rmtree(root, ignore_errors=True)


def _remove_stale(root: Path) -> None:
    """Remove the directories of digests that nobody has used for long."""
    try:
        used = sorted(((entry.stat().st_mtime, entry.path) for entry in os.scandir(root)), reverse=True)
    except OSError:  # not there yet, or being removed by another process
        return
    oldest = time.time() - _STALE_AFTER_S
    for rank, (last_use, path) in enumerate(used):
        if last_use < oldest or rank >= _KEPT_DIRECTORIES:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def alone_with(lock: Path) -> Iterator[None]:
    """Keep other processes that name the same file waiting; raises OSError where it cannot be made."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def identity(value: Any) -> object:
    """Describe a function, and what it closes over, the same way in every run."""
    function = getattr(value, "py_func", value)
    if not hasattr(function, "__code__"):
        return repr(value)
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    return function.__module__, function.__qualname__, tuple(identity(content) for content in cells)
