"""The time that both captures cover, and what an unmatched packet outside of it means: nothing.

A pcap does not say when its capture began and ended. It is taken to cover the others' time, unless they
show a packet that its node sent and that it lacks: then it ends (begins) at its last (first) frame. The
interface statistics of a pcapng say it outright.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import CaptureFacts

OPEN_BEGIN = np.iinfo(np.int64).min
OPEN_END = np.iinfo(np.int64).max
_LONGEST_CAPTURE_NS = 366 * 86_400 * 1_000_000_000  # a capture that waited longer for a frame is a wrong unit


@dataclass(frozen=True, slots=True)
class Cover:
    """What a capture covers by its own clock; OPEN_BEGIN and OPEN_END where nothing limits it."""

    begin_ns: int
    end_ns: int
    by: str


def cover(facts: CaptureFacts, lacking_ns: NDArray[np.int64], earliest_ns: int, latest_ns: int) -> Cover:
    """What a capture covers.

    Parameters
    ----------
    lacking_ns : NDArray[np.int64]
        Times (by this capture's clock) of packets that its node sent, that the other capture shows,
        and that this one lacks.
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
    return Cover(begin, end, "; ".join(reasons))


def _stated(facts: CaptureFacts) -> tuple[list[int], list[int]]:
    """Begin and end as the interface statistics say, where the frames do not contradict them.

    Some writers state them in another unit than the frames' (dumpcap: in microseconds, whatever
    if_tsresol says).
    """
    first, last = facts.first_ns, facts.last_ns
    starts = [s.start_ns for s in facts.statistics if s.start_ns is not None]
    ends = [s.end_ns for s in facts.statistics if s.end_ns is not None]
    if first is not None and last is not None:
        starts = [t for t in starts if first - _LONGEST_CAPTURE_NS < t <= first]
        ends = [t for t in ends if last <= t < last + _LONGEST_CAPTURE_NS]
    return starts, ends


def outside(
    sent_at_receiver_ns: NDArray[np.int64], receiver: Cover, longest_delay_ns: int
) -> NDArray[np.bool_]:
    """Packets whose arrival the receiver's capture may have missed by its window, shape ``(m,)``."""
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
    """Packets that may have arrived while the receiver's capture holds nothing, shape ``(m,)``.

    Parameters
    ----------
    gaps : list of tuple of int
        From when to when, by the receiver's clock.
    shortest_ns, longest_ns : int
        How long packets take.
    """
    lacking = np.zeros(len(sent_at_receiver_ns), dtype=np.bool_)
    for begin, end in gaps:
        lacking |= (sent_at_receiver_ns >= begin - longest_ns) & (sent_at_receiver_ns <= end - shortest_ns)
    return lacking
