"""Outputs that are one JSON or YAML document: parsed once, then recognised by their keys."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vxlanalyze.kubernetes.hosts.model import Row

Locate = Callable[[str], int]
_LARGEST_BYTES = 16 << 20  # of JSON; a parsed document takes many times its size


@dataclass(frozen=True, slots=True)
class Document:
    """One kind of document.

    Parameters
    ----------
    opens : callable
        Whether a parsed value is of this kind.
    read : callable
        ``read(value, locate) -> rows``; `locate` gives the line where a piece of text stands first, 1 where
        it does not stand as such.
    """

    kind: str
    opens: Callable[[object], bool]
    read: Callable[[Any, Locate], Iterator[Row]]


def parse(text: str) -> object:
    """Parse a JSON document; None where a text is none, or too large."""
    head = text.lstrip()[:1]
    if not head or head not in "[{" or len(text) > _LARGEST_BYTES:
        return None
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def locator(text: str) -> Locate:
    """Make the function that finds the line of a piece of text."""

    def locate(piece: str) -> int:
        for form in (piece, piece.replace(": ", ":")):
            at = text.find(form)
            if at >= 0:
                return text.count("\n", 0, at) + 1
        return 1

    return locate
