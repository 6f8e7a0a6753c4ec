"""Inner 5-tuples numbered consistently across all captures, each with its opposite direction."""

import secrets
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Point
from vxlanalyze.pairing.numbered import NO_TUPLE, Tuples
from vxlanalyze.wire.hashing import GOLDEN
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import ECHO_REPLY, ECHO_REPLY_V6, ECHO_REQUEST, ECHO_REQUEST_V6
from vxlanalyze.wire.protocols import ICMP, ICMPV6

# Echo request and reply are each other's answer; RFC 792, RFC 4443 section 4.
_ECHO = {
    (ICMP, ECHO_REQUEST): ECHO_REPLY,
    (ICMP, ECHO_REPLY): ECHO_REQUEST,
    (ICMPV6, ECHO_REQUEST_V6): ECHO_REPLY_V6,
    (ICMPV6, ECHO_REPLY_V6): ECHO_REQUEST_V6,
}
_PROTOCOL, _SPORT, _DPORT = 33, 34, 36


def number(captures: Sequence[Flows]) -> Tuples:
    """Number the 5-tuples of all flows of some captures."""
    packed = [_pack(flows) for flows in captures]
    backward = [_pack_answer(rows) for rows in packed]
    every = np.concatenate([*packed, *backward]) if packed else np.zeros((0, 38), np.uint8)
    names, inverse = distinct(every)
    code: NDArray[np.int32] = inverse.astype(np.int32)
    sizes = [len(rows) for rows in packed]
    total = sum(sizes)
    answer = np.full(len(names), NO_TUPLE, dtype=np.int32)
    answer[code[:total]] = code[total:]
    # A tuple that only exists as an unseen answer is not a flow of any capture; its number stays unused.
    ends = np.cumsum(sizes)
    parts = tuple(code[end - size : end] for size, end in zip(sizes, ends, strict=True))
    return Tuples(parts, answer)


def at(points: Sequence[Point]) -> Tuples:
    """Number the 5-tuples of some points' captures consistently; `of_flow` is in the order of the points."""
    known = points[0].tuples if points else None
    if known is None:
        return number([point.flows for point in points])
    return Tuples(tuple(known.of_flow[point.capture] for point in points), known.answer)


def distinct(rows: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Give the distinct rows of bytes, in order, and which of them each row is.

    Like ``np.unique`` along an axis, which compares whole rows and is a hundred times slower.

    Parameters
    ----------
    rows : NDArray[np.uint8]
        Shape ``(n, w)``.

    Returns
    -------
    names : NDArray[np.uint8]
        Shape ``(k, w)``, ascending.
    code : NDArray[np.intp]
        Shape ``(n,)``: the place in `names` of each row.
    """
    words = _words(rows)
    code, first = number_rows(words)
    order = np.lexsort(words[first].byteswap().T[::-1])  # as numbers, in the order of their bytes
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rows[first[order]], rank[code]


def among(rows: NDArray[np.uint8], some: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the rows of bytes that are in a given set."""
    if len(some) == 1:
        one: NDArray[np.bool_] = (rows == some).all(axis=1)
        return one
    names, code = distinct(np.concatenate([some, rows]))
    known = np.zeros(len(names), np.bool_)
    known[code[: len(some)]] = True
    return known[code[len(some) :]]


def number_rows(words: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Number the distinct rows of words in order of appearance.

    Parameters
    ----------
    words : NDArray[np.uint64]
        Shape ``(n, w)``.

    Returns
    -------
    code : NDArray[np.int32]
        Shape ``(n,)``: the number of each row.
    first : NDArray[np.int32]
        Shape ``(k,)``: where each distinct row first appears.
    """
    code, first = np.empty(len(words), np.int32), np.empty(len(words), np.int32)
    table = np.full(1 << max(4, (2 * len(words)).bit_length()), -1, np.int32)  # at most half full
    seed = np.uint64(secrets.randbits(64))  # the numbers do not depend on it, only the time to find them
    return code, first[: _number_rows(words, seed, table, code, first)]


@compiled("u8[,] u8 i4[] i4[] i4[]")
def _number_rows(
    words: NDArray[np.uint64],
    seed: np.uint64,
    table: NDArray[np.int32],
    code: NDArray[np.int32],
    first: NDArray[np.int32],
) -> int:
    """Number the distinct rows in order of appearance, record where each first appears, and count them."""
    mask = np.uint64(len(table) - 1)
    count = 0
    for i in range(len(words)):
        slot = np.uint64(0)
        for j in range(words.shape[1]):  # the seed goes into every word: else two words could cancel out
            slot = folded(slot, words[i, j] + seed)
        slot &= mask
        while table[slot] >= 0 and not _same(words, first[table[slot]], i):
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot], first[count] = count, i
            count += 1
        code[i] = table[slot]
    return count


@compiled("u8 u8")
def folded(hashed: np.uint64, word: np.uint64) -> np.uint64:
    """Mix one more word into a hash."""
    hashed = (hashed ^ word) * GOLDEN
    return hashed ^ hashed >> np.uint64(32)


@compiled
def _same(words: NDArray[np.uint64], one: int, other: int) -> bool:
    width = words.shape[1]
    j = 0
    while j < width and words[one, j] == words[other, j]:
        j += 1
    return j == width


def _pack(flows: Flows) -> NDArray[np.uint8]:
    ports = np.column_stack([flows.sport, flows.dport]).astype(">u2").view(np.uint8).reshape(-1, 4)
    return np.column_stack([flows.family, flows.src, flows.dst, flows.protocol, ports]).astype(np.uint8)


def _pack_answer(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    back = rows.copy()
    back[:, 1:17], back[:, 17:33] = rows[:, 17:33], rows[:, 1:17]
    icmp = np.isin(rows[:, _PROTOCOL], (1, 58))
    back[:, _SPORT : _SPORT + 2] = rows[:, _DPORT : _DPORT + 2]
    back[:, _DPORT : _DPORT + 2] = rows[:, _SPORT : _SPORT + 2]
    back[icmp, _SPORT:] = rows[icmp, _SPORT:]
    kind = rows[:, _SPORT].astype(np.uint16) << 8 | rows[:, _SPORT + 1]
    for (protocol, question), reply in _ECHO.items():
        chosen = (rows[:, _PROTOCOL] == protocol) & (kind == question)
        back[chosen, _SPORT] = reply >> 8
        back[chosen, _SPORT + 1] = reply & 0xFF
    return back


def _words(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Rows as little-endian words of eight bytes, padded with zeros."""
    padded = np.zeros((len(rows), -(-rows.shape[1] // 8) * 8), np.uint8)
    padded[:, : rows.shape[1]] = rows
    return padded.view("<u8")
