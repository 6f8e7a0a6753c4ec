"""ICMP errors about translated packets: the quoted packet is translated too, and often the sender.

Where a node reverses the translation for an error, its quotation changes and with it the payload, so no
content agrees at the two points. Its ends do: each address is either the same, or related to the other by a
known translation.

Sources: RFC 5508 section 4.2 (the quoted packet is translated); Linux net/netfilter/nf_nat_core.c
(nf_nat_icmp_reply_translation).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.wire.model import Anomaly, Decoded, Flows
from vxlanalyze.wire.protocols import ICMP, ICMPV6

_ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}  # RFC 792, RFC 4443
_WAYS = ("src", "dst")
_QUOTES = np.uint32(Anomaly.ICMP_ERROR.value)
Numbered = tuple[Flows, Mapping[int, int]]  # flows, and the row of each number


def counterparts(near: Numbered, far: Numbered, found: Mapping[int, int]) -> dict[int, int]:
    """Pair the error flows of two points by the translated flows that were found between them.

    Parameters
    ----------
    near, far : tuple of Flows and mapping
        The flows that only one of the points shows.
    found : mapping
        Numbers of the one, by those of the other.
    """
    became: dict[bytes, set[bytes]] = {}
    for mine, theirs in found.items():
        for before, after in _ends(near, mine, far, theirs):
            became.setdefault(before, set()).add(after)
    candidates: dict[tuple[int, int, bytes], list[int]] = {}
    for number in _errors(far):
        kind, _, dst = _named(far, number)
        candidates.setdefault((*kind, dst), []).append(number)
    result: dict[int, int] = {}
    for number in _errors(near):
        kind, src, dst = _named(near, number)
        fitting = [
            other
            for target in (dst, *became.get(dst, ()))
            for other in candidates.get((*kind, target), ())
            if _named(far, other)[1] in (src, *became.get(src, ()))
        ]
        if len(fitting) == 1 and fitting[0] not in result.values():
            result[number] = fitting[0]
    return result


def _errors(site: Numbered) -> Iterator[int]:
    flows, rows = site
    for number, row in rows.items():
        if int(flows.sport[row]) >> 8 in _ERRORS.get(int(flows.protocol[row]), ()):
            yield number


def _named(site: Numbered, number: int) -> tuple[tuple[int, int], bytes, bytes]:
    flows, rows = site
    row = rows[number]
    kind = int(flows.protocol[row]), int(flows.sport[row])
    return kind, flows.src[row].tobytes(), flows.dst[row].tobytes()


def _ends(near: Numbered, mine: int, far: Numbered, theirs: int) -> Iterator[tuple[bytes, bytes]]:
    for end in _WAYS:
        one, other = (
            getattr(site[0], end)[site[1][number]].tobytes() for site, number in ((near, mine), (far, theirs))
        )
        if one != other:
            yield one, other


def without_quotations(capture: Decoded) -> Decoded:
    """Give a capture without digests of ICMP errors: their quotations are translated, too."""
    quoting: NDArray[np.bool_] = capture.index.anomalies & _QUOTES != 0
    if not quoting.any():
        return capture
    digest = np.where(quoting, np.uint32(0), capture.index.digest)
    length = np.where(quoting, np.uint32(0), capture.index.digest_length)
    return replace(capture, index=replace(capture.index, digest=digest, digest_length=length))
