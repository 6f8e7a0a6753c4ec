"""Types of a kernel's arguments, as its decorator declares them, checked and split for the compiler.

A declaration names one type for each argument, separated by blanks:

``i8``, ``u1``, ``f8``, ``b1``   a number: signed, unsigned, floating-point, boolean, and its size in bytes
``u4[]``, ``i8[,]``             a C-contiguous array of one or two axes
``(i4[] u2[])``                a tuple
``Rows(i4[] u4[])``            a named tuple of that name, defined in the kernel's module
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

_TOKEN = re.compile(r"\s*(?:(\w*)\(|(\))|([biuf][1248])(\[,*\])?)")


class Number(NamedTuple):
    """A number; `code` is numpy's letter and the size in bytes."""

    code: str


class Array(NamedTuple):
    """A C-contiguous array."""

    dtype: np.dtype
    axes: int


class Items(NamedTuple):
    """A tuple; `name` is empty if it has none."""

    name: str
    items: tuple["Parameter", ...]


Parameter = Number | Array | Items


def parse(declared: str) -> tuple[Parameter, ...]:
    """Read a declaration.

    Raises
    ------
    ValueError
        It is not a declaration.
    """
    if declared.count("(") != declared.count(")"):
        raise ValueError(f"{declared}: its parentheses do not match")
    return tuple(_items(_tokens(declared)))


def _tokens(declared: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(declared):
        match = _TOKEN.match(declared, at)
        if match is None:
            raise ValueError(f"{declared}: {declared[at:]!r} does not begin with a type")
        yield match
        at = match.end()


def _items(tokens: Iterator[re.Match[str]]) -> Iterator[Parameter]:
    for token in tokens:
        name, closed, code, axes = token.groups()
        if closed:
            return
        if code is None:
            yield Items(name, tuple(_items(tokens)))
        elif axes is None:
            yield Number(code)
        else:
            yield Array(np.dtype(code), len(axes) - 1)


def flattened(parameters: Sequence[Parameter]) -> Iterator[str]:
    """Give the codes of a compiled function's arguments as numbers; ``p`` is an address.

    `loader.bind` gives the same, and the compiler's own are compared with them.

    Source: numba documentation, "Numba architecture"; numba.core.datamodel.models.ArrayModel.
    """
    for parameter in parameters:
        if isinstance(parameter, Items):
            yield from flattened(parameter.items)
        elif isinstance(parameter, Array):
            yield from ("p", "p", "i8", "i8", "p", *(2 * parameter.axes * ["i8"]))
        else:
            yield parameter.code
