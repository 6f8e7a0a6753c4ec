"""Load the shared library of kernels built with the package, and call its functions.

A compiled function takes numbers and addresses and returns a status:

    int32 function(result *, exception **, number or address...)

`build` compares this with the compiled signature of each kernel, and a mismatch ends the build.

Source: numba documentation, "Numba architecture"; x86-64 psABI, section 3.1.1 (levels of the architecture).
"""

import ctypes
import hashlib
import json
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vxlanalyze.errors import VxlanalyzeError

CHECKED = os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0"
"""Whether each index is checked: by a library of its own, or by kernels that numba compiles."""

BUILT, BUILT_CHECKED = (Path(__file__).parent / name for name in ("built", "checked"))
FOLDER = BUILT_CHECKED if CHECKED and BUILT_CHECKED.exists() else BUILT
MANIFEST = FOLDER / "manifest.json"
_REBUILD = "install vxlanalyze again (pip install --force-reinstall vxlanalyze; in a checkout: pip install .)"
_TYPES: dict[str, Any] = {
    "p": ctypes.c_void_p, "b1": ctypes.c_bool, "f4": ctypes.c_float, "f8": ctypes.c_double,
    **{f"{k[0]}{n}": getattr(ctypes, f"c_{k}{8 * n}") for k in ("int", "uint") for n in (1, 2, 4, 8)},
}  # fmt: skip
# Processor features required for each level, by Linux's flag names; best first.
LEVELS = {
    "x86-64-v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
    "x86-64-v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "aarch64": set[str](),
}
_FLAGS_WITHIN_BYTES = 1 << 14  # of /proc/cpuinfo, which repeats for each processor
_FINE = (0, -2)  # with a result, and without
_Byte = ctypes.c_char


class KernelError(VxlanalyzeError):
    """The compiled functions of this installation cannot be used."""


class Entry(NamedTuple):
    """A function of the library: its symbol, its declared arguments and what it returns.

    `results` are codes, several for a tuple, none for None; `fingerprint` is of the source.
    """

    symbol: str
    declared: str
    results: Sequence[str]
    is_tuple: bool
    fingerprint: str


def is_checkout() -> bool:
    """Whether the package is in its source tree, where kernels may be newer than the library."""
    return Path(__file__).parents[2].joinpath("pyproject.toml").exists()


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


def entry(name: str) -> Entry:
    """Look a kernel up; raises KernelError where it is not in the library."""
    described = manifest()["kernels"].get(name)
    if described is None:
        raise KernelError(f"{MANIFEST}: of another version, without {name}; {_REBUILD}")
    return Entry(**described)


@cache
def library() -> ctypes.CDLL:
    """Load the library for this processor; raises KernelError where there is none, or not the one built."""
    digests = manifest()["libraries"]
    here = runnable()
    name = next((name for name in here if name in digests), None)
    if name is None:
        level, there = here[0] if here else f"{platform.machine()}, older than x86-64-v2", ", ".join(digests)
        raise KernelError(f"no kernels for this processor ({level}), only for {there}; {_REBUILD} here")
    path = FOLDER / f"{name}.so"
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != digests[name]:
            raise KernelError(f"{path}: not the library that was built; {_REBUILD}")
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelError(f"{path}: cannot be loaded ({error}); {_REBUILD}") from None


def runnable() -> list[str]:
    """Name those of `LEVELS` that this processor has, best first."""
    if platform.machine() != "x86_64":
        return [name for name in LEVELS if name == platform.machine()]
    try:
        with open("/proc/cpuinfo", "rb") as file:
            flags = set(file.read(_FLAGS_WITHIN_BYTES).decode(errors="replace").split())
    except OSError:  # a chroot without /proc: assume what every processor since 2009 supports
        return ["x86-64-v2"]
    return [name for name, needed in LEVELS.items() if needed and needed <= flags]


def bind(of: Entry) -> Callable[..., Any]:
    """Make a compiled function callable with arrays, numbers and tuples, without the interpreter lock."""
    takes = arguments(of.declared)
    function = library()[of.symbol]
    function.restype = ctypes.c_int32
    codes = ("p", "p", *(code for _, of_one in takes for code in of_one))
    function.argtypes = [_TYPES[code] for code in codes]
    fields = [(f"_{at}", _TYPES[code]) for at, code in enumerate(of.results)]
    Result = type("Result", (ctypes.Structure,), {"_fields_": fields})  # noqa: N806

    def call(*values: Any) -> Any:
        numbers: list[Any] = []
        try:
            for (numbers_of, _), value in zip(takes, _flat(values), strict=True):
                numbers += numbers_of(value)
        except ValueError as misfit:
            raise TypeError(f"{of.symbol} takes {of.declared}, not {misfit}") from None
        result: Any = Result()
        status = function(ctypes.byref(result), ctypes.byref(ctypes.c_void_p()), *numbers)
        if status not in _FINE:
            raise IndexError(f"{of.symbol} raised, with status {status}")
        given = tuple(getattr(result, name) for name, _ in fields)
        return given if of.is_tuple else given[0] if given else None

    return call


# The function from an argument to the numbers that compiled code takes for it, and the codes of these.
_Argument = tuple[Callable[[Any], Sequence[Any]], Sequence[str]]


def arguments(declared: str) -> list[_Argument]:
    """Read a declaration; tuples are passed as what they hold."""
    tokens = re.sub(r"\w*\(|\)", " ", declared).split()
    return [_array(token) if token[-1] == "]" else _number(token) for token in tokens]


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple):
            yield from _flat(value)
        else:
            yield value


def _array(token: str) -> _Argument:
    """An array is owner and object (both null), items, bytes of an item, address, extents and strides."""
    dtype, axes = np.dtype(token[:2]), token.count(",") + 1

    def numbers_of(value: Any) -> Sequence[Any]:
        fits = isinstance(value, np.ndarray) and value.dtype == dtype and value.ndim == axes
        if not fits or not value.flags.c_contiguous:
            raise ValueError(f"{type(value).__name__} {getattr(value, 'dtype', '')}".rstrip())
        # Asking numpy for the address takes four times as long, and there are thousands of arguments.
        writable = value.size and value.flags.writeable
        address = ctypes.addressof(_Byte.from_buffer(value)) if writable else value.ctypes.data
        return None, None, value.size, dtype.itemsize, address, *value.shape, *value.strides

    return numbers_of, ("p", "p", "i8", "i8", "p", *(2 * axes * ["i8"]))


def _number(token: str) -> _Argument:
    convert = float if token[0] == "f" else int

    def numbers_of(value: Any) -> Sequence[Any]:
        if not isinstance(value, (bool, int, float, np.generic)):
            raise ValueError(type(value).__name__)
        return (convert(value),)

    return numbers_of, (token,)
