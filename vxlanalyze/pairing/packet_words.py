"""Keys of packets that vote for two flows being one: identification, sequence numbers, payload."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import number_rows
from vxlanalyze.wire.model import Decoded
from vxlanalyze.wire.numbers import SYN
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP

_SHORTEST_PAYLOAD = 4  # bytes needed to be distinguishable from random others


class VotingPackets(NamedTuple):
    """Packets of the flows that only one of two sites shows, shapes ``(k,)``."""

    label: NDArray[np.int32]
    key: NDArray[np.int32]  # numbered consistently at both sites
    payload: NDArray[np.int32]  # likewise
    time_ns: NDArray[np.int64]
    tcp: NDArray[np.bool_]
    numbered: NDArray[np.bool_]  # has an IP ID
    sequenced: NDArray[np.bool_]  # TCP with an acknowledgement, after the SYN
    distinctive: NDArray[np.bool_]  # has a payload that distinguishes it


def packets_of(
    captures: Sequence[Decoded],
    labels: Sequence[NDArray[np.int32]],
    *chosen: tuple[int, NDArray[np.bool_]],
) -> tuple[VotingPackets, VotingPackets]:
    """Choose the packets of some flows that may vote, with their keys."""
    rows = [rows_of(captures[i].index.flow, flows) for i, flows in chosen]
    words = [_words(captures[i], row) for (i, _), row in zip(chosen, rows, strict=True)]
    key, _ = number_rows(np.concatenate(words))
    payloads = [_payload_words(captures[i], row) for (i, _), row in zip(chosen, rows, strict=True)]
    payload, _ = number_rows(np.concatenate(payloads))
    border = len(rows[0])
    made = []
    for (i, _), row, some in zip(chosen, rows, (slice(border), slice(border, None)), strict=True):
        index, flows = captures[i].index, captures[i].flows
        flow = index.flow[row]
        tcp = flows.protocol[flow] == TCP
        made.append(
            VotingPackets(
                label=labels[i][flow],
                key=key[some],
                payload=payload[some],
                time_ns=index.time_ns[row],
                tcp=tcp,
                numbered=(index.ip_id[row] != 0) & ~tcp,
                sequenced=tcp & (index.ack[row] != 0) & (index.tcp_flags[row] & SYN == 0),
                distinctive=~tcp & (index.digest_length[row] >= _SHORTEST_PAYLOAD),
            )
        )
    return made[0], made[1]


def _words(capture: Decoded, row: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Make the second key: for TCP the position in the stream, however segmented; otherwise everything."""
    index, flows = capture.index, capture.flows
    flow = index.flow[row]
    protocol = flows.protocol[flow].astype(np.uint64)
    tcp = flows.protocol[flow] == TCP
    kind = np.where(np.isin(flows.protocol[flow], (ICMP, ICMPV6)), flows.sport[flow], 0).astype(np.uint64)
    opening = np.where(tcp, index.tcp_flags[row] & SYN, 0).astype(np.uint64)
    length = np.where(tcp, 0, index.length[row]).astype(np.uint64)
    number = np.where(tcp, 0, index.ip_id[row]).astype(np.uint64)
    digest = np.where(tcp, 0, index.digest[row]).astype(np.uint64)
    place = index.seq[row].astype(np.uint64) << np.uint64(32) | np.where(tcp, index.ack[row], 0).astype(
        np.uint64
    )
    kinds = protocol << np.uint64(48) | kind << np.uint64(16) | opening
    return np.column_stack([kinds, place, length << np.uint64(32) | number, digest])


def _payload_words(capture: Decoded, row: NDArray[np.int32]) -> NDArray[np.uint64]:
    index = capture.index
    digest = index.digest[row].astype(np.uint64) << np.uint64(32) | index.digest_length[row]
    return digest[:, np.newaxis]
