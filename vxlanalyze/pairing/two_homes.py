"""Find the nodes of single captures, and of two whose packets are between one pair of addresses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import addresses, contradictions
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Common, Sides
from vxlanalyze.pairing.home import NOBODY, Home, Homes, put
from vxlanalyze.pairing.points import Place

InCommon = Callable[[int, int], Common]

BY_HUB = "being an end of every packet of the capture"
BY_OTHER = "being the other end,"
_BY_THIRD = "being an end of every packet of the capture, the other end is a third node"
_BY_TRANSLATION = "the order in which both captures saw the same packets, under translated addresses"
_BY_NOTHING = "assumed: one of the two ends of all its packets"
_TWO = 2  # the ends of a pair


@dataclass(frozen=True, slots=True)
class Clues:
    """What the homes are found from; main places and ends in path order. See `homes`."""

    main: Sequence[Place]
    ends: Sequence[Sides]
    book: AddressBook
    cluster: Cluster
    in_common: InCommon


@dataclass(frozen=True, slots=True)
class CapturePair:
    """Two captures, by number, and captures of pods before the first and beyond the second."""

    first: int
    second: int
    pods: tuple[list[Sides], list[Sides]] = field(default_factory=lambda: ([], []))

    @property
    def both(self) -> tuple[int, int]:
        """The numbers of both."""
        return self.first, self.second


def alone(clues: Clues, number: int, tables: Home) -> Home:
    """What a capture shows by itself; `tables` is what the node's own say."""
    place, side, book, cluster = clues.main[number], clues.ends[number], clues.book, clues.cluster
    for node in cluster.nodes:
        if place.encapsulated and node.name == place.name and node.addresses:
            numbers = book.numbers(node.addresses)
            against = contradictions.by_marks(node, addresses.marked(side), book, cluster)
            against = against or contradictions.shared(node, cluster)
            return Home(tuple(numbers.tolist()), tuple(node.addresses), node.addresses_by, against)
    own = addresses.marked(side)
    if own and place.encapsulated:
        return home_at(own, book, "the kernel's mark on outgoing frames")
    every = addresses.hubs(side)
    if len(every) == 1:
        return home_at(every, book, BY_HUB)
    return tables if tables.numbers else NOBODY


def together(clues: Clues, pair: CapturePair, found: Homes) -> Homes:
    """Find the homes of two captures whose packets are between one pair of addresses."""
    (i, j), ends, book = pair.both, clues.ends, clues.book
    both = [addresses.hubs(ends[n]) for n in pair.both]
    two = next((hubs for hubs in both if len(hubs) == _TWO), both[0] or both[1])
    if found[i].numbers and found[i] == found[j]:
        # One address cannot belong to both nodes: it sends packets for the other node elsewhere, and both
        # captures show them.
        senders = addresses.senders(ends[i], ends[j])
        if found[i].by == BY_HUB and len(senders) == _TWO and found[i].numbers[0] in senders:
            two, found = senders, put(found, {i: NOBODY, j: NOBODY})
    if len(two) != _TWO or (found[i].numbers and found[j].numbers):
        return found
    if all(both) and not set(both[0]) & set(both[1]) and not len(clues.in_common(i, j).source):
        # Neither talks to the other, so that it does not matter which end is its own.
        new = {n: home_at(hubs[:1], book, _BY_NOTHING) for n, hubs in zip(pair.both, both, strict=True)}
        return put(found, new | {n: found[n] for n in pair.both if found[n].numbers})
    third = set(both[0]) & set(both[1])
    nobody = not (found[i].numbers or found[j].numbers)
    if len(third) == 1 and len(both[0]) == len(both[1]) == _TWO and nobody:
        translated = _across_translation(both, third, book, clues.in_common(i, j))
        # Otherwise each talks to a third node, and neither to the other.
        apart = [home_at(tuple(set(hubs) - third), book, _BY_THIRD) for hubs in both]
        return put(found, dict(zip(pair.both, translated or apart, strict=True)))
    for known, open_ in ((i, j), (j, i)):
        if found[known].numbers:
            rest = tuple(set(two) - set(found[known].numbers))
            if len(rest) != 1 or not addresses.hubs(ends[open_]):
                return found
            return put(found, {open_: home_at(rest, book, f"{BY_OTHER} {found[known].texts[0]} is not it")})
    a, b, by = addresses.of_pair((two[0], two[1]), (ends[i], ends[j]), clues.in_common(i, j), pair.pods)
    second = {j: home_at((b,), book, by)} if addresses.hubs(ends[j]) else {}
    return put(found, {i: home_at((a,), book, by)} | second)


def _across_translation(
    both: Sequence[tuple[int, ...]], shared: set[int], book: AddressBook, common: Common
) -> tuple[Home, Home] | None:
    """The nodes of two captures that show the same packets, but one of the ends under different addresses.

    Each node knows its own address as it is, and the other end's as it was translated.
    """
    (translated,), (other,) = (set(hubs) - shared for hubs in both)
    (end,) = shared
    ahead = common.ahead_ns(translated, end)
    if ahead == 0:
        return None
    numbers = ((translated,), (end,)) if ahead > 0 else ((end,), (other,))
    first, second = (home_at(number, book, _BY_TRANSLATION) for number in numbers)
    return first, second


def home_at(numbers: tuple[int, ...], book: AddressBook, by: str) -> Home:
    """Give a node its addresses and the evidence for them."""
    return Home(numbers, tuple(book.texts[n] for n in numbers), by)
