"""What a capture says about itself, gathered from its source and its tables."""

import numpy as np

from vxlanalyze.capture.model import Source
from vxlanalyze.pairing.model import CaptureFacts
from vxlanalyze.wire.mirrors import mirror_of
from vxlanalyze.wire.model import Decoded, Tunnel
from vxlanalyze.wire.snap_lengths import cut_at_bytes


def capture_facts(source: Source, decoded: Decoded) -> CaptureFacts:
    """Gather what a capture says about itself."""
    index, flows = decoded.index, decoded.flows
    frames = int(np.count_nonzero(index.is_frame))
    dropped = [s.dropped for s in source.statistics if s.dropped is not None]
    return CaptureFacts(
        name=source.name,
        source=source,
        files=tuple(source.files),
        interfaces=tuple(source.interfaces),
        statistics=tuple(source.statistics),
        damages=tuple(source.damages),
        packets=frames,
        tunnel_packets=int(decoded.usage.packets[flows.tunnel != Tunnel.NONE].sum()) - (len(index) - frames),
        first_ns=int(index.time_ns.min()) if len(index) else None,
        last_ns=int(index.time_ns.max()) if len(index) else None,
        snaplen_bytes=cut_at_bytes(source, index),
        dropped_by_kernel=sum(dropped) if dropped else None,
        mirror=mirror_of(source),
    )
