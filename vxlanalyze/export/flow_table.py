"""The table `flows`: a row for each inner 5-tuple, VNI and direction, with its counts and delays.

Sources: RFC 9293 section 3.4 for the sequence numbers that a segment occupies; section 3.8.4 for keep-alives,
which are not retransmissions.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vxlanalyze.export.columns import FLOWS, TIME, schema_of
from vxlanalyze.export.flow_columns import FlowColumns
from vxlanalyze.export.spin_columns import spin_columns
from vxlanalyze.export.waiting_columns import waiting_columns
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import NO_DELAY, Comparison, Direction, Outcome, wire_payload
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import FIN, SYN
from vxlanalyze.wire.protocols import TCP

SCHEMA = schema_of(FLOWS)
_QUANTILES = {
    "delay_min_ns": 0.0,
    "delay_p50_ns": 0.5,
    "delay_p90_ns": 0.9,
    "delay_p99_ns": 0.99,
    "delay_max_ns": 1.0,
}
_NEVER = np.iinfo(np.int64).max

Counts = NDArray[np.int64]
Groups = NDArray[np.intp]


def batches(comparison: Comparison) -> Iterator[Any]:
    """Give the table in Arrow record batches of `SCHEMA`, one per direction."""
    return (batch(comparison, part) for part in parts(comparison))


def parts(comparison: Comparison) -> list[tuple[int, int]]:
    """List the batches of the table, in order: hop (including those inside nodes) and direction."""
    return [
        (number, side)
        for number, hop in enumerate((*comparison.hops, *comparison.inside))
        for side, direction in enumerate(hop.directions)
        if len(direction) or len(direction.unsent_row)
    ]


def batch(comparison: Comparison, part: tuple[int, int]) -> Any:
    """Give one batch of the table."""
    direction = (*comparison.hops, *comparison.inside)[part[0]].directions[part[1]]
    of_sent_flow, of_received_flow, size = _number(direction.sender.flows, direction.receiver.flows)
    group = of_sent_flow[direction.flow]
    unsent_flow = direction.receiver.index.flow[direction.unsent_row]
    unsent = of_received_flow[unsent_flow]
    used = _in_order_of_appearance(np.concatenate([group, unsent]), size)
    place = np.full(size, -1)
    place[used] = np.arange(len(used))
    group, unsent = place[group], place[unsent]
    of_sender = _flow_of(direction, group, len(used))
    columns = {
        "direction": pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(len(used), np.int32)), [direction.label]
        ),
        **_who(direction, comparison.cluster, group, unsent, unsent_flow),
        **_counted(direction, group, len(used)),
        "unsent": pa.array(np.bincount(unsent, minlength=len(used))),
        **_when(direction, group, unsent, len(used)),
        **_delays(direction, group, len(used)),
        "retransmissions": _retransmissions(direction, group, len(used)),
        **waiting_columns(comparison, direction, of_sender),
        **spin_columns(comparison, direction, of_sender),
    }
    return pa.RecordBatch.from_arrays([columns[column.name] for column in FLOWS], schema=SCHEMA)


def _number(sent: Flows, received: Flows) -> tuple[Groups, Groups, int]:
    """Give rows of two captures' flows with the same inner 5-tuple and VNI one number."""
    key = np.empty(len(sent) + len(received), dtype=[("identity", np.uint64), ("vni", np.uint32)])
    key["identity"] = np.concatenate([sent.identity, received.identity])
    key["vni"] = np.concatenate([sent.vni, received.vni])
    unique, group = np.unique(key, return_inverse=True)
    group = group.reshape(-1)
    return group[: len(sent)], group[len(sent) :], len(unique)


def _in_order_of_appearance(group: Groups, size: int) -> Groups:
    """Groups with a packet, in order of their first packet."""
    first = np.full(size, len(group))
    np.minimum.at(first, group, np.arange(len(group)))
    order = np.argsort(first, kind="stable")
    return order[first[order] < len(group)]


def _flow_of(direction: Direction, group: Groups, size: int) -> NDArray[np.int32]:
    """A flow of the sender's capture for each row, -1 where it saw none."""
    found = np.full(size, -1, np.int32)
    found[group] = direction.flow
    return found


def _who(
    direction: Direction, cluster: Cluster, group: Groups, unsent: Groups, unsent_flow: NDArray[np.int32]
) -> dict[str, Any]:
    """The conversation of each flow, from one of its packets: the sender's if it saw one."""
    size = int(max(group.max(initial=-1), unsent.max(initial=-1))) + 1
    of_sent = _flow_of(direction, group, size)
    only_received = np.full(size, -1, np.int32)
    only_received[unsent] = unsent_flow
    only_received[of_sent >= 0] = -1
    sent = FlowColumns(direction.sender.flows, cluster).columns(of_sent[of_sent >= 0])
    received = FlowColumns(direction.receiver.flows, cluster).columns(only_received[only_received >= 0])
    order = np.argsort(np.concatenate([np.flatnonzero(of_sent >= 0), np.flatnonzero(only_received >= 0)]))
    names = (
        *("tunnel", "vni", "src", "dst", "src_name", "dst_name"),
        *("sport", "dport", "protocol", "protocol_name"),
    )
    return {
        name: pa.chunked_array([sent[name], received[name]])
        .unify_dictionaries()
        .combine_chunks()
        .take(pa.array(order))
        for name in names
    }


def _counted(direction: Direction, group: Groups, size: int) -> dict[str, Any]:
    """Packets and inner bytes of each flow by outcome, and the sizes that passed or were lost."""
    lengths, wire_lengths = direction.length, direction.wire_length.astype(np.int64)
    place = group * len(Outcome) + direction.outcome
    packets = np.bincount(place, minlength=size * len(Outcome)).reshape(size, len(Outcome))
    weighed = np.bincount(place, weights=lengths, minlength=size * len(Outcome))
    total = weighed.astype(np.int64).reshape(size, len(Outcome))
    columns = {"sent": pa.array(packets.sum(axis=1)), "bytes_sent": pa.array(total.sum(axis=1))}
    for outcome in (Outcome.DELIVERED, Outcome.LOST, Outcome.UNKNOWN):
        columns[outcome.name.lower()] = pa.array(packets[:, outcome])
        columns[f"bytes_{outcome.name.lower()}"] = pa.array(total[:, outcome])
    largest, smallest = np.full(size, -1), np.full(size, _NEVER)
    np.maximum.at(largest, group[direction.delivered], wire_lengths[direction.delivered])
    np.minimum.at(smallest, group[direction.lost], wire_lengths[direction.lost])
    columns["largest_delivered"] = pa.array(np.maximum(largest, 0).astype(np.uint32), mask=largest < 0)
    lossless = smallest == _NEVER
    columns["smallest_lost"] = pa.array(np.where(lossless, 0, smallest).astype(np.uint32), mask=lossless)
    return columns


def _when(direction: Direction, group: Groups, unsent: Groups, size: int) -> dict[str, Any]:
    """First and last packet of each flow."""
    sent_ns = direction.time_ns
    first, last = _extremes(group, sent_ns, size)
    received_ns = direction.receiver.index.time_ns[direction.unsent_row]
    first_unsent, last_unsent = _extremes(unsent, received_ns, size)
    never_sent = first == _NEVER
    return {
        "first": pa.array(np.where(never_sent, first_unsent, first)).cast(TIME),
        "last": pa.array(np.where(never_sent, last_unsent, last)).cast(TIME),
    }


def _extremes(group: Groups, time_ns: Counts, size: int) -> tuple[Counts, Counts]:
    first, last = np.full(size, _NEVER), np.full(size, -_NEVER)
    np.minimum.at(first, group, time_ns)
    np.maximum.at(last, group, time_ns)
    return first, last


def _delays(direction: Direction, group: Groups, size: int) -> dict[str, Any]:
    """Quantiles of each flow's delays: the smallest value not exceeded by a given share."""
    measured = direction.delay_ns != NO_DELAY
    delay, owner = direction.delay_ns[measured], group[measured]
    order = np.lexsort((delay, owner))
    ordered = delay[order]
    count = np.bincount(owner, minlength=size)
    start = np.cumsum(count) - count
    none = count == 0
    columns = {}
    for name, share in _QUANTILES.items():
        at = start + np.clip(np.ceil(share * count).astype(np.int64) - 1, 0, np.maximum(count - 1, 0))
        values = ordered[np.where(none, 0, at)] if len(ordered) else np.zeros(size, np.int64)
        columns[name] = pa.array(values, mask=none)
    columns["jitter_ns"] = _jitter(delay, owner, size)
    return columns


def _jitter(delay: Counts, owner: Groups, size: int) -> Any:
    """Give the mean delay difference of consecutive packets of a flow."""
    order = np.argsort(owner, kind="stable")
    of, steps = owner[order], np.abs(np.diff(delay[order]))
    same = of[1:] == of[:-1]
    count = np.bincount(of[1:][same], minlength=size)
    total = np.bincount(of[1:][same], steps[same], minlength=size)
    mean = np.divide(total, count, out=np.zeros(size), where=count > 0)
    return pa.array(np.round(mean).astype(np.int64), mask=count == 0)


def _retransmissions(direction: Direction, group: Groups, size: int) -> Any:
    """TCP segments of each flow below the highest byte sent before; null if not TCP."""
    tcp = direction.sender.flows.protocol[direction.flow] == TCP
    is_tcp = np.zeros(size, np.bool_)
    is_tcp[group[tcp]] = True
    chosen = np.flatnonzero(tcp)
    chosen = chosen[np.argsort(group[chosen], kind="stable")]
    again = _sent_before(direction, chosen, group[chosen])
    return pa.array(np.bincount(group[chosen[again]], minlength=size), mask=~is_tcp)


def _sent_before(direction: Direction, rows: NDArray[np.intp], owner: Groups) -> NDArray[np.bool_]:
    """Whether a segment is below the highest byte sent before; `rows` by flow, then in the order sent."""
    row = direction.sent_row[rows]
    flags = direction.sender.index.tcp_flags[row]
    payload = wire_payload(direction.sender, row, direction.segment[rows]).astype(np.int64)
    occupied = payload + (flags & SYN != 0) + (flags & FIN != 0)
    seq = direction.seq[rows]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = owner[1:] != owner[:-1]
    # Sequence numbers wrap at 2**32: add up the signed steps from segment to segment.
    step = np.zeros(len(rows), np.int64)
    step[1:] = (seq[1:] - seq[:-1]).view(np.int32)
    step[begins] = 0
    run = np.cumsum(begins) - 1
    travelled = np.cumsum(step)
    start = travelled - travelled[begins][run]
    end = start + occupied
    # Flows are far apart on one axis, so one running maximum serves them all.
    span = int(end.max() - start.min()) + 1 if len(rows) else 1
    highest = np.maximum.accumulate(end + run * span)
    before = np.full(len(rows), -1)
    before[1:] = highest[:-1]
    before = np.where(begins, start - 1, before - run * span)
    keep_alive = (occupied <= 1) & (start == before - 1) & (flags & (SYN | FIN) == 0)
    again: NDArray[np.bool_] = (occupied > 0) & (end <= before) & ~keep_alive
    return again
