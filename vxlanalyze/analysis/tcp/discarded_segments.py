"""TCP data that reaches a node's capture and not its TCP: it must be sent again, though nothing was lost.

A receiver acknowledges up to the first octet that it lacks. If that is still the beginning of a segment that
the capture of its node shows, when the same segment arrives a second time, the first copy was discarded
inside the node. One acknowledgement may have left before the segment was processed, so there must be two of
them since it arrived, or no answer for longer than any acknowledgement is delayed. A receiver that stands
still sends none, and a closed window discards on purpose.

Sources: RFC 9293 section 3.8.6.1 (a closed window); RFC 5681 section 3.2 (duplicate acknowledgements); RFC
1122 section 4.2.3.2 (delayed by half a second at most; Linux: 200 ms).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.tcp.tcp_packets import TcpPackets, tcp_packets
from vxlanalyze.analysis.tcp.tcp_streams import Sent
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.wire.model import WINDOW_MASK
from vxlanalyze.wire.numbers import ACK, SYN

_PROCESSED_NS = 50_000  # an acknowledgement later than this is sent after the segment was seen
_DUPLICATES = 2
_UNDELAYED_NS = 200_000_000
_SPEAKS_NS = 10_000_000
_PROBE_BYTES = 1

_Longs = NDArray[np.int64]


class Discarded(NamedTuple):
    """Segments of a direction that its receiver's node discarded, by rows of the receiver's capture.

    `arrived` counts the segments with data that arrived in the same streams, first copies only.
    """

    first_row: NDArray[np.int32]
    second_row: NDArray[np.int32]
    arrived: int


def discarded(pair: Comparison, direction: Direction, outbound: Sent) -> Discarded:
    """Find them in the streams that sent anything again."""
    streams = np.flatnonzero((outbound.seen.progress.resent > 0) & outbound.chosen)
    none = Discarded(np.empty(0, np.int32), np.empty(0, np.int32), 0)
    if not len(streams):
        return none
    packets = tcp_packets(pair)[direction.receiver.name]
    rows, stream, from_sender = _of(packets, streams)
    index = direction.receiver.index
    sending = from_sender & (index.payload_length[rows] > _PROBE_BYTES)
    data, of = rows[sending], stream[sending]
    order = np.lexsort((index.time_ns[data], index.seq[data], of))
    data, of = data[order], of[order]
    again = np.flatnonzero((of[1:] == of[:-1]) & (index.seq[data[1:]] == index.seq[data[:-1]]))
    first, second, of_copies = data[again], data[again + 1], of[again]
    flags = index.tcp_flags[rows]
    confirming = ~from_sender & (flags & ACK != 0) & (flags & SYN == 0)
    speaks = _node_speaks(pair, direction, index.time_ns[first], index.time_ns[second])
    acks = rows[confirming], stream[confirming]
    lacking = _lacking(direction, (first, second, of_copies), acks, speaks)
    return Discarded(first[lacking], second[lacking], len(data) - len(again))


def _of(
    packets: TcpPackets, streams: NDArray[np.intp]
) -> tuple[NDArray[np.int32], _Longs, NDArray[np.bool_]]:
    """Sound packets of some streams and of those that answer: rows, number of the stream, and which end's."""
    number = np.full(len(packets.opposite), -1, np.int64)
    number[streams] = np.arange(len(streams))
    back = np.full(len(packets.opposite), -1, np.int64)
    back[packets.opposite[streams]] = np.arange(len(streams))
    of = np.maximum(number[packets.stream], back[packets.stream])
    chosen = (of >= 0) & packets.sound
    return packets.row[chosen], of[chosen], number[packets.stream[chosen]] >= 0


def _lacking(
    direction: Direction,
    copies: tuple[NDArray[np.int32], NDArray[np.int32], _Longs],
    acks: tuple[NDArray[np.int32], _Longs],
    speaks: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Segments that the receiver still lacked when they arrived a second time.

    `speaks` tells whether its node sent anything meanwhile.
    """
    (first, second, of), (ack_row, ack_of) = copies, acks
    index = direction.receiver.index
    if not len(ack_row) or not len(first):
        return np.zeros(len(first), np.bool_)
    times = index.time_ns
    start = int(times[ack_row].min())
    span = int(max(times[ack_row].max(), times[second].max())) - start + 2

    def key(stream: _Longs, at_ns: _Longs) -> _Longs:
        return stream * span + np.clip(at_ns - start + 1, 0, span - 1)

    order = np.argsort(key(ack_of, times[ack_row]), kind="stable")
    ack_row, ack_of = ack_row[order], ack_of[order]
    keys = key(ack_of, times[ack_row])
    last = np.searchsorted(keys, key(of, times[second])) - 1
    since = np.searchsorted(keys, key(of, times[first] + _PROCESSED_NS))
    row = ack_row[np.maximum(last, 0)]
    known = (last >= 0) & (ack_of[np.maximum(last, 0)] == of)
    lacks = known & (index.ack[row] == index.seq[first]) & (index.window[row] & WINDOW_MASK != 0)
    told = (last - since + 1 >= _DUPLICATES) & _same(index.ack, ack_row, last, _DUPLICATES)
    result: NDArray[np.bool_] = lacks & (told | (speaks & (times[second] - times[first] >= _UNDELAYED_NS)))
    return result


def _same(
    ack: NDArray[np.uint32], ack_row: NDArray[np.int32], last: NDArray[np.intp], number: int
) -> NDArray[np.bool_]:
    """Whether the last acknowledgements, this many, say the same."""
    before = np.maximum(last - (number - 1), 0)
    result: NDArray[np.bool_] = ack[ack_row[before]] == ack[ack_row[np.maximum(last, 0)]]
    return result


def _node_speaks(
    pair: Comparison, direction: Direction, first_ns: _Longs, second_ns: _Longs
) -> NDArray[np.bool_]:
    """Whether the receiving node sent anything between both copies, some time after the first."""
    back = answers.opposite(pair, direction)
    sent_ns = np.sort(back.sender.index.time_ns[back.sent_row])
    soon = np.minimum(first_ns + _SPEAKS_NS, first_ns + (second_ns - first_ns) // 2)
    between = np.searchsorted(sent_ns, second_ns) - np.searchsorted(sent_ns, soon)
    return np.asarray(between > 0)
