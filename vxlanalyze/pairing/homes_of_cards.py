"""Find the nodes of the captures of two network cards; each node may have several addresses in the tunnel."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import addresses, contradictions, further_evidence, own_tables, ownership
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Sides
from vxlanalyze.pairing.further_evidence import Further
from vxlanalyze.pairing.home import NOBODY, Home, Homes, put
from vxlanalyze.pairing.points import Place
from vxlanalyze.pairing.two_homes import BY_HUB, BY_OTHER, CapturePair, Clues, alone, together


def of_cards(clues: Clues, pair: CapturePair, found: Homes) -> Homes:
    """Find the homes of the captures of two network cards, whose nodes may have several addresses each."""
    i, j = pair.both
    sides = clues.ends[i], clues.ends[j]
    plain = ownership.is_plain(sides)
    if plain or not _is_open(found[i], found[j], sides):
        found = together(clues, pair, found)
    else:
        found = _by_owner(clues, pair, found)
    if not plain:  # else no packet has an unknown address
        found = _extended(clues, pair, found)
    return _contradicted(clues, pair, found)


def _is_open(first: Home, second: Home, seen: tuple[Sides, Sides]) -> bool:
    """Whether there is more to find than one address for each capture."""
    if not first.numbers or not second.numbers or set(first.numbers) & set(second.numbers):
        return True
    here, there = (ownership.of_other_ends(side, first.numbers, second.numbers) for side in seen)
    return bool(np.isin(here, there).any())


def _by_owner(clues: Clues, pair: CapturePair, found: Homes) -> Homes:
    """Find two homes after giving all addresses of one owner the same number."""
    i, j = pair.both
    sides, common = (clues.ends[i], clues.ends[j]), clues.in_common(i, j)
    label = ownership.labels(sides, common, len(clues.book.texts))
    merged = [*clues.ends]
    merged[i], merged[j] = (ownership.relabelled(side, label) for side in sides)
    owners = replace(clues, ends=merged, in_common=lambda *_: ownership.common_relabelled(common, label))
    for n in pair.both:
        home = found[n]
        if not home.numbers or home.by == BY_HUB:
            home = alone(owners, n, NOBODY)
        numbers = tuple(dict.fromkeys(label[list(home.numbers)].tolist()))
        found = put(found, {n: replace(home, numbers=numbers)})
    found = together(owners, pair, found)
    return put(found, {n: _spelled_out(found[n], label, clues.ends[n], clues.book) for n in pair.both})


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


def _extended(clues: Clues, pair: CapturePair, found: Homes) -> Homes:
    """Add addresses whose packets are in one capture only: where all packets of a family are lost."""
    both, ends, book = pair.both, clues.ends, clues.book
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


def _contradicted(clues: Clues, pair: CapturePair, found: Homes) -> Homes:
    """Record where packets shared by two captures contradict the names that the cluster knows them by."""
    i, j = pair.both
    bases = [_stated_by(clues.main[n], found[n], clues.cluster) for n in pair.both]
    shared = set(found[i].numbers) & set(found[j].numbers)
    own = [[n for n in found[at].numbers if n not in shared] for at in pair.both]
    if not all(bases) or not all(own):
        return found
    ends = own[0][0], own[1][0]
    names = clues.main[i].name, clues.main[j].name
    against = contradictions.by_packets(names, bases[0], ends, clues.in_common(i, j), clues.book)
    marked = {n: replace(found[n], contradiction=found[n].contradiction or against) for n in pair.both}
    return put(found, marked) if against else found


def _stated_by(place: Place, home: Home, cluster: Cluster) -> str:
    """What states the node of a capture, its name or a file; "" where packets show it."""
    node = cluster.node(place.name)
    if node is not None and node.addresses:
        return "its name"
    return home.by if own_tables.BY in home.by or BY_OTHER in home.by else ""
