"""The time covered by both captures; an unmatched packet outside of it is not evidence of loss.

A pcap does not say when its capture began and ended. It is assumed to cover the same time as the others,
unless these show a packet that its node sent and that it lacks: then it ends (begins) at its last (first)
frame. The same holds if it lacks packets to its node for no longer than captures stopped (started) together
differ in their end (begin). The interface statistics of a pcapng state it explicitly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import CaptureFacts

OPEN_BEGIN = np.iinfo(np.int64).min
OPEN_END = np.iinfo(np.int64).max
_LONGEST_CAPTURE_NS = 366 * 86_400 * 1_000_000_000  # a longer wait for a frame means a wrong time unit
_FIRST_PCAPNG_NS = 1_072_915_200 * 1_000_000_000  # 2004: no file in this format is older
_NS_PER_US = 1000


@dataclass(frozen=True, slots=True)
class Cover:
    """What a capture covers, by its own clock; OPEN_BEGIN and OPEN_END where unlimited."""

    begin_ns: int
    end_ns: int
    by: str


def cover(
    facts: CaptureFacts,
    lacking_ns: NDArray[np.int64],
    edges_ns: tuple[int, int],
    earliest_ns: int,
    latest_ns: int,
) -> Cover:
    """What a capture covers.

    Parameters
    ----------
    lacking_ns : NDArray[np.int64]
        Times (by this capture's clock) of packets that its node sent, that the other capture shows,
        and that this one lacks.
    edges_ns : tuple of int
        Time before its first and after its last frame in which it lacks packets to its node, if no longer
        than captures of the same time differ in begin and end (`Leg.edges_ns`).
    earliest_ns, latest_ns : int
        Shortest and longest delay of these packets: how far their times may be off.
    """
    begin, end, reasons = OPEN_BEGIN, OPEN_END, []
    starts, ends = _stated(facts)
    if starts:
        begin = min(starts)
        reasons.append(f"{facts.name}: its interface statistics say when it began")
    if ends:
        end = max(ends)
        reasons.append(f"{facts.name}: its interface statistics say when it ended")
    if facts.first_ns is None or facts.last_ns is None:
        if len(lacking_ns):
            return Cover(
                OPEN_END,
                OPEN_BEGIN,
                f"{facts.name}: holds no frame, though its node sent {len(lacking_ns)} packets",
            )
        return Cover(begin, end, "; ".join(reasons))
    after = int((lacking_ns - latest_ns > facts.last_ns).sum())
    before = int((lacking_ns - earliest_ns < facts.first_ns).sum())
    if after and not ends:
        end = facts.last_ns
        reasons.append(f"{facts.name}: ended at its last frame, it lacks {after} later packets of its node")
    if before and not starts:
        begin = facts.first_ns
        reasons.append(
            f"{facts.name}: began at its first frame, it lacks {before} earlier packets of its node"
        )
    before_ns, after_ns = edges_ns
    if after_ns and end == OPEN_END:
        end = facts.last_ns
        reasons.append(f"{facts.name}: no frame shows that it went on for the last {_ms(after_ns)}")
    if before_ns and begin == OPEN_BEGIN:
        begin = facts.first_ns
        reasons.append(f"{facts.name}: no frame shows that it ran during the first {_ms(before_ns)}")
    return Cover(begin, end, "; ".join(reasons))


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.3g} ms"


def _stated(facts: CaptureFacts) -> tuple[list[int], list[int]]:
    """Begin and end as stated by the interface statistics, unless the frames contradict them."""
    first, last = facts.first_ns, facts.last_ns
    if first is None or last is None:
        begin = end = (_FIRST_PCAPNG_NS, OPEN_END)
    else:
        begin = (max(first - _LONGEST_CAPTURE_NS, _FIRST_PCAPNG_NS), first)
        end = (last, last + _LONGEST_CAPTURE_NS)
    starts = [_in_a_unit(s.start_ns, *begin) for s in facts.statistics]
    ends = [_in_a_unit(s.end_ns, *end) for s in facts.statistics]
    return [t for t in starts if t is not None], [t for t in ends if t is not None]


def _in_a_unit(stated_ns: int | None, earliest_ns: int, latest_ns: int) -> int | None:
    """Read a time in the unit declared, or in microseconds, as dumpcap writes it whatever if_tsresol says."""
    if stated_ns is None:
        return None
    possible = (stated_ns, stated_ns * _NS_PER_US)
    return next((t for t in possible if earliest_ns <= t <= latest_ns), None)


def outside(
    sent_at_receiver_ns: NDArray[np.int64], receiver: Cover, longest_delay_ns: int
) -> NDArray[np.bool_]:
    """Packets whose arrival the receiver's capture may have missed because of its window, shape ``(m,)``."""
    if receiver.end_ns < receiver.begin_ns:  # it covers nothing
        return np.ones(len(sent_at_receiver_ns), dtype=np.bool_)
    late = np.zeros(len(sent_at_receiver_ns), dtype=np.bool_)
    early = late.copy()
    if receiver.end_ns != OPEN_END:
        late = sent_at_receiver_ns > receiver.end_ns - longest_delay_ns
    if receiver.begin_ns != OPEN_BEGIN:
        early = sent_at_receiver_ns < receiver.begin_ns
    return late | early


def within(
    sent_at_receiver_ns: NDArray[np.int64], gaps: list[tuple[int, int]], shortest_ns: int, longest_ns: int
) -> NDArray[np.bool_]:
    """Packets that may have arrived in a gap of the receiver's capture, shape ``(m,)``.

    Parameters
    ----------
    gaps : list of tuple of int
        Begin and end of each gap, by the receiver's clock.
    shortest_ns, longest_ns : int
        How long packets take.
    """
    lacking = np.zeros(len(sent_at_receiver_ns), dtype=np.bool_)
    for begin, end in gaps:
        lacking |= (sent_at_receiver_ns >= begin - longest_ns) & (sent_at_receiver_ns <= end - shortest_ns)
    return lacking
