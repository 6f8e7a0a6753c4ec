"""Ladders: single packets followed from point to point, each with its frame number at every point."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Outcome, Point
from vxlanalyze.report.series.conversations import describe, group_flows
from vxlanalyze.report.series.listing import tcp_flags
from vxlanalyze.report.series.model import FollowedPacket, Ladder, SeenAt
from vxlanalyze.report.series.timebase import Timebase
from vxlanalyze.wire.protocols import TCP, UDP

MOST_LADDERS = 8
MOST_PACKETS = 20
_FATES = {Outcome.DELIVERED: "delivered", Outcome.LOST: "lost", Outcome.UNKNOWN: "unknown"}


class _Route(NamedTuple):
    """All hops in one direction of travel: direction `i` goes from point `i` to point `i + 1` of `points`."""

    forward: bool
    directions: tuple[Direction, ...]
    points: tuple[Point, ...]


class _Packets(NamedTuple):
    """Some packets of one direction, by position in its arrays."""

    route: _Route
    hop: int
    chosen: NDArray[np.int64]


def ladders(comparison: Comparison, findings: Sequence[Finding], base: Timebase) -> list[Ladder]:
    """Follow the packets of each finding through all points.

    At most `MOST_LADDERS`, of the first findings whose frames are packets of a direction.
    """
    result: list[Ladder] = []
    for finding in findings:
        packets = _packets_of_finding(comparison, finding)
        if packets is not None and len(result) < MOST_LADDERS:
            shown = packets._replace(chosen=_shown(packets))
            result.append(_ladder(comparison, finding.key, [shown], len(packets.chosen), base))
    return result


def _shown(packets: _Packets) -> NDArray[np.int64]:
    """The first packets of as many frames as fit: those of one super-packet are alike."""
    frames = packets.route.directions[packets.hop].sent_row[packets.chosen]
    first = np.sort(np.unique(frames, return_index=True)[1])[:MOST_PACKETS]
    more = np.setdiff1d(np.arange(len(frames)), first)[: MOST_PACKETS - len(first)]
    return packets.chosen[np.sort(np.concatenate([first, more]))]


def flow_ladder(comparison: Comparison, direction: Direction, flow_row: int, base: Timebase) -> Ladder:
    """Follow the first packets of a flow, and the responses, through all points.

    At most `MOST_PACKETS` per direction, in the order of sending.
    """
    flows = direction.sender.flows
    ends = (flows.family[flow_row], flows.protocol[flow_row], flows.src[flow_row], flows.sport[flow_row])
    found = []
    for route in _routes(comparison):
        hop = next((i for i, d in enumerate(route.directions) if d is direction), None)
        if hop is not None:
            group, _ = group_flows(flows)
            found.append(_Packets(route, hop, np.flatnonzero((group == group[flow_row])[direction.flow])))
            continue
        for hop, other in enumerate(route.directions):
            back = _toward(other, ends) if other.receiver is direction.sender else np.empty(0, np.int64)
            if len(back):
                found.append(_Packets(route, hop, back))
    shown = [p._replace(chosen=p.chosen[:MOST_PACKETS]) for p in found]
    return _ladder(comparison, None, shown, sum(len(p.chosen) for p in found), base)


def _toward(direction: Direction, ends: tuple[Any, ...]) -> NDArray[np.int64]:
    """Packets of a direction that go to the source of a flow."""
    family, protocol, src, sport = ends
    flows = direction.sender.flows
    answers = (flows.family == family) & (flows.protocol == protocol) & (flows.dst == src).all(axis=1)
    if protocol in (TCP, UDP):
        answers &= flows.dport == sport
    return np.flatnonzero(answers[direction.flow])


def _routes(comparison: Comparison) -> list[_Route]:
    if not comparison.hops:
        return []
    onward = tuple(h.forward for h in comparison.hops)
    home = tuple(h.backward for h in reversed(comparison.hops))
    return [
        _Route(True, onward, (onward[0].sender, *(d.receiver for d in onward))),
        _Route(False, home, (home[0].sender, *(d.receiver for d in home))),
    ]


def _packets_of_finding(comparison: Comparison, finding: Finding) -> _Packets | None:
    """The packets of a direction in the frames of a finding, its own direction tried first."""
    candidates = [(route, hop, d) for route in _routes(comparison) for hop, d in enumerate(route.directions)]
    candidates.sort(key=lambda c: c[2].label != finding.direction)
    for route, hop, direction in candidates:
        for point, rows in (
            (direction.sender, direction.sent_row),
            (direction.receiver, direction.received_row),
        ):
            frames = finding.frames.get(comparison.captures[point.capture].name)
            if frames is None:
                continue
            chosen = np.flatnonzero(np.isin(point.frame(rows), frames))
            if len(chosen):
                return _Packets(route, hop, chosen)
    return None


def _ladder(
    comparison: Comparison, finding: str | None, parts: Sequence[_Packets], total: int, base: Timebase
) -> Ladder:
    packets = [p for part in parts for p in _follow(part, base)]
    packets.sort(key=lambda p: min(s["time_ns"] for s in p["seen"] if s))
    names = [comparison.hops[0].forward.sender.name, *(h.forward.receiver.name for h in comparison.hops)]
    return {
        "finding": finding,
        "points": names,
        "start": base.start,
        "total": total,
        "packets": packets,
    }


def _follow(part: _Packets, base: Timebase) -> list[FollowedPacket]:
    """Describe packets at every point of their path."""
    route, hop, chosen = part
    direction = route.directions[hop]
    rows, last_hop_outcome = _trace(part)
    who = describe(direction, direction.flow[chosen].astype(np.int64))
    tcp = direction.sender.flows.protocol[direction.flow[chosen]] == TCP
    flags = direction.sender.index.tcp_flags[direction.sent_row[chosen]]
    lengths = direction.wire_length[chosen]
    seen = [_seen(point, rows[:, i], base) for i, point in enumerate(route.points)]
    packets: list[FollowedPacket] = []
    for i in range(len(chosen)):
        at_points = [column[i] for column in seen]
        packets.append(
            {
                **who[i],
                "way": "forward" if route.forward else "backward",
                "fate": "delivered" if at_points[-1] else _FATES[Outcome(int(last_hop_outcome[i]))],
                "length": int(lengths[i]),
                "flags": tcp_flags(int(flags[i])) if tcp[i] else None,
                "seen": at_points if route.forward else at_points[::-1],
            }
        )
    return packets


def _seen(point: Point, rows: NDArray[np.int64], base: Timebase) -> list[SeenAt | None]:
    found = rows != NO_ROW
    frames = np.where(found, point.frame(rows.astype(np.int32)), 0)
    times = np.zeros(len(rows), dtype=np.int64)
    times[found] = base.since_start_ns(point, point.index.time_ns[rows[found]])
    return [
        {"frame": frame, "time_ns": time_ns} if frame else None
        for frame, time_ns in zip(frames.tolist(), times.tolist(), strict=True)
    ]


def _trace(part: _Packets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Follow packets up and down their path.

    Returns
    -------
    rows : NDArray[np.int64]
        Shape ``(k, points)``: the index row at each point of the path, or NO_ROW.
    outcome : NDArray[np.int64]
        Shape ``(k,)``: the fate of each after the last point that saw it.
    """
    route, hop, chosen = part
    rows = np.full((len(chosen), len(route.points)), NO_ROW, dtype=np.int64)
    segment = np.zeros_like(rows)
    outcome = np.full(len(chosen), Outcome.UNKNOWN, dtype=np.int64)
    here = route.directions[hop]
    rows[:, hop], segment[:, hop] = here.sent_row[chosen], here.segment[chosen]
    for i in range(hop, len(route.directions)):
        direction = route.directions[i]
        place = _find(direction.sent_row, direction.segment, rows[:, i], segment[:, i])
        found = place != NO_ROW
        rows[found, i + 1] = direction.received_row[place[found]]
        segment[found, i + 1] = direction.received_segment[place[found]]
        outcome[found] = direction.outcome[place[found]]
    for i in range(hop - 1, -1, -1):
        direction = route.directions[i]
        place = _find(direction.received_row, direction.received_segment, rows[:, i + 1], segment[:, i + 1])
        found = place != NO_ROW
        rows[found, i] = direction.sent_row[place[found]]
        segment[found, i] = direction.segment[place[found]]
    return rows, outcome


def _find(
    rows: NDArray[np.int32],
    segments: NDArray[np.uint16],
    wanted_rows: NDArray[np.int64],
    wanted_segments: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Position of each wanted (row, segment) among many, NO_ROW where absent."""
    near = np.flatnonzero(np.isin(rows, wanted_rows[wanted_rows != NO_ROW]))
    by_key = {
        (row, segment): place
        for row, segment, place in zip(
            rows[near].tolist(), segments[near].tolist(), near.tolist(), strict=True
        )
    }
    keys = zip(wanted_rows.tolist(), wanted_segments.tolist(), strict=True)
    return np.array([by_key.get(key, NO_ROW) for key in keys], dtype=np.int64)
