"""Find the node of each capture: its addresses, and the evidence for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import addresses, contradictions, further_evidence, own_tables, ownership
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Common, Sides
from vxlanalyze.pairing.further_evidence import Further
from vxlanalyze.pairing.home import BETWEEN, NOBODY, Home, Homes, put
from vxlanalyze.pairing.points import Place

InCommon = Callable[[int, int], Common]

_BY_HUB = "being an end of every packet of the capture"
_BY_THIRD = "being an end of every packet of the capture, the other end is a third node"
_BY_TRANSLATION = "the order in which both captures saw the same packets, under translated addresses"
_BY_NOTHING = "assumed: one of the two ends of all its packets"
_BY_OTHER = "being the other end,"
_TWO = 2  # the ends of a pair


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the homes are found from; main places and ends in path order. See `homes`."""

    main: Sequence[Place]
    ends: Sequence[Sides]
    book: AddressBook
    cluster: Cluster
    in_common: InCommon


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two captures, by number, and captures of pods before the first and beyond the second."""

    first: int
    second: int
    pods: tuple[list[Sides], list[Sides]] = field(default_factory=lambda: ([], []))

    @property
    def both(self) -> tuple[int, int]:
        return self.first, self.second


def homes(
    main: Sequence[Place], ends: Sequence[Sides], book: AddressBook, cluster: Cluster, in_common: InCommon
) -> list[Home]:
    """Find the addresses of the node of each capture's main place.

    Parameters
    ----------
    main : sequence of Place
        One for each capture, in path order.
    ends : sequence of Sides
        What the flows of each of them say about the addresses at both ends.
    book : AddressBook
        The addresses of all captures, by number.
    cluster : Cluster
        What files and names say about the nodes.
    in_common : callable
        ``in_common(i, j)``: the packets seen by both captures i and j.
    """
    seen = _Seen(main, ends, book, cluster, in_common)
    tables = own_tables.stated(main, ends, book, cluster)
    found = tuple(_alone(seen, n, known) for n, known in enumerate(tables))
    nics = [i for i, place in enumerate(main) if place.encapsulated]
    pods = [i for i, place in enumerate(main) if not place.encapsulated]
    # An empty capture is no evidence for the others, so empty ones come last.
    for i, j in sorted(combinations(nics, 2), key=lambda two: any(not _shows(ends[n]) for n in two)):
        # In path order, pods come before the first card and after the last one.
        before = [ends[p] for p in pods if p < i == nics[0]]
        inside = [ends[p] for p in pods if p > j == nics[-1]]
        found = _of_cards(seen, _Pair(i, j, (before, inside)), found)
    found = put(found, dict.fromkeys(_between(nics, found, in_common), BETWEEN))
    for i in pods:
        for nic in (i - 1, i + 1):
            if nic in nics and not found[i].numbers:
                found = put(found, {i: _node_next_to(seen, nic, found[nic], i)})
    for i, j in combinations(pods, 2):
        found = _together(seen, _Pair(i, j), found)
    return own_tables.contradicted(main, found, tables, ends, cluster) if cluster.facts else list(found)


def _between(nics: Sequence[int], found: Sequence[Home], in_common: InCommon) -> list[int]:
    """Captures of cards that pass on what the first and the last node exchange: they have no address there.

    Each shares packets with both neighbours, and no address is its own: every one that fits is an end's.
    """
    ends = {number for n in (*nics[:1], *nics[-1:]) for number in found[n].numbers}
    return [
        n
        for before, n, after in zip(nics, nics[1:], nics[2:], strict=False)
        if set(found[n].numbers) <= ends
        and len(in_common(before, n).source)
        and len(in_common(n, after).source)
    ]


def _shows(side: Sides) -> bool:
    return bool(addresses.hubs(side))


def _alone(seen: _Seen, number: int, tables: Home) -> Home:
    """What a capture shows by itself; `tables` is what the node's own say."""
    place, side, book, cluster = seen.main[number], seen.ends[number], seen.book, seen.cluster
    for node in cluster.nodes:
        if place.encapsulated and node.name == place.name and node.addresses:
            numbers = book.numbers(node.addresses)
            against = contradictions.by_marks(node, addresses.marked(side), book, cluster)
            against = against or contradictions.shared(node, cluster)
            return Home(tuple(numbers.tolist()), tuple(node.addresses), node.addresses_by, against)
    own = addresses.marked(side)
    if own and place.encapsulated:
        return _home(own, book, "the kernel's mark on outgoing frames")
    every = addresses.hubs(side)
    if len(every) == 1:
        return _home(every, book, _BY_HUB)
    return tables if tables.numbers else NOBODY


def _home(numbers: tuple[int, ...], book: AddressBook, by: str) -> Home:
    return Home(numbers, tuple(book.texts[n] for n in numbers), by)


def _node_next_to(seen: _Seen, nic: int, node: Home, pod: int) -> Home:
    """Which of the two ends of all unencapsulated packets at a pod is on the node of the card next to it."""
    place, book = seen.main[nic], seen.book
    n = place.capture
    sent = place.flows & np.isin(book.outer_src[n], node.numbers)
    local = tuple(end for end in addresses.hubs(seen.ends[pod]) if (book.src[n][sent] == end).any())
    return _home(local, book, f"being the end that {place.name} sends for") if len(local) == 1 else NOBODY


def _of_cards(seen: _Seen, pair: _Pair, found: Homes) -> Homes:
    """Find the homes of the captures of two network cards, whose nodes may have several addresses each."""
    i, j = pair.both
    sides = seen.ends[i], seen.ends[j]
    plain = ownership.is_plain(sides)
    if plain or not _is_open(found[i], found[j], sides):
        found = _together(seen, pair, found)
    else:
        found = _by_owner(seen, pair, found)
    if not plain:  # else no packet has an unknown address
        found = _extended(seen, pair, found)
    return _contradicted(seen, pair, found)


def _by_owner(seen: _Seen, pair: _Pair, found: Homes) -> Homes:
    """Find two homes after giving all addresses of one owner the same number."""
    i, j = pair.both
    sides, common = (seen.ends[i], seen.ends[j]), seen.in_common(i, j)
    label = ownership.labels(sides, common, len(seen.book.texts))
    merged = [*seen.ends]
    merged[i], merged[j] = (ownership.relabelled(side, label) for side in sides)
    owners = replace(seen, ends=merged, in_common=lambda *_: ownership.common_relabelled(common, label))
    for n in pair.both:
        home = found[n]
        if not home.numbers or home.by == _BY_HUB:
            home = _alone(owners, n, NOBODY)
        numbers = tuple(dict.fromkeys(label[list(home.numbers)].tolist()))
        found = put(found, {n: replace(home, numbers=numbers)})
    found = _together(owners, pair, found)
    return put(found, {n: _spelled_out(found[n], label, seen.ends[n], seen.book) for n in pair.both})


def _contradicted(seen: _Seen, pair: _Pair, found: Homes) -> Homes:
    """Record where packets shared by two captures contradict the names that the cluster knows them by."""
    i, j = pair.both
    bases = [_stated_by(seen.main[n], found[n], seen.cluster) for n in pair.both]
    shared = set(found[i].numbers) & set(found[j].numbers)
    own = [[n for n in found[at].numbers if n not in shared] for at in pair.both]
    if not all(bases) or not all(own):
        return found
    ends = own[0][0], own[1][0]
    names = seen.main[i].name, seen.main[j].name
    against = contradictions.by_packets(names, bases[0], ends, seen.in_common(i, j), seen.book)
    marked = {n: replace(found[n], contradiction=found[n].contradiction or against) for n in pair.both}
    return put(found, marked) if against else found


def _stated_by(place: Place, home: Home, cluster: Cluster) -> str:
    """What states the node of a capture, its name or a file; "" where packets show it."""
    node = cluster.node(place.name)
    if node is not None and node.addresses:
        return "its name"
    return home.by if own_tables.BY in home.by or _BY_OTHER in home.by else ""


def _is_open(first: Home, second: Home, seen: tuple[Sides, Sides]) -> bool:
    """Whether there is more to find than one address for each capture."""
    if not first.numbers or not second.numbers or set(first.numbers) & set(second.numbers):
        return True
    here, there = (ownership.of_other_ends(side, first.numbers, second.numbers) for side in seen)
    return bool(np.isin(here, there).any())


def _spelled_out(home: Home, label: NDArray[np.int32], side: Sides, book: AddressBook) -> Home:
    """Give all addresses of a node of which one is known."""
    if not home.numbers:
        return home
    every = ownership.members(label, home.numbers, side)
    texts = tuple(dict.fromkeys([*(book.texts[n] for n in every), *home.texts]))
    if len(every) == len(home.numbers):
        return replace(home, numbers=every, texts=texts)
    first, *more = (book.texts[n] for n in every)
    by = f"{first}: {home.by}; {', '.join(more)}: used by the same node"
    return replace(home, numbers=every, texts=texts, by=by)


def _extended(seen: _Seen, pair: _Pair, found: Homes) -> Homes:
    """Add addresses whose packets are in one capture only: where all packets of a family are lost."""
    both, ends, book = pair.both, seen.ends, seen.book
    if not all(found[n].numbers for n in both):
        return found
    for n in both:
        others = [m for home in found if home is not found[n] for m in home.numbers]
        more = further_evidence.sent_from_the_card(ends[n], found[n].numbers)
        found = put(found, {n: _with(found[n], more, others, book)})
    for near, far in (both, both[::-1]):
        more = further_evidence.claimed([ends[n] for n in both], found[far].numbers, found[near].numbers)
        more += further_evidence.answering(ends[near], ends[far], found[near].numbers, found[far].numbers)
        found = put(found, {far: _with(found[far], more, found[near].numbers, book)})
    for near, far in (both, both[::-1]):
        strangers = [m for n, home in enumerate(found) if n not in both for m in home.numbers]
        strangers += addresses.senders(ends[far])
        for peers in (further_evidence.only_peer, further_evidence.counterpart):
            more = peers(ends[near], found[near].numbers, found[far].numbers, strangers)
            found = put(found, {far: _with(found[far], more, strangers, book)})
    return found


def _with(home: Home, more: Sequence[Further], others: Sequence[int], book: AddressBook) -> Home:
    known = {*home.numbers, *others}
    new = [f for f in more if f.number not in known]
    if not new:
        return home
    by = "; ".join([home.by, *(f"{book.texts[f.number]}: {f.by}" for f in new)])
    numbers = tuple(f.number for f in new)
    texts = (*home.texts, *(book.texts[n] for n in numbers))
    return replace(home, numbers=(*home.numbers, *numbers), texts=texts, by=by)


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
    first, second = (_home(number, book, _BY_TRANSLATION) for number in numbers)
    return first, second


def _together(seen: _Seen, pair: _Pair, found: Homes) -> Homes:
    """Find the homes of two captures whose packets are between one pair of addresses."""
    (i, j), ends, book = pair.both, seen.ends, seen.book
    both = [addresses.hubs(ends[n]) for n in pair.both]
    two = next((hubs for hubs in both if len(hubs) == _TWO), both[0] or both[1])
    if found[i].numbers and found[i] == found[j]:
        # One address cannot belong to both nodes: it sends packets for the other node elsewhere, and both
        # captures show them.
        senders = addresses.senders(ends[i], ends[j])
        if found[i].by == _BY_HUB and len(senders) == _TWO and found[i].numbers[0] in senders:
            two, found = senders, put(found, {i: NOBODY, j: NOBODY})
    if len(two) != _TWO or (found[i].numbers and found[j].numbers):
        return found
    if all(both) and not set(both[0]) & set(both[1]) and not len(seen.in_common(i, j).source):
        # Neither talks to the other, so that it does not matter which end is its own.
        new = {n: _home(hubs[:1], book, _BY_NOTHING) for n, hubs in zip(pair.both, both, strict=True)}
        return put(found, new | {n: found[n] for n in pair.both if found[n].numbers})
    third = set(both[0]) & set(both[1])
    nobody = not (found[i].numbers or found[j].numbers)
    if len(third) == 1 and len(both[0]) == len(both[1]) == _TWO and nobody:
        translated = _across_translation(both, third, book, seen.in_common(i, j))
        # Otherwise each talks to a third node, and neither to the other.
        apart = [_home(tuple(set(hubs) - third), book, _BY_THIRD) for hubs in both]
        return put(found, dict(zip(pair.both, translated or apart, strict=True)))
    for known, open_ in ((i, j), (j, i)):
        if found[known].numbers:
            rest = tuple(set(two) - set(found[known].numbers))
            if len(rest) != 1 or not addresses.hubs(ends[open_]):
                return found
            return put(found, {open_: _home(rest, book, f"{_BY_OTHER} {found[known].texts[0]} is not it")})
    a, b, by = addresses.of_pair((two[0], two[1]), (ends[i], ends[j]), seen.in_common(i, j), pair.pods)
    second = {j: _home((b,), book, by)} if addresses.hubs(ends[j]) else {}
    return put(found, {i: _home((a,), book, by), **second})
