"""Digest of everything a kernel's machine code depends on: its bytecode, that of its callees, and constants.

In a checkout this shows which kernels have changed since the library was built.
"""

import hashlib
import sys
from collections.abc import Iterator
from enum import Enum
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from vxlanalyze.kernels.loader import CHECKED

_PACKAGE = "vxlanalyze."


def fingerprint(function: Any) -> str:
    """Give a digest of a function and of everything it reaches."""
    summary = hashlib.sha256((sys.version + " checked" * CHECKED).encode())
    for part in _parts(function, set()):
        summary.update(part.encode())
    return summary.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    value = getattr(value, "py_func", value)
    if isinstance(value, FunctionType):
        if id(value) in seen:
            return
        seen.add(id(value))
        yield value.__name__
        yield from _code(value.__code__, value.__doc__)
        for reached in _globals(value):
            yield from _parts(reached, seen)
        for cell in value.__closure__ or ():
            yield from _parts(cell.cell_contents, seen)
    elif isinstance(value, partial):
        yield from _parts(value.func, seen)
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
