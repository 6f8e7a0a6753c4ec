"""numba, which is imported when a kernel has to be compiled.

What kernels call is compiled once, too, and kept in numba's own cache, in the directory of the kernels.
"""

# numba's inside has no types:
# mypy: disable-error-code="no-untyped-call"

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.registry import cpu_target
from numba.core.types import Array, BaseTuple, NoneType, unliteral
from numba.np.numpy_support import as_dtype, from_dtype

from vxlanalyze.kernels.kernel_cache import alone_with, identity
from vxlanalyze.kernels.machine_code import ARRAY_LAYOUTS, Code

_settings: Any = numba.config

# References to arrays are not counted: counting is an atomic operation at each call of each function, and
# costs a decoder more than decoding. So kernels cannot make arrays. Entries for Python, which nobody uses,
# would cost a fifth of the compile time.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def dispatcher_of(function: Callable[..., Any], directory: Path | None) -> Any:
    """Give what numba makes of a function that compiled functions call, with a cache in a directory."""
    dispatcher = _dispatcher(function)
    dispatcher.get_call_template = partial(_template_for_numbers, dispatcher.get_call_template)
    if directory is not None:
        # The variable is only read while the cache is made: other users of numba keep theirs.
        before, _settings.CACHE_DIR = _settings.CACHE_DIR, str(directory)
        try:
            dispatcher._cache = _KernelCache(function)
        finally:
            _settings.CACHE_DIR = before
    return dispatcher


def _template_for_numbers(template_for: Callable[..., Any], args: Any, kws: Any) -> Any:
    """Have numba compile a function for numbers, not once more for each constant that it is called with."""
    return template_for(tuple(unliteral(a) for a in args), {name: unliteral(kws[name]) for name in kws})


def _dispatcher(function: Callable[..., Any]) -> Any:
    return numba.njit(pipeline_class=_Pipeline, **_OPTIONS)(function)


class _Pipeline(CompilerBase):
    """numba's own steps, into a library of ours."""

    def define_pipelines(self) -> list[Any]:
        self.state.library = _Library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


class _Library(JITCodeLibrary):
    """A function for LLVM, which makes machine code of it on demand only.

    numba would optimise each function, and make machine code of it, before those that call it take it in and
    do so again. That was a third of the compile time.
    """

    def object_code(self, name: str) -> bytes:
        """Optimise the function of a name with all that it calls, and give its object file."""
        self._ensure_finalized()
        # An array is seven numbers to numba. What nobody else can call, LLVM takes in where it is called, or
        # leaves out the numbers that are not used: the decoder takes two thirds of the time.
        for function in self._final_module.functions:
            if not function.is_declaration and function.name != name:
                function.linkage = "internal"
        super()._optimize_final_module()
        code: bytes = self._codegen._tm.emit_object(self._final_module)
        return code

    @property
    def codegen(self) -> Any:
        return _Unexecuted

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    def serialize_using_object_code(self) -> tuple[str, str, bytes]:
        kept: tuple[str, str, bytes] = self.serialize_using_bitcode()
        return kept

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _Unexecuted:
    """What gives code in this process its environment; there is none."""

    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        pass


def compile_for(function: Callable[..., Any], kinds: Iterable[str]) -> Code:
    """Compile a function for arguments of these kinds; see `machine_code.spelled`.

    Raises
    ------
    TypeError
        It cannot be compiled, or calls what only numba has.
    """
    types = types_of(function, kinds)
    dispatcher = _dispatcher(function)  # without numba's cache, which keeps no names of what is called
    dispatcher.compile(types)
    made = dispatcher.overloads[types]
    object_code = made.library.object_code(made.fndesc.llvm_func_name)
    _demand_known(made.library.get_function(made.fndesc.llvm_func_name).module, made.fndesc.qualname)
    result = made.signature.return_type
    is_tuple = isinstance(result, BaseTuple)
    parts = tuple(result) if is_tuple else () if isinstance(result, NoneType) else (result,)
    strings = tuple(as_dtype(part).str for part in parts)
    return Code(made.fndesc.mangled_name, strings, is_tuple, object_code)


def types_of(function: Callable[..., Any], kinds: Iterable[str]) -> tuple[Any, ...]:
    """Give numba's types for kinds; the names of named tuples are those that the function's module knows."""
    return tuple(_types(iter(kinds), function.__globals__))


def _types(kinds: Iterator[str], names: Mapping[str, Any]) -> Iterator[Any]:
    for kind in kinds:
        if kind == ")":
            return
        if kind[-1] == "(":
            yield BaseTuple.from_types(list(_types(kinds, names)), names.get(kind[:-1]))
        elif kind[-2] in ARRAY_LAYOUTS:
            layout: Any = kind[-2]
            # Read-only arrays are taken for others, for which the same code serves.
            yield Array(from_dtype(np.dtype(kind[:-2])), int(kind[-1]), layout)
        else:
            yield from_dtype(np.dtype(kind))


def _demand_known(module: Any, name: str) -> None:
    """See to it that whoever loads the code finds all that it calls: else LLVM ends the process."""
    c_library = ctypes.CDLL(None)
    for called in module.functions:
        own = called.is_declaration and not called.name.startswith("llvm.")
        if own and not hasattr(c_library, called.name):
            raise TypeError(f"{name} calls {called.name}, which only numba has")


def type_of_intrinsic(function: Any) -> Any:
    """Give numba's type of a function by ``numba.extending.intrinsic``."""
    context = cpu_target.typing_context
    context.refresh()
    return context.resolve_value_type(function)


class _KernelCache(FunctionCache):
    """A cache that does without a file it cannot read or write."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - a damaged pickle raises anything; compiling again mends it
            self.flush_quietly()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            # numba reads the list of a function's kernels, adds to it and writes it: of two processes that do
            # so at a time, one would find the other's kernel under the name of its own.
            with alone_with(Path(self.cache_path) / "lock"):
                super().save_overload(sig, data)
        except OSError:  # disk full, directory gone: the kernel works all the same
            self.disable()

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # numba would hash the pickled closure, and a compiled function in it pickles differently each run.
        return sig, codegen.magic_tuple(), identity(self._py_func)

    def flush_quietly(self) -> None:
        try:
            self.flush()
        except OSError:
            self.disable()
