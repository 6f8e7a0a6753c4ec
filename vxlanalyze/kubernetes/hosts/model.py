"""Definition of a saved output: how it is recognised and read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

LONGEST_RULE = 2_048  # characters of a firewall rule: a comment has 256, a list of ports 15
Row = dict[str, str]
Line = tuple[int, str]


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
