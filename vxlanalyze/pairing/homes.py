"""Find the node of each capture: its addresses, and the evidence for them."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import addresses, own_tables
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Sides
from vxlanalyze.pairing.home import BETWEEN, NOBODY, Home, put
from vxlanalyze.pairing.homes_of_cards import of_cards
from vxlanalyze.pairing.points import Place
from vxlanalyze.pairing.two_homes import CapturePair, Clues, InCommon, alone, home_at, together


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
    clues = Clues(main, ends, book, cluster, in_common)
    tables = own_tables.stated(main, ends, book, cluster)
    found = tuple(alone(clues, n, known) for n, known in enumerate(tables))
    nics = [i for i, place in enumerate(main) if place.encapsulated]
    pods = [i for i, place in enumerate(main) if not place.encapsulated]
    # An empty capture is no evidence for the others, so empty ones come last.
    for i, j in sorted(combinations(nics, 2), key=lambda two: any(not addresses.hubs(ends[n]) for n in two)):
        # In path order, pods come before the first card and after the last one.
        before = [ends[p] for p in pods if p < i == nics[0]]
        inside = [ends[p] for p in pods if p > j == nics[-1]]
        found = of_cards(clues, CapturePair(i, j, (before, inside)), found)
    found = put(found, dict.fromkeys(_between(nics, found, in_common), BETWEEN))
    for i in pods:
        for nic in (i - 1, i + 1):
            if nic in nics and not found[i].numbers:
                found = put(found, {i: _node_next_to(clues, nic, found[nic], i)})
    for i, j in combinations(pods, 2):
        found = together(clues, CapturePair(i, j), found)
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


def _node_next_to(clues: Clues, nic: int, node: Home, pod: int) -> Home:
    """Which of the two ends of all unencapsulated packets at a pod is on the node of the card next to it."""
    place, book = clues.main[nic], clues.book
    n = place.capture
    sent = place.flows & np.isin(book.outer_src[n], node.numbers)
    local = tuple(end for end in addresses.hubs(clues.ends[pod]) if (book.src[n][sent] == end).any())
    return home_at(local, book, f"being the end that {place.name} sends for") if len(local) == 1 else NOBODY
