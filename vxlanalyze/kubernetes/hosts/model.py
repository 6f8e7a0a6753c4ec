"""How a saved output is recognised and read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Row = dict[str, str]
Line = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Output:
    """One kind of output, as a tool prints it.

    Parameters
    ----------
    opens : callable
        Whether the first lines (some ten, without empty ones) are of this kind.
    read : callable
        Rows of the numbered lines; what it does not understand it leaves out. Every row has "line".
    """

    kind: str
    opens: Callable[[Sequence[str]], bool]
    read: Callable[[Sequence[Line]], Iterator[Row]]
