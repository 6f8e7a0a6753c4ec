"""Outputs that are one JSON or YAML document: parsed once, then recognised by keys."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.hosts.model import Row
from vxlanalyze.kubernetes.objects import objects

Locate = Callable[[str], int]
_HEAD = 4096
_YAML = re.compile(r"^(?:apiVersion|items): ?", re.MULTILINE)
_LARGEST_YAML_BYTES = 2 << 20  # PyYAML takes a second for a few megabytes
_LARGEST_BYTES = 16 << 20  # of JSON; a parsed document takes many times its size


@dataclass(frozen=True, slots=True)
class Document:
    """One kind of document.

    Parameters
    ----------
    opens : callable
        Whether a parsed value is of this kind.
    read : callable
        ``read(value, locate) -> rows``; `locate` gives the line where a piece of text first occurs, 1 where
        it does not occur literally.
    """

    kind: str
    opens: Callable[[object], bool]
    read: Callable[[Any, Locate], Iterator[Row]]


def parse(text: str) -> object:
    """Parse a JSON document, or Kubernetes YAML; None if a text is neither, or too large."""
    head = text[:_HEAD].lstrip()
    if not head or len(text) > _LARGEST_BYTES:
        return None
    if head[0] in "[{":
        try:
            value: object = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return value
    if len(text) > _LARGEST_YAML_BYTES or not _YAML.search(head):
        return None
    try:
        return [item for _, item in objects("", text)]
    except UsageError:
        return None


def locator(text: str) -> Locate:
    """Create the function that finds the line of a piece of text."""

    def locate(piece: str) -> int:
        for form in (piece, piece.replace(": ", ":")):
            at = text.find(form)
            if at >= 0:
                return text.count("\n", 0, at) + 1
        return 1

    return locate
