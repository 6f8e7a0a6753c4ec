"""Whether a capture shows all fragments of fragmented inner packets (IPv4).

Source: RFC 791 section 3.2 (a datagram is complete where its fragments, in order of offset, leave no gap and
the last one has no "more fragments").
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.wire.rows import columns

_MOST_READ = 4000  # fragments; more of the same add nothing new
_IPV4 = 4
_HEADER_BYTES = 20


def unfinished(pair: Comparison, direction: Direction, chosen: NDArray[np.bool_]) -> tuple[int, int]:
    """Count the packets that the sender's capture shows incomplete, and all, of the chosen fragments.

    `chosen` has shape ``(m,)``. Packets over IPv6 are left out: their identifier is not read.
    """
    sender = direction.sender
    rows = direction.sent_row[chosen][:_MOST_READ]
    rows = rows[sender.flows.family[sender.index.flow[rows]] == _IPV4]
    if not len(rows):
        return 0, 0
    source = pair.captures[sender.capture].source
    found = columns(source.fetch(sender.index.place[rows]), source.interfaces, ports=pair.ports)
    start, more = found["fragment_offset"], found["more_fragments"]
    end = start + found["length"] - _HEADER_BYTES
    group = np.unique(
        np.column_stack([sender.index.flow[rows], found["ip_id"]]), axis=0, return_inverse=True
    )[1]
    group = np.asarray(group).ravel()
    order = np.lexsort((start, group))
    group, start, more, end = group[order], start[order], more[order], end[order]
    first = np.append(True, group[1:] != group[:-1])
    expected = np.where(first, 0, np.append(0, end[:-1]))
    last = np.append(first[1:], True)
    broken = (start > expected) | (last & (more != 0))
    return len(np.unique(group[broken])), len(np.unique(group))
