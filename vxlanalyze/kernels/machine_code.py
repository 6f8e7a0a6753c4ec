"""Machine code that numba has compiled: loaded, and called, without numba.

numba takes longer to import than a small pair of captures to analyse, and all that a kernel which is kept
needs is LLVM's loader. Its functions take every argument as numbers and addresses, and say how they ended:

    int32 function(result *, exception **, number or address...)

with an array as its owner (null), its object (null), items, bytes of an item, address, and the extents and
strides of its axes; and a tuple as what is in it.

Sources: numba documentation, "Numba architecture" and "Notes on Caching"; numba.core.callconv.CPUCallConv and
numba.core.datamodel.models.ArrayModel; llvmlite documentation, "Execution engine".
"""

# mypy: disable-error-code="no-untyped-call"

import ctypes
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_ssize_t
_SCALARS: dict[str, Any] = {
    "|b1": ctypes.c_bool,
    "|i1": ctypes.c_int8, "|u1": ctypes.c_uint8,
    "<i2": ctypes.c_int16, "<u2": ctypes.c_uint16,
    "<i4": ctypes.c_int32, "<u4": ctypes.c_uint32,
    "<i8": ctypes.c_int64, "<u8": ctypes.c_uint64,
    "<f4": ctypes.c_float, "<f8": ctypes.c_double,
}  # fmt: skip
ARRAY_LAYOUTS = "CA"  # of a kind of array: contiguous in C's order, any

_MOST_INT64 = (1 << 63) - 1
_FINE = (0, -2)  # with a result, and without
_loading = Lock()


class Code(NamedTuple):
    """A compiled function.

    Parameters
    ----------
    symbol : str
        Its name.
    result : sequence of str
        What it gives, as numpy's type strings; several for a tuple, none for None.
    is_tuple : bool
        Whether it gives a tuple.
    object_code : bytes
        An object file of this machine.
    """

    symbol: str
    result: Sequence[str]
    is_tuple: bool
    object_code: bytes


class Unpacked(NamedTuple):
    """Arguments as machine code takes them: what kind each is of, and all numbers and addresses.

    Kinds are quick to compare: of an array its type and axes (with a minus where it is not contiguous), of a
    tuple what is in it, between its name with a parenthesis and another parenthesis. `spelled` names them.
    """

    kinds: tuple[Any, ...]
    numbers: list[Any]


def unpack(arguments: Iterable[Any]) -> Unpacked:
    """Take arrays and tuples apart.

    Raises
    ------
    TypeError
        An argument is of a kind that kernels do not take.
    """
    kinds: list[Any] = []
    numbers: list[Any] = []
    _unpack(arguments, kinds, numbers)
    return Unpacked(tuple(kinds), numbers)


def _unpack(arguments: Iterable[Any], kinds: list[Any], numbers: list[Any]) -> None:
    for value in arguments:
        if isinstance(value, np.ndarray):
            kinds += (value.dtype, value.ndim if value.flags.c_contiguous else -value.ndim)
            address = _address_of(value)
            numbers += (None, None, value.size, value.itemsize, address, *value.shape, *value.strides)
        elif isinstance(value, tuple):
            kinds.append(f"{type(value).__name__}(")
            _unpack(value, kinds, numbers)
            kinds.append(")")
        else:
            kinds.append(_kind_of(value))
            numbers.append(value.item() if isinstance(value, np.generic) else value)


def _address_of(array: NDArray[Any]) -> int | None:
    # In numpy's structure of an array, the address stands right behind what all objects have. numpy takes ten
    # times as long to tell, which counts where thirty columns are taken apart for each chunk of frames.
    return _ADDRESS.from_address(id(array) + object.__basicsize__).value


def spelled(kinds: Iterable[Any]) -> tuple[str, ...]:
    """Write kinds of arguments down: of an array as ``<u4C1``, with a letter of `ARRAY_LAYOUTS`."""
    words = []
    left = iter(kinds)
    for kind in left:
        if isinstance(kind, np.dtype):
            axes = next(left)
            words.append(f"{kind.str}{'C' if axes >= 0 else 'A'}{abs(axes)}")
        else:
            words.append(kind)
    return tuple(words)


def _kind_of(value: Any) -> str:
    """Give the type string of a number; what Python does not bound is taken for 64 bits.

    Raises
    ------
    TypeError
        It is no number.
    """
    if isinstance(value, np.generic):
        return value.dtype.str
    if isinstance(value, bool):
        return "|b1"
    if isinstance(value, int):
        return "<i8" if value <= _MOST_INT64 else "<u8"
    if isinstance(value, float):
        return "<f8"
    raise TypeError(f"a kernel takes arrays and numbers, not {type(value).__name__}")


def load(code: Code, kinds: Sequence[str]) -> Callable[[list[Any]], Any]:
    """Load a function.

    Parameters
    ----------
    kinds : sequence of str
        Of its arguments; see `spelled`.

    Returns
    -------
    callable
        Takes the numbers of its arguments, and gives its result. The interpreter lock is not held meanwhile.
        Raises IndexError where the function raises: kernels do so only with ``NUMBA_BOUNDSCHECK=1``.
    """
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, _ADDRESS, _ADDRESS, *_arguments(kinds))
    function = prototype(_address(code))
    fields = [(f"_{at}", _SCALARS[kind]) for at, kind in enumerate(code.result)]
    Result = type("Result", (ctypes.Structure,), {"_fields_": fields})  # noqa: N806
    is_tuple, name = code.is_tuple, code.symbol

    def call(numbers: list[Any]) -> Any:
        result: Any = Result()
        status = function(ctypes.byref(result), ctypes.byref(_ADDRESS()), *numbers)
        if status not in _FINE:
            raise IndexError(f"{name} raised, with status {status}")
        values = tuple(getattr(result, field) for field, _ in fields)
        return values if is_tuple else values[0] if values else None

    return call


def _arguments(kinds: Iterable[str]) -> Iterable[Any]:
    for kind in kinds:
        if kind in _SCALARS:
            yield _SCALARS[kind]
        elif kind[-1] not in "()":
            axes = int(kind[-1])
            yield from (_ADDRESS, _ADDRESS, _SIZE, _SIZE, _ADDRESS, *(2 * axes * [_SIZE]))


def _address(code: Code) -> int:
    with _loading:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code.object_code))
        engine.finalize_object()
        address: int = engine.get_function_address(code.symbol)
    return address


@cache
def _engine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.create_target_machine(jit=True))
