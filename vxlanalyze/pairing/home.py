"""The node of a capture, and the evidence for it."""

from dataclasses import dataclass

from vxlanalyze.pairing.points import Place
from vxlanalyze.wire.model import Decoded


@dataclass(frozen=True, slots=True)
class Home:
    """Addresses of a place's node (unencapsulated: of its pod), and the evidence for them.

    `contradiction` says what contradicts it, "" where nothing does; with one, no conclusion is drawn.
    """

    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    by: str
    contradiction: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """One side of a hop."""

    place: Place
    decoded: Decoded
    home: Home


NOBODY = Home((), (), "")
