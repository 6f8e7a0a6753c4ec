"""Read payloads again from a capture."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import Payloads
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.wire.model import Anomaly
from vxlanalyze.wire.payloads import payload_places


def read_payloads(
    comparison: Comparison, point: Point, rows: NDArray[np.int64], skip: NDArray[np.int64]
) -> Payloads:
    """Read the payloads of some rows.

    Parameters
    ----------
    point : Point
        The point whose capture is read.
    rows : NDArray[np.int64]
        Rows of its index, shape ``(k,)``.
    skip : NDArray[np.int64]
        Shape ``(k,)``: octets at the beginning of each payload that are left out.
    """
    source = comparison.captures[point.capture].source
    frames = source.fetch(point.index.place[rows])
    start, captured = payload_places(frames, source.interfaces, ports=comparison.ports)
    # The payload found in the frame of a merged datagram is that of its first packet.
    further = point.index.anomalies[rows] & np.uint32(Anomaly.FURTHER_PACKET) != 0
    captured = np.where(further | (start < 0), 0, np.maximum(captured - skip, 0))
    return Payloads(frames.data, np.maximum(start, 0) + skip, captured)
