"""``sysctl -a``, or parts of it, as printed by ``sysctl`` and ``grep . /proc/sys/...``: name and value."""

import re
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_SETTING = re.compile(
    r"^(?:/proc/sys/)?(?P<name>(?:net|kernel|vm|fs|abi|user|dev)[./][\w./@:-]+?) ?[=:] ?(?P<value>.*)$"
)


def opens(first: Sequence[str]) -> bool:
    """Whether all its first lines are settings."""
    return all(map(_SETTING.match, first))


def read(lines: Sequence[Line]) -> Iterator[Row]:
    """Give name (with dots) and value."""
    for number, line in lines:
        match = _SETTING.match(line)
        if match is not None:
            name = match["name"].replace("/", ".")
            yield {"line": str(number), "text": line.strip(), "name": name, "value": match["value"].strip()}


OUTPUT = Output("settings", opens, read)
