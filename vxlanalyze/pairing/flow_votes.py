"""Match flows of two observation points by what address translation leaves unchanged in their packets.

Each packet of a flow that only one point shows has a key without addresses and ports. A key that occurs in
only one flow at each point is a vote for these two. A pair of flows is accepted where both have more votes
for each other than for any other flow, where the votes are a fair share of the packets, and where chance
would produce them less than once in ten thousand times: agreement is weighed in bits, and each doubling of
the candidate flows costs one bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import translated_errors
from vxlanalyze.pairing.believed_votes import FIELD_BITS, FlowEnds, VotedPairs, believed
from vxlanalyze.pairing.known_translations import NOTHING_KNOWN, KnownTranslations
from vxlanalyze.pairing.packet_words import VotingPackets, packets_of
from vxlanalyze.wire.model import Decoded, Flows
from vxlanalyze.wire.protocols import ICMP, ICMPV6, SCTP, TCP, UDP

_TRANSLATABLE = (ICMP, TCP, UDP, ICMPV6, SCTP)
_NEIGHBOURS = (133, 137)  # ICMPv6 neighbour discovery, RFC 4861: never leaves the link
NONE = -1

_OPENING_BITS = 32  # an initial sequence number is random (RFC 9293 section 3.4.1)
_STREAM_BITS = 56  # as is the other end's, which it acknowledges
_PAYLOADS = 3  # more payloads add no evidence
_FAIR_SHARE = 0.2  # of the flow with fewer packets; captures may overlap only in part
# Within a node; a resolver waits for longer before it sends the query to the next server (resolv.conf(5):
# timeout).
_LONGEST_WITHIN_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Site:
    """Some flows of a capture, seen at one place; `flows` has shape ``(f,)``."""

    capture: int
    flows: NDArray[np.bool_]


def translatable(flows: Flows) -> NDArray[np.bool_]:
    """Flows of a kind that load balancing and masquerading translate, shape ``(f,)``."""
    kind = flows.sport >> 8
    discovery = (flows.protocol == ICMPV6) & (kind >= _NEIGHBOURS[0]) & (kind <= _NEIGHBOURS[1])
    group = np.where(flows.family == 6, flows.dst[:, 0] == 0xFF, flows.dst[:, 0] >= 0xE0)
    result: NDArray[np.bool_] = np.isin(flows.family, (4, 6)) & np.isin(flows.protocol, _TRANSLATABLE)
    return result & ~discovery & ~group


class Names(Protocol):
    """Numbers of the 5-tuples of some captures."""

    @property
    def of_flow(self) -> list[NDArray[np.int32]]:
        """For each capture, shape ``(f,)``: the number of each flow's 5-tuple."""
        ...

    @property
    def answer(self) -> NDArray[np.int32]:
        """The number of each 5-tuple's opposite direction, or NO_TUPLE."""
        ...

    def only(self, site: Site, other: Site) -> NDArray[np.bool_]:
        """Translatable flows of a site that the other does not show, shape ``(f,)``."""
        ...


def counterparts(
    captures: Sequence[Decoded],
    names: Names,
    near: Site,
    far: Site,
    known: KnownTranslations = NOTHING_KNOWN,
) -> dict[int, int]:
    """Find for the flows of one site their translated counterparts at the other.

    Parameters
    ----------
    captures : sequence of Decoded
    names : Names
        The numbers of their 5-tuples.
    near, far : Site
        Where flows are looked for, and where their counterparts are.
    known : KnownTranslations, optional
        What the cluster's tables say, which settles or narrows the choice.

    Returns
    -------
    dict of int to int
        Numbers of 5-tuples at `near`, each with a different number at `far`; no two with the same.
    """
    mine, theirs = names.only(near, far), names.only(far, near)
    labels = names.of_flow
    ends = FlowEnds.of((captures[near.capture].flows, labels[near.capture], mine),
                    (captures[far.capture].flows, labels[far.capture], theirs), known)  # fmt: skip
    exact = ends.tables.tracked()
    if exact:
        mine &= ~np.isin(labels[near.capture], list(exact))
        theirs &= ~np.isin(labels[far.capture], list(exact.values()))
    found = exact | _voted(captures, names, (near, mine), (far, theirs), ends)
    if found:
        here, there = (ends.flows[0], ends.flow[0]), (ends.flows[1], ends.flow[1])
        found |= translated_errors.counterparts(here, there, found)
    return found


def _voted(
    captures: Sequence[Decoded],
    names: Names,
    nearby: tuple[Site, NDArray[np.bool_]],
    beyond: tuple[Site, NDArray[np.bool_]],
    ends: "FlowEnds",
) -> dict[int, int]:
    """Find the flows whose packets show that they are the same flow."""
    (near, mine), (far, theirs) = nearby, beyond
    labels = names.of_flow
    here, there = packets_of(captures, labels, (near.capture, mine), (far.capture, theirs))
    if not len(here.key) or not len(there.key):
        return {}
    pairs = _mutual(here, there)
    if near.capture == far.capture:  # one clock
        soon = np.abs(pairs.later_ns) <= _LONGEST_WITHIN_NS
        pairs = VotedPairs(pairs.mine[soon], pairs.theirs[soon], pairs.bits[soon], pairs.later_ns[soon])
    return believed(pairs, ends, names.answer) if len(pairs.mine) else {}


def _owner(number: NDArray[np.int32], label: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Give the only flow that has each number, or NONE where none or several have it; shape ``(count,)``."""
    owner = np.full(count, NONE, np.int64)
    owner[number] = label
    shared = number[owner[number] != label]
    owner[shared] = NONE
    return owner


def _mutual(here: VotingPackets, there: VotingPackets) -> VotedPairs:
    """Pairs of flows of which each is the other's best, with enough votes."""
    count = int(max(here.key.max(), there.key.max())) + 1
    owners = [_owner(p.key, p.label, count) for p in (here, there)]
    voting = np.flatnonzero((owners[0] != NONE) & (owners[1] != NONE))
    pair, place = np.unique(np.column_stack([o[voting] for o in owners]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    votes = np.bincount(place, minlength=len(pair))
    packets = [_distinct_keys(owner) for owner in owners]
    best = [np.zeros(int(pair[:, side].max()) + 1 if len(pair) else 0, np.int64) for side in (0, 1)]
    for side in (0, 1):
        np.maximum.at(best[side], pair[:, side], votes)
    totals = [packets[side][pair[:, side]] for side in (0, 1)]
    good = (votes == best[0][pair[:, 0]]) & (votes == best[1][pair[:, 1]])
    good &= votes >= np.ceil(_FAIR_SHARE * np.minimum(*totals))
    bits = _bits(here, there, (voting, place), totals, len(pair))
    at = np.full((2, count), 0, np.int64)
    for side, p in enumerate((here, there)):
        at[side, p.key[::-1]] = np.arange(len(p.key))[::-1]
    later = there.time_ns[at[1, voting]] - here.time_ns[at[0, voting]]
    return VotedPairs(
        pair[good, 0].astype(np.int32),
        pair[good, 1].astype(np.int32),
        bits[good],
        _medians(later, place, len(pair))[good],
    )


def _distinct_keys(owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the keys that each flow alone has, by flow."""
    counts: NDArray[np.int64] = np.bincount(owner[owner != NONE])
    return counts


def _medians(values: NDArray[np.int64], group: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    order = np.lexsort((values, group))
    sizes = np.bincount(group, minlength=count)
    middle = np.cumsum(sizes) - sizes + sizes // 2
    return values[order][middle].astype(np.float64) if count else np.zeros(0)


def _bits(
    here: VotingPackets,
    there: VotingPackets,
    votes: tuple[NDArray[np.intp], NDArray[np.intp]],
    totals: list[NDArray[np.int64]],
    pairs: int,
) -> NDArray[np.float64]:
    """Weigh what the voting packets of each pair of flows have in common, shape ``(pairs,)``."""
    voting, place = votes
    row = np.zeros(int(max(here.key.max(), there.key.max())) + 1, np.int64)
    row[here.key] = np.arange(len(here.key))
    row = row[voting]
    result = np.zeros(pairs)
    tcp = np.zeros(pairs)
    stream = here.tcp[row]
    np.maximum.at(tcp, place[stream], np.where(here.sequenced[row], _STREAM_BITS, _OPENING_BITS)[stream])
    # Consecutive numbers agree by coincidence as soon as two ranges of them overlap.
    numbered = np.bincount(place, here.numbered[row], pairs) > 0
    chance = np.log2(np.maximum(totals[0] + totals[1], 1))
    result += np.where(numbered, np.maximum(FIELD_BITS - chance, 0), 0)
    result += FIELD_BITS * np.minimum(_payloads(here, there, (row, place), pairs), _PAYLOADS)
    return np.maximum(result, tcp)


def _payloads(
    here: VotingPackets, there: VotingPackets, votes: tuple[NDArray[np.int64], NDArray[np.intp]], pairs: int
) -> NDArray[np.int64]:
    """Count the distinct payloads that only this pair has, except one that all its packets share."""
    row, place = votes
    count = int(max(here.payload.max(), there.payload.max())) + 1
    own = (_owner(here.payload, here.label, count) != NONE) & (
        _owner(there.payload, there.label, count) != NONE
    )
    payload = here.payload[row]
    chosen = here.distinctive[row] & own[payload]
    different = np.unique(np.column_stack([place[chosen], payload[chosen]]), axis=0)[:, 0]
    counts = np.bincount(different, minlength=pairs)
    several = np.bincount(place, minlength=pairs) > 1
    return np.where((counts == 1) & several, 0, counts)
