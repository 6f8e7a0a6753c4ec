"""The decorator of all compiled functions.

On the first call numba compiles them (`compiler`) to machine code that is kept between runs (`kernel_cache`).
What is kept is loaded without numba (`machine_code`).

Source: numba documentation, "Environment variables" (``NUMBA_BOUNDSCHECK``, ``NUMBA_DISABLE_JIT``).
"""

import atexit
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, cast

from vxlanalyze.kernels import machine_code
from vxlanalyze.kernels.kernel_cache import alone_with, directory_for, identity, is_shared
from vxlanalyze.kernels.machine_code import Code

_Function = TypeVar("_Function", bound=Callable[..., Any])

# As plain Python, and with every index checked, the tests prove that kernels read nothing that is not there.
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
CHECKED = os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0"

_NAME_LETTERS = 20
_MESSAGE = "compiling kernels, once per machine: some seconds"
_AHEAD = "import sys; sys.path.append(sys.argv[1]); from vxlanalyze.kernels.compile_ahead import main; main()"
_making = RLock()


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


def _begin_ahead() -> None:
    """Have another core compile what comes later; see `compile_ahead`."""
    if (os.cpu_count() or 1) > 1 and sys.executable:
        from subprocess import DEVNULL, Popen

        # -P: nothing is imported from the directory that the user happens to be in.
        command = [sys.executable, "-P", "-c", _AHEAD, str(Path(__file__).parents[2])]
        with suppress(OSError):  # no room for another process: it only takes longer
            process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
            atexit.register(process.terminate)


_helpers: list[Callable[[], None]] = [_begin_ahead]


def compile_alone() -> None:
    """Begin no process that compiles ahead."""
    _helpers.clear()


@cache
def _announce(shared: bool) -> None:
    """Say it once, and have another process help where it would put what it makes into the same place."""
    for tell in _listeners:
        tell(_MESSAGE)
    if shared:
        for begin in _helpers:
            begin()


def compiled(function: _Function) -> _Function:
    """Compile a function on its first call, and keep the result.

    It takes arrays, numbers, and tuples of these, makes no arrays, and gives numbers or a tuple of them. It
    runs without the interpreter lock. Content never raises: a division by zero gives what numpy gives. With
    ``NUMBA_DISABLE_JIT=1`` it stays as it is.
    """
    if PLAIN:
        return function
    _name_apart(function)
    return cast(_Function, _Kernel(function))


def intrinsic(make: Callable[[], Any]) -> Any:
    """Give a function in the compiler's own terms, for compiled functions to call.

    Parameters
    ----------
    make : callable
        Makes it, by ``numba.extending``, when something is compiled.
    """
    return _Intrinsic(make)


def _name_apart(function: Callable[..., Any]) -> None:
    """Give closures of one definition names of their own, which say what they close over.

    In machine code, numba names a function by its module, qualified name and types, and by a number that each
    process counts anew. Where new code takes in code that another process compiled and cached, two closures
    of one definition may have equal numbers, and one would be taken for the other without a word.
    """
    if function.__closure__:
        content = hashlib.sha256(repr(identity(function)).encode()).hexdigest()[:_NAME_LETTERS]
        function.__qualname__ += f"_{content}"


class _Intrinsic:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def _numba_type_(self) -> Any:  # numba asks this of what a compiled function refers to
        from vxlanalyze.kernels.compiler import type_of_intrinsic

        return type_of_intrinsic(self._make())


class _Kernel:
    """A function that is loaded, or compiled, when it is first called or another kernel takes it in."""

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.py_func = function
        self._loaded: dict[tuple[Any, ...], Callable[[list[Any]], Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        kinds, numbers = machine_code.unpack(arguments)
        call = self._loaded.get(kinds)
        if call is None:
            with _making:
                names = machine_code.spelled(kinds)
                call = self._loaded[kinds] = machine_code.load(self.code(names), names)
        return call(numbers)

    @property
    def _numba_type_(self) -> Any:  # numba asks this of what a compiled function refers to
        return self._dispatcher._numba_type_

    @cached_property
    def _dispatcher(self) -> Any:
        from vxlanalyze.kernels.compiler import dispatcher_of

        return dispatcher_of(self.py_func, self._directory)

    @cached_property
    def _directory(self) -> Path | None:
        return directory_for(Path(self.py_func.__code__.co_filename))

    def code(self, kinds: tuple[str, ...]) -> Code:
        """Read what is kept for arguments of these kinds, or compile and keep it."""
        if self._directory is None:
            _announce(shared=False)
            return self._compile(kinds)
        name = hashlib.sha256(repr((identity(self.py_func), kinds)).encode()).hexdigest()[:_NAME_LETTERS]
        place = self._directory / f"{self.py_func.__name__}-{name}.kernel"
        code = _read(place)
        if code is not None:
            return code
        _announce(is_shared(self._directory))
        # Disk full, directory gone: the kernel works all the same.
        with suppress(OSError), alone_with(place.with_suffix(".lock")):
            code = _read(place)  # another process may have compiled it meanwhile
            if code is None:
                code = self._compile(kinds)
                _keep(place, code)
        return code or self._compile(kinds)

    def _compile(self, kinds: tuple[str, ...]) -> Code:
        from vxlanalyze.kernels.compiler import compile_for

        return compile_for(self.py_func, kinds)

    def compile_part(self, kinds: tuple[str, ...]) -> None:
        """Compile, and keep, what kernels that call it with arguments of these kinds take in."""
        from vxlanalyze.kernels.compiler import types_of

        self._dispatcher.compile(types_of(self.py_func, kinds))


def _read(place: Path) -> Code | None:
    """Read a kernel that was kept; None where there is none, or it is damaged."""
    try:
        digest, about, object_code = place.read_bytes().split(b"\n", 2)
        if hashlib.sha256(about + object_code).hexdigest().encode() != digest:
            return None
        symbol, result, is_tuple = json.loads(about)
        return Code(symbol, result, is_tuple, object_code)
    except (OSError, ValueError):
        return None


def _keep(place: Path, code: Code) -> None:
    *about, object_code = code
    described = json.dumps(about).encode()
    digest = hashlib.sha256(described + object_code).hexdigest().encode()
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        file.write(b"\n".join((digest, described, object_code)))
    os.replace(file.name, place)
