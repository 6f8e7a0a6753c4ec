"""Outputs that are one JSON or YAML document: parsed once, then recognised by keys."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.hosts.model import Row
from vxlanalyze.kubernetes.objects import objects
from vxlanalyze.kubernetes.yaml_text import has_more_values

Locate = Callable[[str], int]
_HEAD = 4096
_YAML = re.compile(r"^(?:apiVersion|items): ?", re.MULTILINE)
_LARGEST_YAML_BYTES = 2 << 20  # PyYAML takes a second for a few megabytes
_MOST_VALUES = 200_000  # of YAML
_PAIR = re.compile(r'"?(?P<key>[\w./-]{1,80})"?[ \t]{0,4}:[ \t]{0,4}(?:"[^"\n]{0,200}"|[\w./:-]{0,200})')
_QUOTED = ' \t"'
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
    if len(text) > _LARGEST_YAML_BYTES or not _YAML.search(head) or has_more_values(text, _MOST_VALUES):
        return None
    try:
        return [item for _, item in objects("", text)]
    except UsageError:
        return None


def locator(text: str) -> Locate:
    """Create the function that finds the line of a piece of text: a key, or a key with its value.

    The text is read once, when the first piece is asked for: a document of many entries has many pieces.
    """
    lines: dict[str, int] = {}

    def locate(piece: str) -> int:
        if not lines:
            lines.update(_lines_of_keys(text))
        return lines.get(_unquoted(piece), 1)

    return locate


def _lines_of_keys(text: str) -> dict[str, int]:
    """The line on which each key, and each key with its value, stands first."""
    found: dict[str, int] = {"": 1}
    line, place = 1, 0
    for match in _PAIR.finditer(text):
        line += text.count("\n", place, match.start())
        place = match.start()
        found.setdefault(match["key"], line)
        found.setdefault(_unquoted(match[0]), line)
    return found


def _unquoted(pair: str) -> str:
    """Write a pair as JSON and YAML have it alike: ``key: value``."""
    key, colon, value = pair.rstrip(",").partition(":")
    return f"{key.strip(_QUOTED)}: {value.strip(_QUOTED)}" if colon else key.strip(_QUOTED)
