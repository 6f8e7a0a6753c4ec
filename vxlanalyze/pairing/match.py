"""Match the packets of one capture with those of another.

Two rounds. `unique` joins all rows whose strictest key occurs once on each side: nearly everything, without
any clock. The clock is determined from those pairs, and `assign` matches the remaining packets (segmented
super-packets, equal keys, damage, rewriting) level by level, in order and within the time that a packet can
have taken.

Both are linear except for a sort of the remaining packets; a flood of one key costs no more than its length.
"""

import secrets
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import I32, I64, U64
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.memory.threads import threads

NO_PARTNER = -1

_FEW = 20_000  # rows, below which two threads cost more than they save
_EMPTY = np.int32(-1)
_1 = np.uint64(1)
_63 = np.uint64(63)
_LOWER_HALF = np.uint64((1 << 63) - 1)  # keys are hashes: half of them are above


class _Half(NamedTuple):
    """The keys whose highest bit is `number`, and how they are hashed."""

    number: np.uint64
    multiplier: np.uint64
    shift: np.uint64


class Keyed(NamedTuple):
    """Packets of one side: keys, and times by the receiver's clock; shapes ``(k,)``."""

    keys: NDArray[np.uint64]
    time_ns: NDArray[np.int64]


class Limits(NamedTuple):
    """The shortest and the longest delay that a pair may have."""

    shortest_ns: np.int64
    longest_ns: np.int64


class Assigned(NamedTuple):
    """Result of `assign` for `n` packets sent and `k` received.

    Attributes
    ----------
    partner : NDArray[np.int32]
        Shape ``(n,)``: position of the received packet, or NO_PARTNER.
    copy_of : NDArray[np.int32]
        Shape ``(k,)``: position of the sent packet that this one repeats, or NO_PARTNER.
    ambiguous : NDArray[np.bool_]
        Shape ``(n,)``: another packet with the same key would fit equally well.
    """

    partner: NDArray[np.int32]
    copy_of: NDArray[np.int32]
    ambiguous: NDArray[np.bool_]


def unique(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Pair the keys that occur exactly once on each side.

    Parameters
    ----------
    left, right : NDArray[np.uint64]
        Keys, shapes ``(n,)`` and ``(k,)``.

    Returns
    -------
    NDArray[np.int32]
        Shape ``(n,)``: position in `right`, or NO_PARTNER.
    """
    partner = np.full(len(left), _EMPTY, dtype=np.int32)
    taken_by = np.full(len(right), _EMPTY, dtype=np.int32)
    repeated = np.zeros(len(right), dtype=np.bool_)
    high = int(np.count_nonzero(right > _LOWER_HALF))
    # A sender can choose the keys of its packets, but not where these fall in the table (multiply-shift,
    # Dietzfelbinger et al., J. Algorithms 25, 1997). Partners do not depend on it.
    multiplier = np.uint64(secrets.randbits(64) | 1)

    def pair_half(half: int, entries: int) -> None:
        table = _table(entries)
        shift = np.uint64(65 - len(table).bit_length())
        _unique(_Half(np.uint64(half), multiplier, shift), left, right, (table, repeated, taken_by), partner)

    sizes = (len(right) - high, high)
    if len(left) + len(right) < _FEW:
        for half, entries in enumerate(sizes):
            pair_half(half, entries)
        return partner
    # Equal keys are in the same half, so each thread has a table and rows of its own.
    with threads(2) as pool:
        list(pool.map(pair_half, (0, 1), sizes))
    return partner


def _table(entries: int) -> NDArray[np.int32]:
    """Open addressing, at most half full so that probes stay short."""
    return np.full(1 << max(4, (2 * entries - 1).bit_length()), _EMPTY, dtype=np.int32)


@compiled("_Half(u8 u8 u8) u8[] u8[] (i4[] b1[] i4[]) i4[]")
def _unique(
    half: _Half, left: U64, right: U64, state: tuple[I32, NDArray[np.bool_], I32], partner: I32
) -> None:
    number, multiplier, shift = half
    table, repeated, taken_by = state
    mask = np.uint64(len(table) - 1)
    for j in range(len(right)):
        key = right[j]
        if key >> _63 != number:
            continue
        slot = key * multiplier >> shift
        while table[slot] != _EMPTY and right[table[slot]] != key:
            slot = (slot + _1) & mask
        if table[slot] == _EMPTY:
            table[slot] = j
        else:
            repeated[table[slot]] = True
    for i in range(len(left)):
        key = left[i]
        if key >> _63 != number:
            continue
        slot = key * multiplier >> shift
        while table[slot] != _EMPTY and right[table[slot]] != key:
            slot = (slot + _1) & mask
        j = table[slot]
        if j == _EMPTY or repeated[j]:
            continue
        if taken_by[j] == _EMPTY:
            taken_by[j] = i
            partner[i] = j
        else:
            partner[taken_by[j]] = _EMPTY


def assign(sent: Keyed, received: Keyed, limits: Limits) -> Assigned:
    """Pair packets with equal keys in order, where the delay is possible."""
    orders = (
        np.lexsort((sent.time_ns, sent.keys)).astype(np.int32),
        np.lexsort((received.time_ns, received.keys)).astype(np.int32),
    )
    result = Assigned(
        partner=np.full(len(sent.keys), _EMPTY, dtype=np.int32),
        copy_of=np.full(len(received.keys), _EMPTY, dtype=np.int32),
        ambiguous=np.zeros(len(sent.keys), dtype=np.bool_),
    )
    _assign(orders, sent, received, limits, result)
    return result


@compiled("(i4[] i4[]) Keyed(u8[] i8[]) Keyed(u8[] i8[]) Limits(i8 i8) Assigned(i4[] i4[] b1[])")
def _assign(orders: tuple[I32, I32], sent: Keyed, received: Keyed, limits: Limits, result: Assigned) -> None:
    sent_order, received_order = orders
    times = _Times(sent.time_ns, received.time_ns, limits)
    a = b = 0
    while a < len(sent_order) and b < len(received_order):
        key = sent.keys[sent_order[a]]
        other = received.keys[received_order[b]]
        if key < other:
            a += 1
            continue
        if other < key:
            b += 1
            continue
        a_end, b_end = a, b
        while a_end < len(sent_order) and sent.keys[sent_order[a_end]] == key:
            a_end += 1
        while b_end < len(received_order) and received.keys[received_order[b_end]] == key:
            b_end += 1
        departures = sent_order[a:a_end]
        arrivals = received_order[b:b_end]
        if len(arrivals) > len(departures):
            _pair_forward(departures, arrivals, times, result.partner)
        else:
            _pair_backward(departures, arrivals, times, result.partner)
        _mark_copies(departures, arrivals, times, result)
        if len(departures) > 1:
            _mark_ambiguous(departures, times, result)
        a, b = a_end, b_end


class _Times(NamedTuple):
    """Times of all packets of both sides by one clock, and the delays between them that are possible."""

    sent_ns: I64
    received_ns: I64
    limits: Limits


@compiled
def _pair_forward(sent: I32, received: I32, times: _Times, partner: I32) -> None:
    # More arrived than were sent: each sent packet takes the first possible arrival, the rest are copies.
    j = 0
    for s in sent:
        sent_ns = times.sent_ns[s]
        while j < len(received) and times.received_ns[received[j]] - sent_ns < times.limits.shortest_ns:
            j += 1
        if j < len(received) and times.received_ns[received[j]] - sent_ns <= times.limits.longest_ns:
            partner[s] = received[j]
            j += 1


@compiled
def _pair_backward(sent: I32, received: I32, times: _Times, partner: I32) -> None:
    # Fewer arrived: starting from the end, each arrival takes the last possible sent packet. With equal
    # numbers in order this is the plain pairing; with loss it is the pairing with the shortest delays.
    i = len(sent) - 1
    for back in range(len(received)):
        r = received[len(received) - 1 - back]
        received_ns = times.received_ns[r]
        while i >= 0 and received_ns - times.sent_ns[sent[i]] < times.limits.shortest_ns:
            i -= 1
        if i >= 0 and received_ns - times.sent_ns[sent[i]] <= times.limits.longest_ns:
            partner[sent[i]] = r
            i -= 1


@compiled
def _mark_copies(sent: I32, received: I32, times: _Times, result: Assigned) -> None:
    # Both are in time order: an unmatched arrival repeats the last packet sent before it that arrived.
    partner, copy_of = result.partner, result.copy_of
    for s in sent:
        if partner[s] != _EMPTY:
            copy_of[partner[s]] = s
    i = 0
    last = _EMPTY
    for r in received:
        received_ns = times.received_ns[r]
        while i < len(sent) and received_ns - times.sent_ns[sent[i]] >= times.limits.shortest_ns:
            if partner[sent[i]] != _EMPTY:
                last = sent[i]
            i += 1
        fits = last != _EMPTY and received_ns - times.sent_ns[last] <= times.limits.longest_ns
        if copy_of[r] == _EMPTY and fits:
            copy_of[r] = last
    for s in sent:
        if partner[s] != _EMPTY:
            copy_of[partner[s]] = _EMPTY


@compiled
def _mark_ambiguous(sent: I32, times: _Times, result: Assigned) -> None:
    # If swapping the partners of two neighbours leaves both delays possible, the two are indistinguishable.
    shortest, longest = times.limits
    partner = result.partner
    previous = _EMPTY
    for i in range(len(sent)):
        s = sent[i]
        if previous != _EMPTY:
            mine = partner[s]
            theirs = partner[previous]
            if theirs != _EMPTY and mine == _EMPTY:
                crossed = times.received_ns[theirs] - times.sent_ns[s]
            elif mine != _EMPTY:
                crossed = times.received_ns[mine] - times.sent_ns[previous]
            else:
                crossed = shortest - 1
            if (
                theirs != _EMPTY
                and mine != _EMPTY
                and times.received_ns[theirs] - times.sent_ns[s] < shortest
            ):
                crossed = shortest - 1
            if shortest <= crossed <= longest:
                result.ambiguous[s] = True
                result.ambiguous[previous] = True
        previous = s
