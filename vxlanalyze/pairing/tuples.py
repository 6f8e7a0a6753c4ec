"""Inner 5-tuples numbered alike over all captures, each with the one that answers it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.wire.model import Flows

NO_TUPLE = -1

# Echo request and reply are each other's answer; RFC 792, RFC 4443 section 4.
_ECHO = {(1, 8 << 8): 0, (1, 0): 8 << 8, (58, 128 << 8): 129 << 8, (58, 129 << 8): 128 << 8}
_PROTOCOL, _SPORT, _DPORT = 33, 34, 36

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, as Fibonacci hashing takes it


@dataclass(frozen=True, slots=True)
class Tuples:
    """The `t` distinct inner 5-tuples of some captures.

    Parameters
    ----------
    of_flow : tuple of NDArray[np.int32]
        For each capture, shape ``(f,)``: the tuple of each flow.
    answer : NDArray[np.int32]
        Shape ``(t,)``: the tuple of the opposite way, or NO_TUPLE.
    """

    of_flow: tuple[NDArray[np.int32], ...]
    answer: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.answer)


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
    # A tuple that only exists as an answer nobody saw is no flow of any capture; it stays numbered, unused.
    ends = np.cumsum(sizes)
    parts = tuple(code[end - size : end] for size, end in zip(sizes, ends, strict=True))
    return Tuples(parts, answer)


def distinct(rows: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Give the distinct rows of bytes, in order, and which of them each row is.

    The same as ``np.unique`` along an axis, which compares whole rows and is fifty times slower: this sorts
    a hash of each row.

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
    hashed = _hashed(words)
    by_hash = np.argsort(hashed)
    new = np.ones(len(rows), np.bool_)
    new[1:] = hashed[by_hash[1:]] != hashed[by_hash[:-1]]
    first, code = by_hash[new], np.empty_like(by_hash)
    code[by_hash] = np.cumsum(new) - 1
    names = rows[first]
    if not np.array_equal(names[code], rows):  # two rows of one hash
        names, code = np.unique(rows, axis=0, return_inverse=True)
        return names, code.reshape(-1)
    order = np.lexsort(words[first].byteswap().T[::-1])  # as numbers, in the order of their bytes
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return names[order], rank[code]


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
    """Rows as little-endian words of eight bytes, zeros behind their end."""
    padded = np.zeros((len(rows), -(-rows.shape[1] // 8) * 8), np.uint8)
    padded[:, : rows.shape[1]] = rows
    return padded.view("<u8")


def _hashed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number for each row, shape ``(n,)``: its words multiplied and folded."""
    result = np.zeros(len(words), np.uint64)
    for word in words.T:
        result = (result ^ word) * _ODD
        result ^= result >> np.uint64(32)
    return result
