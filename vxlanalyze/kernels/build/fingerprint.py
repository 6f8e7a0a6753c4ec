"""Digest of everything a kernel's machine code depends on: its bytecode, that of its callees, and constants.

In a checkout this shows which kernels have changed since the library was built.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache, partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from vxlanalyze.kernels.loader import CHECKED

_PACKAGE = "vxlanalyze."


def fingerprint(function: Any) -> str:
    """Give a digest of a function and of everything it reaches."""
    summary = hashlib.sha256((sys.version + " checked" * CHECKED).encode())
    seen: set[FunctionType] = set()
    left = [getattr(function, "py_func", function)]
    while left:
        found = left.pop()
        if found not in seen:
            seen.add(found)
            digest, reached = alone(found)
            summary.update(digest)
            left += reached
    return summary.hexdigest()


@cache  # most functions are reached from many kernels
def alone(function: FunctionType) -> tuple[bytes, Sequence[FunctionType]]:
    """Give the digest of a function and its constants, and the functions that it reaches."""
    reached: list[FunctionType] = []
    parts = [function.__name__, *_code(function.__code__, function.__doc__)]
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    for value in (*_globals(function), *cells):
        parts += _parts(value, reached)
    return hashlib.sha256("\0".join(parts).encode()).digest(), reached


def _parts(value: Any, reached: list[FunctionType]) -> Iterator[str]:
    """Say what a value is; a function is added to those `reached`."""
    value = getattr(value, "py_func", value)
    if isinstance(value, FunctionType):
        reached.append(value)
        yield value.__name__
    elif isinstance(value, partial):
        yield from _parts(value.func, reached)
        yield repr(value.args)
    elif isinstance(value, type) and issubclass(value, Enum):
        yield repr([(member.name, member.value) for member in value])
    elif isinstance(value, ModuleType):
        yield value.__name__
    elif isinstance(value, type):
        yield f"{value.__name__} {getattr(value, '_fields', '')}"
    else:
        yield repr(value)


def _globals(function: FunctionType) -> Iterator[Any]:
    """Give the globals of a function; for a module of this package, the attributes that it may use."""
    names = function.__code__.co_names
    for name in names:
        if name not in function.__globals__:
            continue
        reached = function.__globals__[name]
        yield reached
        if isinstance(reached, ModuleType) and reached.__name__.startswith(_PACKAGE):
            yield from (getattr(reached, attribute) for attribute in names if hasattr(reached, attribute))


def _code(code: CodeType, doc: str | None) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant, None)
        elif constant != doc or doc is None:
            yield repr(constant)
