"""Compile kernels with numba, for the library and for kernels newer than it.

Only who builds imports this, and a checkout.
"""

# numba's inside has no types:
# mypy: disable-error-code="no-untyped-call"

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba
import numpy as np
from llvmlite import ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.registry import cpu_target
from numba.core.types import Array as ArrayType
from numba.core.types import BaseTuple, NoneType, int64, intp, uint64, unliteral
from numba.extending import intrinsic
from numba.np import arrayobj
from numba.np.numpy_support import as_dtype, from_dtype

from vxlanalyze.kernels.build.signature import Array, Items, Parameter, flattened, parse
from vxlanalyze.kernels.decorator import Kernel
from vxlanalyze.kernels.loader import CHECKED

# Reference counts of arrays are atomic operations at each function call, which would cost more than decoding
# itself. So kernels cannot create arrays. The other entry points that numba would create are not needed.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
_LLVM_TYPES = {"b1": "i8", "f4": "float", "f8": "double"}


class Compiled(NamedTuple):
    """A kernel in LLVM's terms.

    Parameters
    ----------
    module : llvmlite.binding.ModuleRef
        Holds the function, with all that it calls.
    results, is_tuple
        Its results; see `loader.Entry`.
    """

    module: Any
    results: tuple[str, ...]
    is_tuple: bool


def dispatcher_of(function: Callable[..., Any]) -> Any:
    """Give numba's dispatcher of a function called by compiled functions."""
    dispatcher = numba.njit(pipeline_class=_Pipeline, **_OPTIONS)(function)
    dispatcher.get_call_template = partial(_template_for_numbers, dispatcher.get_call_template)
    return dispatcher


def _template_for_numbers(template_for: Callable[..., Any], args: Any, kws: Any) -> Any:
    """Make numba compile a function for numbers, rather than again for each constant argument."""
    return template_for(tuple(unliteral(a) for a in args), {name: unliteral(kws[name]) for name in kws})


class _Pipeline(CompilerBase):
    """numba's own passes; inlined functions are optimised once, where they are inlined."""

    def define_pipelines(self) -> list[Any]:
        if not _executed:
            self.state.library = _Library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


_executed: list[bool] = []  # not empty if this process runs what it compiles


class _Library(JITCodeLibrary):
    """A function for LLVM, with machine code generated only on demand."""

    def module_of(self, name: str) -> Any:
        """Optimise a function by name with everything it calls, and give the module."""
        self._ensure_finalized()
        # An array is seven numbers to numba. If a function cannot be called from elsewhere, LLVM drops the
        # unused numbers: the decoder takes two thirds of the time.
        for function in self._final_module.functions:
            if not function.is_declaration and function.name != name:
                function.linkage = "internal"
        for variable in self._final_module.global_variables:
            if not variable.is_declaration:
                variable.linkage = "internal"
        super()._optimize_final_module()
        return self._final_module

    @property
    def codegen(self) -> Any:
        return _Unexecuted

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _Unexecuted:
    """Would provide the environment of code in this process; there is none."""

    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        pass


def compile_now(kernel: Kernel) -> Callable[..., Any]:
    """Compile a kernel for this process; with ``NUMBA_BOUNDSCHECK=1`` each index is checked."""
    _executed.append(True)
    options = {name: value for name, value in _OPTIONS.items() if name in ("nogil", "error_model")}
    call: Callable[..., Any] = numba.njit(**options)(kernel.py_func)
    return call


def compile_kernel(kernel: Kernel, symbol: str) -> Compiled:
    """Compile a kernel for the library, under a name.

    Raises
    ------
    TypeError
        It cannot be compiled, calls something that only numba provides, or does not match the calling
        convention of `loader`.
    """
    parameters = parse(kernel.declared or "")
    types = tuple(_types(parameters, kernel.py_func.__globals__))
    dispatcher = dispatcher_of(kernel.py_func)
    dispatcher.compile(types)
    made = dispatcher.overloads[types]
    module = made.library.module_of(made.fndesc.llvm_func_name)
    function = module.get_function(made.fndesc.llvm_func_name)
    _require_convention(kernel, function, parameters)
    _require_known(kernel, module)
    function.name = symbol
    result = made.signature.return_type
    is_tuple = isinstance(result, BaseTuple)
    parts = tuple(result) if is_tuple else () if isinstance(result, NoneType) else (result,)
    return Compiled(module, tuple(as_dtype(part).str[1:] for part in parts), is_tuple)


def _types(parameters: Sequence[Parameter], names: Mapping[str, Any]) -> list[Any]:
    """Give numba's types; the names of named tuples are those that the function's module knows."""
    result: list[Any] = []
    for parameter in parameters:
        if isinstance(parameter, Items):
            items = _types(parameter.items, names)
            result.append(BaseTuple.from_types(items, names[parameter.name] if parameter.name else None))
        elif isinstance(parameter, Array):
            result.append(ArrayType(from_dtype(parameter.dtype), parameter.axes, "C"))
        else:
            result.append(from_dtype(np.dtype(parameter.code)))
    return result


def _require_convention(kernel: Kernel, function: Any, parameters: Sequence[Parameter]) -> None:
    """Check that the function matches the calling convention of `loader`."""
    made = [_plain(argument.type) for argument in function.arguments]
    codes = ("p", "p", *flattened(parameters))
    assumed = ["ptr" if code == "p" else _LLVM_TYPES.get(code, f"i{8 * int(code[1])}") for code in codes]
    if made != assumed:
        raise TypeError(f"{kernel.name} takes {made}, where the loader gives {assumed}")


def _plain(type_: Any) -> str:
    name = str(type_)
    return "ptr" if name.endswith("*") or name == "ptr" else name


def _require_known(kernel: Kernel, module: Any) -> None:
    """Check that the C library provides everything the code calls: nothing else is available at load."""
    c_library = ctypes.CDLL(None)
    for called in module.functions:
        own = called.is_declaration and not called.name.startswith("llvm.")
        if own and not hasattr(c_library, called.name):
            raise TypeError(f"{kernel.name} calls {called.name}, which only numba has")


def target_machine(level: str) -> Any:
    """Give LLVM's view of a processor level, for position-independent code."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    cpu = level if level.startswith("x86") else "generic"
    kind = "x86_64" if level.startswith("x86") else level
    target = llvm.Target.from_triple(f"{kind}-unknown-linux-gnu")
    return target.create_target_machine(cpu=cpu, features="", opt=3, reloc="pic", codemodel="default")


def machine_code(machine: Any, module: Any) -> bytes:
    """Create an object file of a module, possibly for another kind of machine."""
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    code: bytes = machine.emit_object(module)
    return code


def assembled(machine: Any, assembly: str) -> bytes:
    """Create an object file from LLVM assembly."""
    return machine_code(machine, llvm.parse_assembly(assembly))


def numba_type_of(function: Callable[..., Any]) -> Any:
    """Give numba's type of a function that compiled functions call.

    Where it has an ``instruction`` (see `wire.octets`), it becomes that one, which checks nothing.
    """
    if hasattr(function, "instruction") and not CHECKED:
        load = intrinsic(_load(*function.instruction))
        context = cpu_target.typing_context
        context.refresh()  # else it does not know of what was made just now
        return context.resolve_value_type(load)
    return _callee(function)._numba_type_


_callee = cache(dispatcher_of)  # numba keeps no hold of them


def _load(bits: int, network_order: bool) -> Callable[..., Any]:
    """Write, for numba, how an integer is loaded from an array of octets, at any alignment."""
    make_array: Any = arrayobj.make_array
    result = uint64 if bits == 64 else int64

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(bits).as_pointer())
        value = builder.load(address)
        value.align = 1
        if network_order and bits > 8:
            value = builder.bswap(value)
        return value if bits == 64 else builder.zext(value, ir.IntType(64))

    def load(typing_context: Any, data: Any, at: Any) -> Any:
        return result(data, intp), emit

    return load
