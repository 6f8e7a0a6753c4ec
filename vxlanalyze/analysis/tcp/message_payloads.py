"""Recognise what connections carry by their first segments."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import Protocol
from vxlanalyze.analysis.messages.parsing import Sign, recognise
from vxlanalyze.analysis.messages.reading import read_payloads
from vxlanalyze.pairing.model import Comparison, Point


def protocols(
    comparison: Comparison, point: Point, first: NDArray[np.int64], client: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give each connection's `Protocol`, and the stream of its client (0 or 1).

    Parameters
    ----------
    first : NDArray[np.int64]
        Shape ``(2 c, s)``: rows of the first segments of each stream, -1 for none.
    client : NDArray[np.int64]
        Shape ``(c,)``: the stream of the client as far as ports and SYNs show it.
    """
    slot, number = np.nonzero(first >= 0)
    rows = first[slot, number]
    payloads = read_payloads(comparison, point, rows, np.zeros(len(rows), np.int64))
    signs = np.empty(len(rows), np.uint8)
    recognise(payloads, point.index.payload_length[rows].astype(np.int64), signs)
    said = np.zeros(len(first), np.uint8)
    np.bitwise_or.at(said, slot, signs)
    return _decided(said.reshape(-1, 2), client)


def _decided(
    said: NDArray[np.uint8], client: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decide what connections carry by the signs on both sides, shape ``(c, 2)``."""
    has = {sign: said & np.uint8(sign) != 0 for sign in Sign}
    frames = has[Sign.FRAMES] | has[Sign.FRAMES_WITH_HEADERS]
    records = has[Sign.RECORD] | has[Sign.CLIENT_HELLO]
    protocol = np.zeros(len(said), np.uint8)
    client = client.copy()
    for kind, sides, holds in (
        (Protocol.TLS, has[Sign.CLIENT_HELLO], records.all(axis=1) | has[Sign.CLIENT_HELLO].any(axis=1)),
        (Protocol.HTTP2, has[Sign.PREFACE], frames.all(axis=1) & has[Sign.FRAMES_WITH_HEADERS].any(axis=1)),
        (Protocol.HTTP2, has[Sign.PREFACE], has[Sign.PREFACE].any(axis=1)),
        (Protocol.HTTP1, has[Sign.REQUEST], has[Sign.REQUEST].any(axis=1)),
    ):
        holds = holds & ~sides.all(axis=1)
        protocol[holds] = kind
        known = holds & sides.any(axis=1)
        client[known] = sides[known, 1]
    return protocol, client
