"""Packets arrive more than once.

What it checks
    Does the receiver's capture show packets more often than the sender's?
Why it matters
    A network that duplicates packets has two paths where it should have one: a layer 2 loop, two gateways
    that both forward, a bond that sends on all links. TCP survives it at a cost; UDP services see requests
    twice, and each copy consumes bandwidth.
How it decides
    Packets that were sent once appear several times at the receiver, with identical IP identification,
    sequence number and payload. It is reported if more than `tolerable_ratio` of the packets are duplicated,
    beyond a probability of `chance`.
When it cannot tell
    Nearly every packet appears twice in the capture within microseconds, and the capture shows (almost)
    nothing that its own node sends: then the capture itself sees each packet twice (two interfaces of one
    path, a mirror of both directions), or the network duplicates all of them. What the node sends decides:
    where that appears twice as well, it is the capture, and second sightings are left out; where it appears
    once, the network duplicates them.
What looks like it
    TCP retransmissions, which the sender's capture shows too; an `any` capture, whose interfaces are kept
    separate; mirror ports.
What to do
    Compare the copies' TTLs and MACs: copies with equal values were made in layer 2, a smaller TTL means
    another route. Then look for the second path.
Sources
    RFC 5560 (packet duplication metric); libpcap issue 1105 (twin packets in captures); Linux
    Documentation/networking/bonding.rst (broadcast mode).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.pairing import doubled as doubled_frames
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, share, span
from vxlanalyze.wire import hashing
from vxlanalyze.wire.rows import columns

CODE = "duplication"
_SAMPLE = 500
_NEARLY_ALL = 0.95
_TWIN_NS = 50_000  # a host stamps one packet on two of its interfaces within this time
_ENOUGH = 8  # packets of the node itself that show how its capture treats them
_HARDLY_ANY = 0.05


class _Copies(NamedTuple):
    """A sample of duplicated packets: rows of the first and of the second copy, shape ``(k,)``."""

    first: NDArray[np.int32]
    second: NDArray[np.int32]


def check(pair: Comparison, *, tolerable_ratio: float = 1e-4, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Count the copies of each direction's packets on arrival.

    A `tolerable_ratio` of duplicated packets counts as ordinary; `chance` is the false alarm probability
    accepted for a direction with exactly that ratio.
    """
    results: list[DiagnosticResult] = []
    for direction in pair.directions:
        arrived = int((direction.copies > 0).sum())
        doubled = direction.copies > 1
        twice = int(doubled.sum())
        seen_again = pair.captures[direction.receiver.capture].seen_again
        if seen_again:
            results.append(NotAssessed(CODE, _sees_twice(direction, seen_again), direction.label))
        elif arrived == 0:
            results.append(NotAssessed(CODE, "no packet was seen to arrive", direction.label))
        elif twice and silence.chance(twice, arrived, tolerable_ratio) < chance:
            results.append(_doubled(pair, direction, doubled, arrived))
    return results


def _doubled(
    pair: Comparison, direction: Direction, doubled: NDArray[np.bool_], arrived: int
) -> DiagnosticResult:
    copies = _copies(direction, doubled)
    times = direction.receiver.index.time_ns
    gap_ns = int(np.median(times[copies.second] - times[copies.first])) if len(copies.first) else None
    twice = int(doubled.sum())
    at_once = twice > _NEARLY_ALL * arrived and (gap_ns is None or gap_ns < _TWIN_NS)
    if at_once and not _shows_its_own_once(pair, direction):
        why = (
            f"{share(twice, arrived)} packets appear more than once in the capture of "
            f"{direction.receiver.name}"
            f"{'' if gap_ns is None else f', {span(gap_ns)} apart'}: it captures each packet twice (two "
            "interfaces of one path, a mirror port), or something copies every packet"
        )
        return NotAssessed(CODE, why, direction.label)
    return _finding(pair, direction, doubled, copies, gap_ns)


def _shows_its_own_once(pair: Comparison, direction: Direction) -> bool:
    """Whether the receiver's capture shows once what its own node sends: then it does not double packets."""
    receiver = direction.receiver
    back = [d for d in pair.directions if d.sender.name == receiver.name and d is not direction]
    rows = np.unique(np.concatenate([d.sent_row for d in back])) if back else np.empty(0, np.int32)
    if len(rows) < _ENOUGH:
        return False
    flows = np.unique(receiver.index.flow[rows])
    again = int(doubled_frames.sightings_again(receiver.decoded)[flows[flows >= 0]].sum())
    return again <= _HARDLY_ANY * len(rows)


def _sees_twice(direction: Direction, seen_again: int) -> str:
    return (
        f"the capture of {direction.receiver.name} shows nearly every packet twice (two interfaces of one "
        f"path, a mirror port); left out: {count(seen_again, 'second sighting')}"
    )


def _copies(direction: Direction, doubled: NDArray[np.bool_]) -> _Copies:
    """Find the second copies of a sample: frames of the same content that come next in their flow."""
    index = direction.receiver.index
    first = direction.received_row[np.flatnonzero(doubled)[:_SAMPLE]]
    wanted = np.zeros(len(direction.receiver.flows) + 1, np.bool_)  # one more: NO_FLOW is the last
    wanted[index.flow[first]] = True
    rows = np.flatnonzero(wanted[index.flow]).astype(np.int32)
    keys = np.zeros(len(rows), np.uint64)
    for column in (index.flow, index.ip_id, index.seq, index.ack, index.payload_length, index.digest):
        keys = (keys ^ column[rows].astype(np.uint64)) * hashing.GOLDEN
        keys ^= keys >> np.uint64(32)
    order = np.argsort(keys, kind="stable")
    again = np.full(len(index), NO_ROW, np.int32)
    same = keys[order[1:]] == keys[order[:-1]]
    again[rows[order[:-1][same]]] = rows[order[1:][same]]
    second = again[first]
    return _Copies(first[second != NO_ROW], second[second != NO_ROW])


def _finding(
    pair: Comparison, direction: Direction, doubled: NDArray[np.bool_], copies: _Copies, gap_ns: int | None
) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    twice, arrived = int(doubled.sum()), int((direction.copies > 0).sum())
    extra = int((direction.copies[doubled].astype(np.int64) - 1).sum())
    flows = len(np.unique(direction.flow[doubled]))
    route = _route(pair, direction, copies)
    rows = np.union1d(direction.received_row[doubled], copies.second).astype(np.int32)
    shown = exhibits.of_rows(
        pair, [(direction.sender, direction.sent_row[doubled]), (direction.receiver, rows)]
    )
    apart = "" if gap_ns is None else f", the copy typically {span(gap_ns)} later"
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=f"{share(twice, arrived).capitalize()} packets from {near} arrive more than once at "
        f"{far}{apart}",
        explanation=f"{count(twice, 'packet')} of {count(flows, 'flow')} were sent once, and the capture of "
        f"{far} holds {count(extra, 'more copy', 'more copies')} of them, equal in identification, sequence "
        f"number and payload. {route}{_not_the_capture(pair, direction)}",
        remedy=written(
            f"Look for a second path from {near} to {far}: a loop in layer 2 (spanning tree), a bond in "
            "broadcast mode, two gateways that both forward, a mirror session that feeds back. On the "
            "nodes:",
            *(on(name, "bridge -s link", "grep -H Mode /proc/net/bonding/*") for name in (near, far)),
        ),
        evidence={
            "doubled": Quantity(twice, "packets"),
            "arrived": Quantity(arrived, "packets"),
            "extra_copies": Quantity(extra, "packets"),
            "gap_median": Quantity(gap_ns, "ns"),
            "flows": Quantity(flows, "flows"),
        },
        ruled_out=(
            RuledOut(
                "tcp-stalled",
                f"the capture of {near} shows each of them once, so they are no retransmissions",
            ),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _not_the_capture(pair: Comparison, direction: Direction) -> str:
    far = direction.receiver.name
    if not _shows_its_own_once(pair, direction):
        return ""
    return f" What {far} itself sends appears once in its capture: it is not the capture that doubles."


def _route(pair: Comparison, direction: Direction, copies: _Copies) -> str:
    """What the headers of both copies say about their paths."""
    if not len(copies.first):
        return ""
    source = pair.captures[direction.receiver.capture].source
    place = direction.receiver.index.place
    first, second = (
        columns(source.fetch(place[rows]), source.interfaces, ports=pair.ports) for rows in copies
    )
    if (first["outer_ttl"] != second["outer_ttl"]).mean() > 0.5:
        return "The copies differ in time to live, so they came over a route with more or fewer routers."
    if (first["outer_src_mac"] != second["outer_src_mac"]).mean() > 0.5:
        return "The copies come from different MAC addresses, so two devices forwarded the packet."
    return "The copies have the same time to live and MAC addresses, so they were copied in layer 2."


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
