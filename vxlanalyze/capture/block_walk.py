"""Compiled walk over the blocks of a pcapng, reading packets into rows, or by place.

Source: draft-ietf-opsawg-pcapng sections 4.3, 4.4 and appendix A.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.block_times import NUMBER
from vxlanalyze.capture.blocks import (
    ENHANCED_PACKET,
    INTERFACE_DESCRIPTION,
    INTERFACE_STATISTICS,
    NAME_RESOLUTION,
    OPTION_END,
    PACKET,
    PACKET_HEAD_BYTES,
    SECTION,
    SECTION_HEADER,
    SIMPLE_HEAD_BYTES,
    SIMPLE_PACKET,
    TRAILER_BYTES,
    Packets,
    Section,
    block_bytes,
    packet_at,
)
from vxlanalyze.capture.octets import (
    BAD,
    BLOCK,
    FULL,
    MORE,
    ODD,
    SPAN,
    TARGET,
    Span,
    Target,
    copy_octets,
    u16,
    u32,
)
from vxlanalyze.kernels.decorator import compiled

OPTION_PACKET_DROPS = 4  # epb_dropcount
DROPS_UNKNOWN = 0xFFFF  # in the obsolete packet block
_DROPS_BELIEVED_HIGH = 1 << 8  # more than 10 ** 12 between two packets is not a count

# Indices in `notes`: offset of the first block for which this holds, or -1.
TIME_CLAMPED, TIME_ABSENT, NOTES = 0, 1, 2


class Counts(NamedTuple):
    """What a walk counts and notes: `drops` by row in the table of interfaces, and `notes`."""

    drops: NDArray[np.int64]
    notes: NDArray[np.int64]


class Sections(NamedTuple):
    """The sections of a file for which frames are copied.

    `rows` has a row (offset, big, first, interfaces) for each; `current` is that of the next packet. The file
    has simple packet blocks if `with_simple`.
    """

    table: NDArray[np.int64]
    rows: NDArray[np.int64]
    current: int
    with_simple: bool


@compiled
def drops_before(data: Any, at: int, size: int, big: bool, options: int) -> Any:
    """Give the number of drops that a packet block reports since the previous one, 0 without a report.

    Parameters
    ----------
    options : int
        Index of the block's options.
    """
    end = at + size - TRAILER_BYTES
    count = 0
    if u32(data, at, big) == PACKET:
        stated = u16(data, at + 10, big)
        count = 0 if stated == DROPS_UNKNOWN else stated
    while options + 4 <= end:
        code, length = u16(data, options, big), u16(data, options + 2, big)
        if code == OPTION_END or options + 4 + length > end:
            break
        if code == OPTION_PACKET_DROPS and length == 8:
            low, high = u32(data, options + 4, big), u32(data, options + 8, big)
            if big:
                low, high = high, low
            if high < _DROPS_BELIEVED_HIGH:
                count += high << 32 | low
        options += 4 + ((length + 3) & ~3)
    return count


@compiled(f"{SPAN} {SECTION} Counts(i8[] i8[]) i8 Packets(i8[] u4[] u4[] i8[] u2[] i8[])")
def walk_blocks(span: Span, section: Section, counts: Counts, row: int, rows: Packets) -> Any:
    """Fill rows from `row` on with the packets of the blocks in a span.

    Blocks without packets are skipped, except those that the caller must see. `place` gets the position of
    the frame's first octet in the file.

    Returns
    -------
    tuple of int
        The next free row, index of the first block not taken, and why: ``FULL``, ``MORE``,
        ``BLOCK`` (complete, and for the caller), ``BAD`` (not a block) or ``ODD`` (a packet block that
        contradicts itself).
    """
    data, at, end, base, _ = span
    big = section.big
    while row < len(rows.start):
        size = block_bytes(data, at, end, big)
        if size <= 0:
            return row, at, MORE if size == 0 else BAD
        kind = u32(data, at, big)
        if kind in (SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, NAME_RESOLUTION):
            return row, at, BLOCK
        if kind in (ENHANCED_PACKET, PACKET, SIMPLE_PACKET):
            interface, body, captured, original, time_ns, clamped = packet_at(data, at, size, section)
            if interface < 0:
                return row, at, ODD
            options = body + ((captured + 3) & ~3)
            if kind == SIMPLE_PACKET or clamped:
                note = TIME_CLAMPED if clamped else TIME_ABSENT
                counts.notes[note] = base + at if counts.notes[note] < 0 else counts.notes[note]
            elif kind == PACKET or options + TRAILER_BYTES < at + size:
                counts.drops[interface] += drops_before(data, at, size, big, options)
            rows.start[row] = body
            rows.captured_length[row] = captured
            rows.original_length[row] = original
            rows.time_ns[row] = time_ns
            rows.interface[row] = section.table[interface, NUMBER]
            rows.place[row] = base + body
            row += 1
        at += size
    return row, at, FULL


@compiled(f"{SPAN} {SECTION}")
def end_of_odd(span: Span, section: Section) -> Any:
    """Give the index after the packet blocks at the start of a span that contradict themselves."""
    data, at, end, _, _ = span
    while True:
        size = block_bytes(data, at, end, section.big)
        if size <= 0 or u32(data, at, section.big) not in (ENHANCED_PACKET, PACKET, SIMPLE_PACKET):
            return at
        if packet_at(data, at, size, section)[0] >= 0:
            return at
        at += size


@compiled
def packet_of(span: Span, body: int, section: Section, with_simple: bool) -> Any:
    """Read the packet whose data begin at `body`, from the header before them.

    Parameters
    ----------
    with_simple : bool
        The file has simple packet blocks. The bytes before one of these may look like an enhanced packet
        block, so the end of that is checked, too.

    Returns
    -------
    tuple
        As `packet_at`; -1 for the row where no packet begins here, -2 where more bytes are needed.
    """
    data, at, end, _, at_end = span
    big = section.big
    head = body - PACKET_HEAD_BYTES
    if head >= at and u32(data, head, big) in (ENHANCED_PACKET, PACKET):
        size = (u32(data, head + 4, big) + 3) & ~3
        whole = block_bytes(data, head, end, big) if with_simple else size
        if whole == 0 and not at_end:
            return -2, at, 0, 0, 0, False
        if whole == size:
            return packet_at(data, head, size, section)
    head = body - SIMPLE_HEAD_BYTES
    if not with_simple or head < at or u32(data, head, big) != SIMPLE_PACKET:
        return -1, at, 0, 0, 0, False
    size = (u32(data, head + 4, big) + 3) & ~3
    return packet_at(data, head, size, section)


@compiled(f"{SPAN} Sections(i8[,] i8[,] i8 b1) i8[] (i8 i8) {TARGET}")
def copy_blocks(
    span: Span, sections: Sections, offsets: NDArray[np.int64], done: tuple[int, int], target: Target
) -> Any:
    """Copy the packets whose frames begin at the positions `offsets` (ascending) of the file.

    Parameters
    ----------
    done : tuple of int
        Rows and bytes of `target` that are already filled.

    Returns
    -------
    tuple of int
        The first row not done, bytes used in `target`, and why: ``FULL``, ``MORE`` or ``BAD`` (no
        packet begins there).
    """
    row, used = done
    bounds, current = sections.rows, sections.current
    while row < len(offsets):
        body = offsets[row] - span.base
        if body > span.end:
            return row, used, MORE
        while current + 1 < len(bounds) and bounds[current + 1, 0] <= offsets[row]:
            current += 1
        section = Section(bounds[current, 1] == 1, sections.table, bounds[current, 2], bounds[current, 3])
        interface, body, captured, original, time_ns, _ = packet_of(span, body, section, sections.with_simple)
        if interface == -1:
            return row, used, BAD
        if interface < 0 or body + captured > span.end:
            return row, used, MORE
        if used + captured > len(target.data):
            return row, used, FULL
        copy_octets(target.data, used, span.data, body, captured)
        target.start[row] = used
        target.captured_length[row] = captured
        target.original_length[row] = original
        target.time_ns[row] = time_ns
        target.interface[row] = sections.table[interface, NUMBER]
        used += captured
        row += 1
    return row, used, FULL
