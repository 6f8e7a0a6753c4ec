"""The decorator of all functions that are compiled when the wheel is built (`build`), called by `loader`.

In a checkout, `build.checkout` compiles those that have changed since.
Source: numba documentation, "Environment variables" (``NUMBA_DISABLE_JIT``).
"""

import os
from collections.abc import Callable
from functools import cached_property, partial, update_wrapper
from threading import RLock
from typing import Any, TypeVar, cast, overload

from vxlanalyze.kernels import loader

_Function = TypeVar("_Function", bound=Callable[..., Any])

# As plain Python, and with every index checked, the tests prove that kernels never read out of bounds.
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"

KERNELS: "list[Kernel]" = []  # all that declare their arguments, in the order of their definition
ENTRY_POINTS: list[Callable[[], str]] = []  # write functions that C calls and that call kernels, for LLVM
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
        Types of the arguments (see `build.signature`), for functions called from Python. Those called only
        by compiled functions declare none: ``@compiled`` alone.
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
            if not loader.is_checkout():
                return loader.bind(loader.entry(self.name))
            from vxlanalyze.kernels.build import checkout

            return checkout.callable_of(self)

    @cached_property
    def _numba_type_(self) -> Any:  # numba looks for this on objects that a compiled function refers to
        from vxlanalyze.kernels.build.compiler import numba_type_of

        return numba_type_of(self.py_func)
