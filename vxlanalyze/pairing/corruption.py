"""Find matched packets whose bytes changed between sender and receiver."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.fate import Matched, Units
from vxlanalyze.wire.model import Anomaly

_HEADER_CUT = np.uint32(Anomaly.HEADER_CUT.value)


def corrupted(sent: Units, received: Units, matched: Matched) -> NDArray[np.bool_]:
    """Packets whose payload differs from the one sent, shape ``(m,)``.

    Digests are compared where both captures kept the same amount of payload in one frame; packets of
    super-packets are not judged here. A header cut by the snap length differs from a complete one without
    being damaged.
    """
    result = matched.damaged.copy()
    a, b = sent.point.index, received.point.index
    differs = np.zeros(len(result), np.bool_)
    _compare((sent.row, received.row), (a.digest, b.digest), matched.partner, differs)
    pair = np.flatnonzero(differs | result)
    here, there = sent.row[pair], received.row[matched.partner[pair]]
    result[pair[(a.anomalies[here] | b.anomalies[there]) & _HEADER_CUT != 0]] = False
    single = (sent.point.segment_bytes[here] == 0) & (received.point.segment_bytes[there] == 0)
    same_span = a.digest_length[here] == b.digest_length[there]
    result[pair[single & same_span & differs[pair]]] = True
    return result


@compiled("(i4[] i4[]) (u4[] u4[]) i4[] b1[]")
def _compare(
    rows: tuple[NDArray[np.int32], NDArray[np.int32]],
    digests: tuple[NDArray[np.uint32], NDArray[np.uint32]],
    partner: NDArray[np.int32],
    differs: NDArray[np.bool_],
) -> None:
    """Mark the packets whose frame's digest differs from that of their partner."""
    sent_row, received_row = rows
    here, there = digests
    for i in range(len(partner)):
        if partner[i] >= 0:
            differs[i] = here[sent_row[i]] != there[received_row[partner[i]]]
