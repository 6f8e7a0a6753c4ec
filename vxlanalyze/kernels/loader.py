"""Load the shared library of kernels built with the package, and call its functions.

A compiled function takes numbers and addresses (`signature.flattened`) and returns a status:

    int32 function(result *, exception **, number or address...)

`build` compares this with the compiled signature of each kernel, and a mismatch ends the build.

Source: numba documentation, "Numba architecture"; x86-64 psABI, section 3.1.1 (levels of the architecture).
"""

import ctypes
import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vxlanalyze.errors import VxlanalyzeError
from vxlanalyze.kernels.signature import Array, Items, Number, Parameter, flattened, parse

PACKAGE = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "built"
MANIFEST = FOLDER / "manifest.json"
_REBUILD = "install vxlanalyze again (pip install --force-reinstall vxlanalyze; in a checkout: pip install .)"
_TYPES: dict[str, Any] = {
    "p": ctypes.c_void_p, "b1": ctypes.c_bool, "f4": ctypes.c_float, "f8": ctypes.c_double,
    "i1": ctypes.c_int8, "i2": ctypes.c_int16, "i4": ctypes.c_int32, "i8": ctypes.c_int64,
    "u1": ctypes.c_uint8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "u8": ctypes.c_uint64,
}  # fmt: skip
# Processor features required for each level, by Linux's flag names; best first.
LEVELS = {
    "x86-64-v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
    "x86-64-v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "aarch64": set[str](),
}
_FLAGS_WITHIN_BYTES = 1 << 14  # of /proc/cpuinfo, which repeats for each processor
_FINE = (0, -2)  # with a result, and without


class KernelError(VxlanalyzeError):
    """The compiled functions of this installation cannot be used."""


class Entry(NamedTuple):
    """One compiled function of the library.

    Parameters
    ----------
    symbol : str
        Its name in the library.
    declared : str
        Types of its arguments; see `signature`.
    results : sequence of str
        Codes of its results; several for a tuple, none for None.
    is_tuple : bool
        Whether it returns a tuple.
    fingerprint : str
        Fingerprint of its source; see `fingerprint`.
    """

    symbol: str
    declared: str
    results: Sequence[str]
    is_tuple: bool
    fingerprint: str


@cache
def manifest() -> dict[str, Any]:
    """Read the manifest of the build; raises KernelError if there is none."""
    try:
        content: dict[str, Any] = json.loads(MANIFEST.read_bytes())
    except OSError:
        raise KernelError(f"{FOLDER}: holds no compiled kernels; {_REBUILD}") from None
    except ValueError:
        raise KernelError(f"{MANIFEST}: damaged; {_REBUILD}") from None
    return content


def is_checkout() -> bool:
    """Whether the package is in its source tree, where kernels may be newer than the library."""
    return (PACKAGE.parent / "pyproject.toml").exists()


@cache
def library() -> ctypes.CDLL:
    """Load the library for this processor.

    Raises
    ------
    KernelError
        There is none, or it does not match the manifest.
    """
    digests = manifest()["libraries"]
    level = level_of_processor()
    names = [name for name in LEVELS if name in digests and name in _runnable(level)]
    if not names:
        raise KernelError(
            f"no kernels for this processor ({level or platform.machine() + ', older than x86-64-v2'}), "
            f"only for {', '.join(digests)}; {_REBUILD} on this machine"
        )
    path = FOLDER / f"{names[0]}.so"
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digests[names[0]]:
            raise KernelError(f"{path}: not the library that was built; {_REBUILD}")
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelError(f"{path}: cannot be loaded ({error}); {_REBUILD}") from None


def level_of_processor() -> str | None:
    """Name the best of `LEVELS` that this processor supports; None if none."""
    machine = platform.machine()
    if machine in LEVELS:
        return machine
    if machine != "x86_64":
        return None
    try:
        with open("/proc/cpuinfo", "rb") as file:
            flags = set(file.read(_FLAGS_WITHIN_BYTES).decode(errors="replace").split())
    except OSError:  # a chroot without /proc: assume what every processor since 2009 supports
        return "x86-64-v2"
    lacking = {name: needed - flags for name, needed in LEVELS.items() if name.startswith("x86")}
    if not lacking["x86-64-v2"]:
        return "x86-64-v2" if lacking["x86-64-v3"] else "x86-64-v3"
    return None


def _runnable(level: str | None) -> tuple[str, ...]:
    names = tuple(LEVELS)
    return () if level is None else names[names.index(level) : 2] if level in names[:2] else (level,)


def bind(entry: Entry) -> Callable[..., Any]:
    """Make a compiled function callable with arrays, numbers and tuples, without the interpreter lock."""
    parameters = parse(entry.declared)
    function = library()[entry.symbol]
    function.restype = ctypes.c_int32
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, *(_TYPES[code] for code in flattened(parameters)))
    fields = [(f"_{at}", _TYPES[code]) for at, code in enumerate(entry.results)]
    Result = type("Result", (ctypes.Structure,), {"_fields_": fields})  # noqa: N806
    flatten = _flattener(parameters)

    def call(*arguments: Any) -> Any:
        try:
            numbers = flatten(arguments)
        except _MisfitError as misfit:
            raise TypeError(f"{entry.symbol} takes {entry.declared}, not {misfit}") from None
        result: Any = Result()
        status = function(ctypes.byref(result), ctypes.byref(ctypes.c_void_p()), *numbers)
        if status not in _FINE:
            raise IndexError(f"{entry.symbol} raised, with status {status}")
        values = tuple(getattr(result, name) for name, _ in fields)
        return values if entry.is_tuple else values[0] if values else None

    return call


class _MisfitError(Exception):
    """An argument does not match a kernel's signature; says what it is."""


def _flattener(parameters: Sequence[Parameter]) -> Callable[[Sequence[Any]], list[Any]]:
    """Give a function that converts arguments to the numbers of compiled code; it runs at each call."""
    parts = [_part(parameter) for parameter in parameters]

    def flatten(values: Sequence[Any]) -> list[Any]:
        if len(values) != len(parts):
            raise _MisfitError(f"{len(values)} values")
        numbers: list[Any] = []
        for part, value in zip(parts, values, strict=True):
            numbers += part(value)
        return numbers

    return flatten


def _part(parameter: Parameter) -> Callable[[Any], Sequence[Any]]:
    if isinstance(parameter, Items):
        return _flattener(parameter.items)
    return _of_array(parameter) if isinstance(parameter, Array) else _of_number(parameter)


def _of_array(parameter: Array) -> Callable[[Any], Sequence[Any]]:
    dtype, axes, item_bytes = parameter.dtype, parameter.axes, parameter.dtype.itemsize

    def part(value: Any) -> Sequence[Any]:
        fits = isinstance(value, np.ndarray) and value.dtype == dtype and value.ndim == axes
        if not fits or not value.flags.c_contiguous:
            raise _MisfitError(_described(value))
        address = value.__array_interface__["data"][0]
        return None, None, value.size, item_bytes, address, *value.shape, *value.strides

    return part


def _of_number(parameter: Number) -> Callable[[Any], Sequence[Any]]:
    convert = float if parameter.code[0] == "f" else int

    def part(value: Any) -> Sequence[Any]:
        if not isinstance(value, (bool, int, float, np.generic)):
            raise _MisfitError(_described(value))
        return (convert(value),)

    return part


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        layout = "" if value.flags.c_contiguous else " with strides"
        return f"{value.dtype}[{',' * (value.ndim - 1)}]{layout}"
    return type(value).__name__
