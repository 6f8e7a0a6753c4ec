"""The decorator of all compiled functions, and the cache that keeps them between runs.

numba's own cache has two faults for a program like this one: a function stays stale when another
file changes whose functions or constants it took in, and with no writable place the import fails.
So kernels are kept in a directory of ours, named by a digest of everything that shapes them: all
sources that the decorated function can reach by import, the versions of Python and numba, the
processor, and whether bounds are checked. It lies under ``XDG_CACHE_HOME`` (``~/.cache``), else in
a temporary directory that lives as long as the process.

Sources: numba documentation, "Notes on Caching" and "Environment variables" (``NUMBA_BOUNDSCHECK``,
``NUMBA_DISABLE_JIT``); XDG Base Directory Specification 0.8.
"""

# numba's inside has no types:
# mypy: disable-error-code="no-untyped-call"

import atexit
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, cast

import llvmlite  # type: ignore[import-untyped]
import llvmlite.binding  # type: ignore[import-untyped]
import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

_Function = TypeVar("_Function", bound=Callable[..., Any])

_settings: Any = numba.config
_making = RLock()
_PACKAGE = Path(__file__).parent
_IMPORT = re.compile(
    rb"^[ \t]*(?:from|import)[ \t]+vxlanalyze((?:\.\w+)*)(?:[ \t]+import[ \t]+(\([^)]*\)|.*))?", re.MULTILINE
)
_IMPORTED_NAME = re.compile(rb"(?:^|[,(])\s*(\w+)")
_DIGEST_LETTERS = 20
_STALE_AFTER_S = 14 * 24 * 3600  # another installation may use its kernels; nobody does after two weeks
_KEPT_DIRECTORIES = 64  # while somebody edits kernels, each edit makes some

_MESSAGE = "compiling kernels, once per machine: some seconds"


def _say_on_terminal(message: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"vxlanalyze: {message}\n")


_listeners: list[Callable[[str], None]] = [_say_on_terminal]


def on_compile(callback: Callable[[str], None] | None) -> None:
    """Choose who is told, once per process, that a kernel is not in the cache and is compiled now.

    Parameters
    ----------
    callback : callable or None
        Takes the message. By default it goes to standard error where that is a terminal.
    """
    _listeners[:] = [] if callback is None else [callback]


def compiled(function: _Function) -> _Function:
    """Compile a function on its first call, without the interpreter lock, and cache the result.

    Content never raises: a division by zero gives what numpy gives. With ``NUMBA_DISABLE_JIT=1``
    the function stays as it is.
    """
    return _compile(function)


def compiled_lean(function: _Function) -> _Function:
    """Compile as `compiled` does, for a function that makes no array, slice or other object.

    References to its arrays are not counted then. Counting is an atomic operation at each call of
    each function, and costs a decoder more than decoding.
    """
    return _compile(function, _nrt=False)


def compiled_part(function: _Function) -> _Function:
    """Compile as `compiled_lean` does, for a function that only compiled functions call.

    It has no entry for Python, which saves a fifth of the compile time.
    """
    return _compile(function, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _compile(function: _Function, **options: Any) -> _Function:
    if _settings.DISABLE_JIT:
        return function
    _name_apart(function)
    return cast(_Function, _Kernel(function, options))


def _name_apart(function: Callable[..., Any]) -> None:
    """Give closures of one definition names of their own, which say what they close over.

    In machine code, numba names a function by its module, qualified name and types, and by a number that each
    process counts anew. Where new code takes in code that another process compiled and cached, two closures
    of one definition may have equal numbers, and one would be taken for the other without a word.
    """
    if function.__closure__:
        content = hashlib.sha256(repr(_identity(function)).encode()).hexdigest()[:_DIGEST_LETTERS]
        function.__qualname__ += f"_{content}"


class _Kernel:
    """A function that is compiled, or loaded, when it is first called or another kernel takes it in.

    numba's dispatchers take milliseconds each to make, and most are parts of kernels that the cache
    holds whole.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self.py_func = function
        self._options = options

    def __call__(self, *arguments: Any) -> Any:
        return self._dispatcher(*arguments)

    @property
    def _numba_type_(self) -> Any:  # numba asks this of what a compiled function refers to
        return self._dispatcher._numba_type_

    @cached_property
    def _dispatcher(self) -> Any:
        dispatcher: Any = numba.njit(nogil=True, error_model="numpy", **self._options)(self.py_func)
        source = Path(self.py_func.__code__.co_filename)
        directory = _cache_directory(_digest(source)) if source.exists() else None
        if directory is not None:
            # The variable is only read while the cache is made: other users of numba keep theirs.
            with _making:
                before, _settings.CACHE_DIR = _settings.CACHE_DIR, str(directory)
                try:
                    dispatcher._cache = _KernelCache(self.py_func)
                finally:
                    _settings.CACHE_DIR = before
        return dispatcher


class _KernelCache(FunctionCache):
    """A cache that says when it misses, and that does without a file it cannot read or write."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            # numba would read everything that its compiler knows first, which takes longer than all kernels.
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                found = self._load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - a damaged pickle raises anything; compiling again mends it
            self.flush_quietly()
            found = None
        if found is None:
            _announce()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            with _alone_in(Path(self.cache_path)):
                super().save_overload(sig, data)
        except OSError:  # disk full, directory gone: the kernel works all the same
            self.disable()

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # numba would hash the pickled closure, and a compiled function in it pickles differently each run.
        return sig, codegen.magic_tuple(), _identity(self._py_func)

    def flush_quietly(self) -> None:
        try:
            self.flush()
        except OSError:
            self.disable()


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other processes from saving kernels there.

    numba reads the list of a function's kernels, adds to it and writes it: of two processes that do so at a
    time, one would find the other's kernel under the name of its own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _identity(value: Any) -> object:
    """Describe a function, and what it closes over, the same way in every run."""
    function = getattr(value, "py_func", value)
    if not hasattr(function, "__code__"):
        return repr(value)
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    return function.__module__, function.__qualname__, tuple(_identity(content) for content in cells)


@cache
def _announce() -> None:
    for tell in _listeners:
        tell(_MESSAGE)


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
            numba.__version__,
            llvmlite.__version__,
            f"{llvmlite.binding.get_host_cpu_name()} {features}",
            f"boundscheck={_settings.BOUNDSCHECK} optimise={_settings.OPT}",
        )
    )


def _reachable(start: Path) -> set[Path]:
    """All sources in `start` (a directory or a file) and, transitively, all that they import of ours."""
    found: set[Path] = {Path(__file__)}
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
    found = set()
    for dotted, names in _IMPORT.findall(_content(path)):
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
