"""The node of a capture, and the evidence for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vxlanalyze.pairing.points import Place
from vxlanalyze.wire.model import Decoded


@dataclass(frozen=True, slots=True)
class Home:
    """Addresses of a place's node (unencapsulated: of its pod), and the evidence for them.

    `contradiction` says what contradicts it, "" where nothing does; with one, no conclusion is drawn. A place
    `between` the nodes (a router, a mirror port, a gateway) has no address of its own in the tunnel.
    """

    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    by: str
    contradiction: str = ""
    between: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """One side of a hop."""

    place: Place
    decoded: Decoded
    home: Home


NOBODY = Home((), (), "")
BETWEEN = Home((), (), "", between=True)

Homes = tuple[Home, ...]


def put(found: Homes, new: Mapping[int, Home]) -> Homes:
    """Give the homes with those of some captures replaced."""
    return tuple(new.get(n, home) for n, home in enumerate(found))


def standing_for(end: End, homes: Sequence[Home]) -> End:
    """Give a place between the nodes the addresses of all nodes on its side; leave others as they are."""
    if not end.home.between:
        return end
    numbers = tuple(dict.fromkeys(n for home in homes for n in home.numbers))
    texts = tuple(dict.fromkeys(text for home in homes for text in home.texts))
    by = "; ".join(dict.fromkeys(home.by for home in homes if home.by))
    return replace(end, home=Home(numbers, texts, by))
