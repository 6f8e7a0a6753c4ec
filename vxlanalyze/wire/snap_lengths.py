"""How much of each packet the captures kept, so that payload digests cover the same bytes everywhere."""

from collections.abc import Sequence

import numpy as np

from vxlanalyze.capture.model import Source
from vxlanalyze.wire.model import Anomaly, Index

# Ethernet, IPv4, UDP, VXLAN, Ethernet: the minimum before the inner packet.
_LEAST_HEADERS_BYTES = 14 + 20 + 8 + 8 + 14
_WHOLE_PACKETS = 65535
_CUT_FRAMES_READ = 64


def common_bytes(sources: Sequence[Source], cut_at_bytes: Sequence[int | None]) -> int | None:
    """Number of bytes of each inner packet kept by all captures, where snap lengths differ; else None.

    The decoder digests no more than these, so that the same packet has the same digest everywhere.
    `cut_at_bytes` is what each capture kept of truncated frames.
    """
    named = [[i.snaplen_bytes for i in s.interfaces] for s in sources]
    snaps = [min(filter(None, (*n, cut)), default=0) for n, cut in zip(named, cut_at_bytes, strict=True)]
    snaps = [s for s in snaps if s]
    if not snaps or min(snaps) == max(snaps) or min(snaps) >= _WHOLE_PACKETS:
        return None
    return max(min(snaps) - _LEAST_HEADERS_BYTES, 0)


def cut_at_bytes(source: Source, index: Index) -> int | None:
    """Captured length of truncated frames, from a sample; None where none is."""
    cut = np.flatnonzero(index.anomalies & np.uint32(Anomaly.CUT))[:_CUT_FRAMES_READ]
    return source.fetch(index.place[cut]).cut_at_bytes if len(cut) else None
