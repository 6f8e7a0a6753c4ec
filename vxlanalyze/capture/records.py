"""Compiled walk over the records of a classic pcap.

    |   seconds   |   fraction   | captured length | original length |

Each has 32 bits in the byte order of the file; variants have further fields after them.

Sources: draft-ietf-opsawg-pcap section 4; libpcap, sf-pcap.c, pcap_next_packet.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.octets import (
    BAD,
    FULL,
    MORE,
    NS_PER_S,
    ODD,
    SPAN,
    TARGET,
    Span,
    Target,
    copy_octets,
    u32,
)
from vxlanalyze.kernels.decorator import compiled

LENGTHS_IN_ORDER = 0
LENGTHS_SWAPPED = 1  # files older than version 2.3
LENGTHS_SWAPPED_MAYBE = 2  # some files of version 2.3

# What a header must look like to count as one where nothing else shows that a record begins.
PLAUSIBLE_CAPTURED_BYTES = 262_144  # libpcap, pcap-int.h: MAXIMUM_SNAPLEN
PLAUSIBLE_ORIGINAL_BYTES = 16 << 20
PLAUSIBLE_DISTANCE_S = 7 * 24 * 3600
CHAIN_RECORDS = 3


class Layout(NamedTuple):
    """How the records of a file are written, and the longest that is accepted."""

    big: bool
    header_bytes: int
    swapped: int
    fraction_ns: int
    max_bytes: int


LAYOUT = "Layout(b1 i8 i8 i8 i8)"


class RecordRows(NamedTuple):
    """The rows that a walk over records fills."""

    start: NDArray[np.int64]
    captured_length: NDArray[np.uint32]
    original_length: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    place: NDArray[np.int64]


@compiled("u1[] i8 b1 i8")
def record_lengths(data: Any, at: int, big: bool, swapped: int) -> Any:
    """Read captured and original length of the record at `at`."""
    captured, original = u32(data, at + 8, big), u32(data, at + 12, big)
    if swapped == LENGTHS_SWAPPED or (swapped == LENGTHS_SWAPPED_MAYBE and captured > original):
        return original, captured
    return captured, original


@compiled("i8 i8")
def is_odd(captured: int, original: int) -> bool:
    """Whether these lengths are implausible for a frame."""
    return captured > original or original > PLAUSIBLE_ORIGINAL_BYTES


@compiled
def is_far(time_s: int, near_s: int) -> bool:
    """Whether a time is farther from `near_s` than captures usually pause."""
    return near_s >= 0 and abs(time_s - near_s) > PLAUSIBLE_DISTANCE_S


@compiled(f"{SPAN} {LAYOUT} i8 i8 RecordRows(i8[] u4[] u4[] i8[] i8[])")
def walk_records(span: Span, layout: Layout, near_s: int, trusted: int, rows: RecordRows) -> Any:
    """Fill rows with the records in a span; `place` gets the position of the frame's first octet in the file.

    A record is odd if its lengths are, or if it is far in time from the previous one, whose time is `near_s`
    (negative where there is none). Those that begin up to the index `trusted` are accepted as they are.

    Returns
    -------
    tuple of int
        Rows filled, index of the first record not taken, and why: ``FULL``, ``MORE``, ``BAD``
        (longer than the layout accepts) or ``ODD``.
    """
    data, at, end, base, _ = span
    big, header_bytes, swapped, fraction_ns, max_bytes = layout
    row = 0
    capacity = len(rows.start)
    while row < capacity:
        body = at + header_bytes
        if body > end:
            return row, at, MORE
        captured, original = record_lengths(data, at, big, swapped)
        if captured > max_bytes:
            return row, at, BAD
        time_s = u32(data, at, big)
        if at > trusted and (is_odd(captured, original) or is_far(time_s, near_s)):
            return row, at, ODD
        if body + captured > end:
            return row, at, MORE
        rows.start[row] = body
        rows.captured_length[row] = captured
        rows.original_length[row] = original
        rows.time_ns[row] = time_s * NS_PER_S + u32(data, at + 4, big) * fraction_ns
        rows.place[row] = base + body
        row += 1
        near_s = time_s
        at = body + captured
    return row, at, FULL


@compiled
def plausible_record(data: Any, at: int, layout: Layout, near_s: int, lenient: bool) -> bool:
    """Whether there could be a record header at `at`.

    Parameters
    ----------
    near_s : int
        A nearby time, or negative.
    lenient : bool
        The captured length may exceed the frame's.
    """
    captured, original = record_lengths(data, at, layout.big, layout.swapped)
    if (
        original == 0
        or (captured > original and not lenient)
        or captured > min(layout.max_bytes, PLAUSIBLE_CAPTURED_BYTES)
    ):
        return False
    if original > PLAUSIBLE_ORIGINAL_BYTES or u32(data, at + 4, layout.big) * layout.fraction_ns >= NS_PER_S:
        return False
    return not is_far(u32(data, at, layout.big), near_s)


@compiled(f"{SPAN} i8 {LAYOUT} i8 b1")
def chain_at(span: Span, at: int, layout: Layout, near_s: int, lenient: bool) -> Any:
    """Whether a sequence of records begins at `at`: 1 yes, 0 no, -1 more bytes are needed.

    A sequence is ``CHAIN_RECORDS`` plausible headers, each where the previous record ends, or fewer that end
    with the file; if `lenient`, the file may also end inside the last.
    """
    header_bytes = layout.header_bytes
    for _ in range(CHAIN_RECORDS):
        if span.at_end and (at == span.end or (lenient and at + header_bytes > span.end)):
            return 1
        if at + header_bytes > span.end:
            return 0 if span.at_end else -1
        if not plausible_record(span.data, at, layout, near_s, lenient):
            return 0
        at += header_bytes + record_lengths(span.data, at, layout.big, layout.swapped)[0]
    return 1


@compiled(f"{SPAN} {LAYOUT} i8")
def find_record(span: Span, layout: Layout, near_s: int) -> Any:
    """Search for the next place where a sequence of records begins.

    Returns
    -------
    tuple of (int, bool)
        Index and true where one was found; else the index at which to continue with more bytes.
    """
    at = span.at
    while at + layout.header_bytes <= span.end:
        if plausible_record(span.data, at, layout, near_s, False):
            verdict = chain_at(span, at, layout, near_s, False)
            if verdict == 1:
                return at, True
            if verdict == -1:
                return at, False
        at += 1
    return at, False


@compiled(f"{SPAN} {LAYOUT} i8[] (i8 i8) {TARGET}")
def copy_records(
    span: Span, layout: Layout, offsets: NDArray[np.int64], done: tuple[int, int], target: Target
) -> Any:
    """Copy the records whose frames begin at the positions `offsets` (ascending) of the file.

    Parameters
    ----------
    done : tuple of int
        Rows and bytes of `target` that are already filled.

    Returns
    -------
    tuple of int
        The first row not done, bytes used in `target`, and why: ``FULL``, ``MORE`` or ``BAD`` (no
        record begins there).
    """
    data, at, end, base, _ = span
    big, header_bytes, swapped, fraction_ns, max_bytes = layout
    row, used = done
    while row < len(offsets):
        body = offsets[row] - base
        if body - header_bytes < at:
            return row, used, BAD
        if body > end:
            return row, used, MORE
        head = body - header_bytes
        captured, original = record_lengths(data, head, big, swapped)
        if captured > max_bytes:
            return row, used, BAD
        if body + captured > end:
            return row, used, MORE
        if used + captured > len(target.data):
            return row, used, FULL
        copy_octets(target.data, used, data, body, captured)
        target.start[row] = used
        target.captured_length[row] = captured
        target.original_length[row] = original
        target.time_ns[row] = u32(data, head, big) * NS_PER_S + u32(data, head + 4, big) * fraction_ns
        used += captured
        row += 1
    return row, used, FULL
