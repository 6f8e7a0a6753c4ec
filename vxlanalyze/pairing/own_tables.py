"""What the tables saved with a capture say about its node's addresses, and where packets contradict them.

They decide where packets alone do not show the node of a capture. Where packets disagree, both are reported
without a conclusion: tables or captures of another node were given.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np

from vxlanalyze.kubernetes import own_addresses
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Sides, hubs
from vxlanalyze.pairing.contradictions import TABLES_OR_CAPTURE
from vxlanalyze.pairing.home import Home
from vxlanalyze.pairing.points import Place
from vxlanalyze.text.words import listed
from vxlanalyze.wire.addresses import mac_text

BY = "its own tables"
_TWO = 2


def stated(main: Sequence[Place], ends: Sequence[Sides], book: AddressBook, cluster: Cluster) -> list[Home]:
    """Homes according to the nodes' own tables: those of their addresses that tunnel packets use.

    Returns
    -------
    list of Home
        One for each place; without addresses where no table names one.
    """
    result = []
    used: frozenset[int] | None = None
    for place, side in zip(main, ends, strict=True):
        listed_at = own_addresses.addresses(cluster, place.name) if place.encapsulated else {}
        if used is None and listed_at:
            used = _used(main, ends)
        own = {
            n: listed_at[book.texts[n]] for n in book.numbers(tuple(listed_at)).tolist() if n in (used or ())
        }
        result.append(_home(place.name, own, side, book))
    return result


def _used(main: Sequence[Place], ends: Sequence[Sides]) -> frozenset[int]:
    """Outer addresses of unicast tunnel packets in any of the captures."""
    found: set[int] = set()
    for place, side in zip(main, ends, strict=True):
        if place.encapsulated:
            real = side.unicast
            found |= {*np.unique(side.src[real]).tolist(), *np.unique(side.dst[real]).tolist()}
    return frozenset(found)


def _home(name: str, own: dict[int, str], side: Sides, book: AddressBook) -> Home:
    texts = tuple(book.texts[n] for n in own)
    where = listed(list(dict.fromkeys(own.values())))
    ends = hubs(side)
    both = ""
    if len(ends) == _TWO and set(ends) <= set(own):
        both = (
            f"{listed(texts)} are addresses of {name} by its own tables ({where}), and all tunnel packets of "
            f"its capture go between these: {TABLES_OR_CAPTURE}"
        )
    return Home(tuple(own), texts, f"{BY} ({where})" if own else "", both)


def contradicted(
    main: Sequence[Place],
    found: Sequence[Home],
    tables: Sequence[Home],
    ends: Sequence[Sides],
    cluster: Cluster,
) -> list[Home]:
    """Record for each home where its own tables list another node's address.

    Parameters
    ----------
    main : sequence of Place
        One for each capture.
    found, tables : sequence of Home
        The conclusion for each, and what its tables say.
    ends : sequence of Sides
        Of each of them.
    """
    result = list(found)
    for i, j in permutations(range(len(main)), 2):
        if main[i].encapsulated and main[j].encapsulated and not result[i].contradiction:
            against = _by_addresses((main[i].name, main[j].name), (tables[i], found[i], found[j]))
            against = against or _by_macs((main[i].name, main[j].name), found[i], ends[i], cluster)
            result[i] = replace(result[i], contradiction=against)
    return result


def _by_addresses(names: tuple[str, str], homes: tuple[Home, Home, Home]) -> str:
    said, own, other = homes
    if set(said.numbers) & set(own.numbers) and BY not in own.by:
        return ""
    theirs = [text for n, text in zip(said.numbers, said.texts, strict=True) if n in other.numbers]
    if not theirs:
        return ""
    first, second = (f"{name} by {home.by}" for name, home in zip(names, (said, other), strict=True))
    return f"{listed(theirs)} is an address of {first}, and of {second}: {TABLES_OR_CAPTURE}"


def _by_macs(names: tuple[str, str], own: Home, side: Sides, cluster: Cluster) -> str:
    """Describe where packets leave a node with the MAC of a device of the other one."""
    mine = own_addresses.macs(cluster, names[0])
    theirs = own_addresses.macs(cluster, names[1]) if mine else {}
    if not theirs or not own.numbers:
        return ""
    sent = side.unicast & np.isin(side.src, own.numbers) & (side.src_mac > 0)
    used = {mac_text(int(mac)) for mac in np.unique(side.src_mac[sent])}
    foreign = sorted(used & set(theirs))
    if used & set(mine) or not foreign:
        return ""
    return (
        f"packets leave {names[0]} with the MAC {foreign[0]}, which no device of {names[0]} has by its own "
        f"tables, but one of {names[1]}'s ({theirs[foreign[0]]}): {TABLES_OR_CAPTURE}"
    )
