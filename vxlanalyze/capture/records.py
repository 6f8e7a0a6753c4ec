"""Compiled walk over the records of a classic pcap.

    |   seconds   |   fraction   | captured length | original length |

Each has 32 bits in the byte order of the file; variants have further fields after them.

Sources: draft-ietf-opsawg-pcap section 4; libpcap, sf-pcap.c, pcap_next_packet.
"""

from typing import Any

from vxlanalyze.capture.octets import BAD, FULL, MORE, NS_PER_S, ODD, copy_octets, u32
from vxlanalyze.kernels.decorator import compiled

LENGTHS_IN_ORDER = 0
LENGTHS_SWAPPED = 1  # files older than version 2.3
LENGTHS_SWAPPED_MAYBE = 2  # some files of version 2.3

# What a header must look like to count as one where nothing else shows that a record begins.
PLAUSIBLE_CAPTURED_BYTES = 262_144  # libpcap, pcap-int.h: MAXIMUM_SNAPLEN
PLAUSIBLE_ORIGINAL_BYTES = 16 << 20
PLAUSIBLE_DISTANCE_S = 7 * 24 * 3600
CHAIN_RECORDS = 3


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


@compiled("u1[] i8 i8 i8 b1 i8 i8 i8 i8 i8 i8 i8[] u4[] u4[] i8[] i8[]")
def walk_records(
    data: Any, at: int, end: int, base: int, big: bool, header_bytes: int, swapped: int, fraction_ns: int,
    max_bytes: int, near_s: int, trusted: int,
    start: Any, captured_length: Any, original_length: Any, time_ns: Any, place: Any,
) -> Any:  # fmt: skip
    """Fill rows with the records in ``data[at:end]``; `place` gets `base` plus the index in `data`.

    A record is odd if its lengths are, or if it is far in time from the previous one, whose time is `near_s`
    (negative where there is none). Those that begin up to the index `trusted` are accepted as they are.

    Returns
    -------
    tuple of int
        Rows filled, index of the first record not taken, and why: ``FULL``, ``MORE``, ``BAD``
        (longer than `max_bytes`) or ``ODD``.
    """
    row = 0
    capacity = len(start)
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
        start[row] = body
        captured_length[row] = captured
        original_length[row] = original
        time_ns[row] = time_s * NS_PER_S + u32(data, at + 4, big) * fraction_ns
        place[row] = base + body
        row += 1
        near_s = time_s
        at = body + captured
    return row, at, FULL


@compiled
def plausible_record(
    data: Any, at: int, big: bool, swapped: int, fraction_ns: int, max_bytes: int, near_s: int, lenient: bool
) -> bool:
    """Whether there could be a record header at `at`.

    Parameters
    ----------
    near_s : int
        A nearby time, or negative.
    lenient : bool
        The captured length may exceed the frame's.
    """
    captured, original = record_lengths(data, at, big, swapped)
    if (
        original == 0
        or (captured > original and not lenient)
        or captured > min(max_bytes, PLAUSIBLE_CAPTURED_BYTES)
    ):
        return False
    if original > PLAUSIBLE_ORIGINAL_BYTES or u32(data, at + 4, big) * fraction_ns >= NS_PER_S:
        return False
    return not is_far(u32(data, at, big), near_s)


@compiled("u1[] i8 i8 b1 b1 i8 i8 i8 i8 i8 b1")
def chain_at(
    data: Any, at: int, end: int, at_end: bool, big: bool, header_bytes: int, swapped: int, fraction_ns: int,
    max_bytes: int, near_s: int, lenient: bool,
) -> Any:  # fmt: skip
    """Whether a sequence of records begins at `at`: 1 yes, 0 no, -1 more bytes are needed.

    A sequence is ``CHAIN_RECORDS`` plausible headers, each where the previous record ends, or fewer that end
    with the file; if `lenient`, the file may also end inside the last.
    """
    for _ in range(CHAIN_RECORDS):
        if at_end and (at == end or (lenient and at + header_bytes > end)):
            return 1
        if at + header_bytes > end:
            return 0 if at_end else -1
        if not plausible_record(data, at, big, swapped, fraction_ns, max_bytes, near_s, lenient):
            return 0
        at += header_bytes + record_lengths(data, at, big, swapped)[0]
    return 1


@compiled("u1[] i8 i8 b1 b1 i8 i8 i8 i8 i8")
def find_record(
    data: Any, at: int, end: int, at_end: bool, big: bool, header_bytes: int, swapped: int, fraction_ns: int,
    max_bytes: int, near_s: int,
) -> Any:  # fmt: skip
    """Search for the next place where a sequence of records begins.

    Returns
    -------
    tuple of (int, bool)
        Index and true where one was found; else the index at which to continue with more bytes.
    """
    while at + header_bytes <= end:
        if plausible_record(data, at, big, swapped, fraction_ns, max_bytes, near_s, False):
            verdict = chain_at(
                data, at, end, at_end, big, header_bytes, swapped, fraction_ns, max_bytes, near_s, False
            )
            if verdict == 1:
                return at, True
            if verdict == -1:
                return at, False
        at += 1
    return at, False


@compiled("u1[] i8 i8 i8 b1 i8 i8 i8 i8 i8[] i8 i8[] u4[] u4[] i8[] u1[] i8")
def copy_records(
    data: Any, at: int, end: int, base: int, big: bool, header_bytes: int, swapped: int, fraction_ns: int,
    max_bytes: int, offsets: Any, row: int,
    start: Any, captured_length: Any, original_length: Any, time_ns: Any, out: Any, used: int,
) -> Any:  # fmt: skip
    """Copy the records whose data begin at ``offsets[row:]`` (ascending) out of ``data[at:end]``.

    Returns
    -------
    tuple of int
        The first row not done, bytes used in `out`, and why: ``FULL``, ``MORE`` or ``BAD`` (no
        record begins there).
    """
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
        if used + captured > len(out):
            return row, used, FULL
        copy_octets(out, used, data, body, captured)
        start[row], captured_length[row], original_length[row] = used, captured, original
        time_ns[row] = u32(data, head, big) * NS_PER_S + u32(data, head + 4, big) * fraction_ns
        used += captured
        row += 1
    return row, used, FULL
