"""Whose capture it is, and what that rests on."""

from dataclasses import dataclass

from vxlanalyze.pairing.points import Place
from vxlanalyze.wire.model import Decoded


@dataclass(frozen=True, slots=True)
class Home:
    """Addresses that a place's node (unencapsulated: its pod) answers to, and what that rests on.

    `contradiction` says what speaks against it, "" where nothing does: then nothing is to be concluded.
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
