"""The decorator of all compiled functions.

They are written in Python and compiled when the wheel is built (`build`). In a checkout, those that have
changed since then are compiled by numba, if installed, in each process.

Source: numba documentation, "Environment variables" (``NUMBA_BOUNDSCHECK``, ``NUMBA_DISABLE_JIT``).
"""

import os
from collections.abc import Callable
from functools import cached_property, partial, update_wrapper
from threading import RLock
from typing import Any, TypeVar, cast, overload

from vxlanalyze.kernels import loader
from vxlanalyze.kernels.fingerprint import fingerprint
from vxlanalyze.kernels.loader import Entry, KernelError

_Function = TypeVar("_Function", bound=Callable[..., Any])

# As plain Python, and with every index checked, the tests prove that kernels never read out of bounds.
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
CHECKED = os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0"

KERNELS: "list[Kernel]" = []
"""All that declare their arguments, in the order of their definition: what is built."""

ENTRY_POINTS: list[Callable[[], str]] = []
"""Write, as LLVM's assembly, functions that C calls and that call kernels; built with them."""

_finding = RLock()


@overload
def compiled(declared: str) -> Callable[[_Function], _Function]: ...
@overload
def compiled(declared: _Function) -> _Function: ...
def compiled(declared: Any) -> Any:
    """Compile a function.

    It takes arrays, numbers, and tuples of these, creates no arrays, and returns numbers or a tuple of them.
    It runs without the interpreter lock. Content never raises: division by zero behaves as in numpy. With
    ``NUMBA_DISABLE_JIT=1`` it stays plain Python.

    Parameters
    ----------
    declared : str
        Types of the arguments (see `signature`), for functions called from Python. Those called only by
        compiled functions declare none: ``@compiled`` alone.
    """
    if isinstance(declared, str):
        return partial(_compiled, declared=declared)
    return _compiled(declared, declared=None)


def _compiled(function: _Function, declared: str | None) -> _Function:
    if PLAIN:
        return function
    kernel = Kernel(function, declared)
    if declared is not None:
        KERNELS.append(kernel)
    return cast(_Function, kernel)


def intrinsic(make: Callable[[], Any]) -> Any:
    """Define a compiler intrinsic for use in compiled functions.

    Parameters
    ----------
    make : callable
        Creates it with ``numba.extending`` when something is compiled.
    """
    return _Intrinsic(make)


class _Intrinsic:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __repr__(self) -> str:
        return repr(getattr(self._make, "args", ""))

    @cached_property
    def _numba_type_(self) -> Any:  # numba looks for this on objects that a compiled function refers to
        from vxlanalyze.kernels.compiler import type_of_intrinsic

        return type_of_intrinsic(self._make())


class Kernel:
    """A function that is looked up in the library when first called from Python."""

    def __init__(self, function: Callable[..., Any], declared: str | None) -> None:
        update_wrapper(self, function)
        self.py_func = function
        self.declared = declared

    @property
    def name(self) -> str:
        """Its module and name, without the package's."""
        return f"{self.py_func.__module__}.{self.py_func.__qualname__}".removeprefix("vxlanalyze.")

    def __call__(self, *arguments: Any) -> Any:
        """Run it; raises KernelError if it is not built, and TypeError if arguments do not match."""
        return self._callable(*arguments)

    @cached_property
    def _callable(self) -> Callable[..., Any]:
        if self.declared is None:
            raise TypeError(f"{self.name} is called from Python, so @compiled has to declare its arguments")
        with _finding:
            entry = self._built()
            if entry is not None:
                return loader.bind(entry)
            from vxlanalyze.kernels.compiler import compile_now

            return compile_now(self)

    def _built(self) -> Entry | None:
        """Give its entry in the library; None if numba must compile it.

        Raises
        ------
        KernelError
            Neither is possible.
        """
        if CHECKED:
            return None
        checkout = loader.is_checkout()
        try:
            described = loader.manifest()["kernels"].get(self.name)
        except KernelError:
            if checkout and _has_numba():
                return None
            raise
        entry = None if described is None else Entry(**described)
        if entry is None or (checkout and entry.fingerprint != fingerprint(self)):
            if not _has_numba():
                raise KernelError(
                    f"{self.name} has changed since its library was built, and numba is not installed; run "
                    "pip install . in the checkout"
                )
            return None
        return entry

    @cached_property
    def _dispatcher(self) -> Any:
        from vxlanalyze.kernels.compiler import dispatcher_of

        return dispatcher_of(self.py_func)

    @property
    def _numba_type_(self) -> Any:  # numba looks for this on objects that a compiled function refers to
        return self._dispatcher._numba_type_


def _has_numba() -> bool:
    from importlib.util import find_spec

    return find_spec("numba") is not None
