"""Number the addresses of all captures consistently, and find which of them belong to each point's node.

A capture does not say which node took it. That follows from the address that takes part in all of its tunnel
packets, from what the kernel marked as outgoing (Linux cooked captures), and, between two captures, from
delay, checksums and loss: the sender's capture shows a packet earlier than the receiver's, before the network
card has filled in its checksums, and at least as often.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.address_book import NO_ADDRESS
from vxlanalyze.wire.model import (
    INNER_L4_SHIFT,
    OUTER_L4_SHIFT,
    UNFILLED,
    Checksum,
    checksum_states,
)

PACKET_HOST, PACKET_OUTGOING = 0, 4  # sll.pkttype


@dataclass(frozen=True, slots=True)
class Sides:
    """What a capture's flows say about the addresses at both ends: numbers and frames, shape ``(f,)``.

    `inner_src` and `inner_dst` number the addresses inside (for an unencapsulated packet, its own),
    `unencapsulated_packets` are the unencapsulated frames there, `identity` is that of `Flows`; MACs and
    family are those of the ends. `answers` marks the flows that answer others: echo replies, and flows from
    the smaller port. `claimed` are the addresses for which ARP or neighbour advertisements outside of tunnels
    name the MACs `claimants`.
    """

    src: NDArray[np.int32]
    dst: NDArray[np.int32]
    packets: NDArray[np.int64]
    packet_type: NDArray[np.uint8]
    inner_src: NDArray[np.int32]
    inner_dst: NDArray[np.int32]
    unencapsulated_packets: NDArray[np.int64]
    identity: NDArray[np.uint64]
    src_mac: NDArray[np.uint64]
    dst_mac: NDArray[np.uint64]
    family: NDArray[np.uint8]
    answers: NDArray[np.bool_]
    claimed: NDArray[np.int32]
    claimants: NDArray[np.uint64]

    @property
    def unicast(self) -> NDArray[np.bool_]:
        """Flows between two hosts; those to a group have no destination here."""
        return (self.packets > 0) & (self.src != NO_ADDRESS) & (self.dst != NO_ADDRESS)

    def sent_by(self, address: int) -> int:
        """Frames that an address sent."""
        return int(self.packets[self.src == address].sum())

    def behind(self, address: int) -> set[int]:
        """Inner addresses that send from an outer address or are reached through it."""
        seen = self.packets > 0
        at = np.concatenate([
            self.inner_src[seen & (self.src == address)],
            self.inner_dst[seen & (self.dst == address)],
        ])  # fmt: skip
        return set(at[at != NO_ADDRESS].tolist())

    def unencapsulated_by(self, inner: set[int], tunnelled: NDArray[np.uint64]) -> int:
        """Unencapsulated frames sent by some inner addresses whose flow does not occur in the tunnel."""
        chosen = np.isin(self.inner_src, list(inner)) & ~np.isin(self.identity, tunnelled)
        return int(self.unencapsulated_packets[chosen].sum())


def marked(sides: Sides) -> tuple[int, ...]:
    """Addresses that the kernel marked as its own: sources of outgoing and destinations of incoming frames.

    An incoming frame whose destination the host also sends to is being forwarded.
    """
    outgoing = (sides.packet_type == PACKET_OUTGOING) & (sides.src != NO_ADDRESS) & (sides.packets > 0)
    if not outgoing.any():
        return ()
    incoming = sides.unicast & (sides.packet_type == PACKET_HOST)
    received = np.setdiff1d(sides.dst[incoming], sides.dst[outgoing])
    return tuple(np.union1d(sides.src[outgoing], received).tolist())


def hubs(sides: Sides) -> tuple[int, ...]:
    """Addresses that take part in every frame, at most two (the ends of the only pair).

    An occasional frame of another host (a mirror port, a neighbour's broadcast) does not disqualify an
    address that takes part in nearly all.
    """
    real = sides.unicast
    if not real.any():
        return ()
    ends = np.concatenate([sides.src[real], sides.dst[real][sides.dst[real] != sides.src[real]]])
    same = sides.dst[real] != sides.src[real]
    weight = np.concatenate([sides.packets[real], sides.packets[real][same]])
    share = np.bincount(ends, weight) / sides.packets[real].sum()
    best = share.max()
    if best < _NEARLY_ALL:
        return ()
    return tuple(np.flatnonzero(share == best).tolist())[:2]


_NEARLY_ALL = 0.9


def ahead_ns(source: NDArray[np.int32], later_ns: NDArray[np.int64], a: int) -> float:
    """Like `Common.ahead_ns`, for packets of `a` and of one other source."""
    turn = np.flatnonzero(source[1:] != source[:-1])
    if not len(turn):
        return 0.0
    step = later_ns[turn] - later_ns[turn + 1]
    return float(np.median(np.where(source[turn] == a, step, -step)))


def with_neighbours(few: NDArray[np.intp], many: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give some positions, and those of others adjacent to one; each ascending."""
    at = np.searchsorted(many, few)
    return np.unique(np.concatenate([few, many[at[at > 0] - 1], many[at[at < len(many)]]]))


def senders(*seen: Sides) -> tuple[int, ...]:
    """Addresses that send anything in some captures."""
    sent = [side.src[(side.packets > 0) & (side.src != NO_ADDRESS)] for side in seen]
    return tuple(np.unique(np.concatenate(sent)).tolist())


@dataclass(frozen=True, slots=True)
class Common:
    """Packets that two captures both saw, in the order of the first, shapes ``(m,)``.

    `source` numbers the address that sent each, `flows` are its flows at both, `later_ns` is its time at the
    second minus that at the first. `filled`, when called, gives 1 where the first shows a checksum unfilled
    that the second shows filled in, -1 in the opposite case, else 0. `again` gives, for the flows of both
    captures, the frames that repeat a packet of that capture.
    """

    source: NDArray[np.int32]
    flows: tuple[NDArray[np.int32], NDArray[np.int32]]
    later_ns: NDArray[np.int64]
    filled: Callable[[], NDArray[np.int8]]
    again: Callable[[], tuple[NDArray[np.int64], NDArray[np.int64]]] | None = None

    def ahead_ns(self, a: int, b: int) -> float:
        """How much longer packets of `a` take from the first capture to the second than those of `b`.

        Only neighbours of different sources are compared, so a clock that drifts or is set does not matter.
        """
        either = (self.source == a) | (self.source == b)
        source, later = self.source, self.later_ns
        if not either.all():
            source, later = source[either], later[either]
        return ahead_ns(source, later, a)

    def filled_later(self, a: int, b: int) -> int:
        """How many more packets of `a` than of `b` got their checksums after the first capture."""
        filled = self.filled()
        return int(filled[self.source == a].sum() - filled[self.source == b].sum())


def filled(here: NDArray[np.uint16], there: NDArray[np.uint16]) -> NDArray[np.int8]:
    """Find from the `checks` of packets at two captures which was nearer to the sender; see `Common.filled`.

    Only a sender's capture shows checksums that its network card has yet to fill in
    (Linux Documentation/networking/checksum-offloads.rst). Within one host they are unfilled at both.
    """
    nearer = np.zeros(len(here), np.int8)
    for shift in (OUTER_L4_SHIFT, INNER_L4_SHIFT):
        first, second = checksum_states(here, shift), checksum_states(there, shift)
        nearer += np.isin(first, UNFILLED) & np.isin(second, _FILLED)
        nearer -= np.isin(second, UNFILLED) & np.isin(first, _FILLED)
    return np.sign(nearer)


_FILLED = (Checksum.OK, Checksum.BAD, Checksum.ALL_ONES)
_NONE = np.zeros(0, np.int32)
NOTHING_COMMON = Common(_NONE, (_NONE, _NONE), np.zeros(0, np.int64), lambda: np.zeros(0, np.int8))


def of_pair(
    ends: tuple[int, int],
    sides: tuple[Sides, Sides],
    common: "Common",
    inside: tuple[Sequence[Sides], Sequence[Sides]] = ((), ()),
) -> tuple[int, int, str]:
    """Assign two addresses to two captures.

    Parameters
    ----------
    ends : tuple of int
        The two addresses.
    sides : tuple of Sides
        The first and the second capture.
    common : Common
        The packets seen by both.
    inside : tuple of sequences of Sides
        Captures of pods next to the first and next to the second.

    Returns
    -------
    tuple of int, int, str
        Address of the first, address of the second, and the evidence for it.
    """
    a, b = ends
    here, there = sides
    ahead = common.ahead_ns(a, b)
    if ahead != 0:
        return (a, b, _BY_DELAY) if ahead > 0 else (b, a, _BY_DELAY)
    filled_later = common.filled_later(a, b)
    if filled_later != 0:
        return (a, b, _BY_CHECKSUMS) if filled_later > 0 else (b, a, _BY_CHECKSUMS)
    distinct = _distinct(here, there, common)
    surplus = sum(sign * (distinct[0].sent_by(n) - distinct[1].sent_by(n)) for sign, n in ((1, a), (-1, b)))
    client = _client_end(ends, here, there)
    if surplus != 0 and client is None and (len(common.source) or _each_sees_one_way(ends, here, there)):
        return (a, b, _BY_LOSS) if surplus > 0 else (b, a, _BY_LOSS)
    with_pods = ((here, *inside[0]), (there, *inside[1]))
    surpluses = [_unencapsulated_surplus(ends, (here, there), some) for some in with_pods]
    if surpluses[0] != surpluses[1]:
        return (a, b, _BY_PODS) if surpluses[0] > surpluses[1] else (b, a, _BY_PODS)
    if client is not None:
        return (a, b, _BY_CLIENT) if client == a else (b, a, _BY_CLIENT)
    total_a, total_b = here.sent_by(a) + there.sent_by(a), here.sent_by(b) + there.sent_by(b)
    return (a, b, _BY_ORDER) if total_a >= total_b else (b, a, _BY_ORDER)


def _distinct(here: Sides, there: Sides, common: "Common") -> tuple[Sides, Sides]:
    """Count packets, not frames: the network may have copied some on the path."""
    if common.again is None:
        return here, there
    first, second = (
        replace(side, packets=np.maximum(side.packets - again, np.minimum(side.packets, 1)))
        for side, again in zip((here, there), common.again(), strict=True)
    )
    return first, second


def _client_end(ends: tuple[int, int], here: Sides, there: Sides) -> int | None:
    """The end whose packets are all missing from one capture although they were answered, or None.

    They did arrive, so the capture's filter (tcpdump -Q) left them out, which does not show whose capture it
    is.
    """
    for side in (here, there):
        sent = [side.sent_by(end) for end in ends]
        if min(sent) == 0 < max(sent):
            client, other = ends if sent[0] == 0 else ends[::-1]
            answered = int(side.packets[(side.src == other) & side.answers].sum())
            return client if 2 * answered > side.sent_by(other) else None
    return None


def _each_sees_one_way(ends: tuple[int, int], here: Sides, there: Sides) -> bool:
    """Whether each capture shows packets of at most one end; two from different times may show both ends."""
    return not any(side.sent_by(ends[0]) and side.sent_by(ends[1]) for side in (here, there))


def _unencapsulated_surplus(ends: tuple[int, int], cards: tuple[Sides, Sides], seen: Sequence[Sides]) -> int:
    """Unencapsulated frames in some captures: those of the first node's pods minus those of the second's."""
    a, b = (cards[0].behind(end) | cards[1].behind(end) for end in ends)
    tunnelled = np.concatenate([card.identity[card.packets > 0] for card in cards])
    return sum(
        side.unencapsulated_by(a - b, tunnelled) - side.unencapsulated_by(b - a, tunnelled) for side in seen
    )


_BY_DELAY = "the order in which both captures saw the same packets"
_BY_CHECKSUMS = "checksums partial in one capture and complete in the other: the first is the sender's"
_BY_LOSS = "a packet is seen at its sender at least as often as where it goes"
_BY_PODS = "whose pods' packets also appear unencapsulated there"
_BY_CLIENT = "assumed: captures are in path order, and the first node sends the requests"
_BY_ORDER = "assumed: the captures being given in path order, the sender's first"
