"""Definition of a saved output: how it is recognised and read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

LONGEST_RULE = 2_048  # characters of a firewall rule: a comment has 256, a list of ports 15
_MOST_DIGITS = 20
Row = dict[str, str]
Line = tuple[int, str]


def number_in(row: Mapping[str, str], name: str) -> int:
    """Give a figure of a row; 0 where it is absent, no number, or too long for one."""
    return number_of(row.get(name, ""))


def number_of(text: str) -> int:
    """Give the number that a text is; 0 where it is none, or too long for one."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0


@dataclass(frozen=True, slots=True)
class Output:
    """One kind of output, as a tool prints it.

    Parameters
    ----------
    opens : callable
        Whether the first lines (about ten, without empty ones) are of this kind.
    read : callable
        Rows of the numbered lines; lines it does not understand are left out. Every row has "line".
    """

    kind: str
    opens: Callable[[Sequence[str]], bool]
    read: Callable[[Sequence[Line]], Iterator[Row]]
