"""Compiled walk over the blocks of a pcapng, reading packets into rows, or by place.

Source: draft-ietf-opsawg-pcapng sections 4.3, 4.4 and appendix A.
"""

from typing import Any

from vxlanalyze.capture.block_times import NUMBER
from vxlanalyze.capture.blocks import (
    ENHANCED_PACKET,
    INTERFACE_DESCRIPTION,
    INTERFACE_STATISTICS,
    NAME_RESOLUTION,
    OPTION_END,
    PACKET,
    PACKET_HEAD_BYTES,
    SECTION_HEADER,
    SIMPLE_HEAD_BYTES,
    SIMPLE_PACKET,
    TRAILER_BYTES,
    block_bytes,
    packet_at,
)
from vxlanalyze.capture.octets import BAD, BLOCK, FULL, MORE, ODD, copy_octets, u16, u32
from vxlanalyze.kernels.decorator import compiled

OPTION_PACKET_DROPS = 4  # epb_dropcount
DROPS_UNKNOWN = 0xFFFF  # in the obsolete packet block
_DROPS_BELIEVED_HIGH = 1 << 8  # more than 10 ** 12 between two packets is not a count

# Indices in `notes`: offset of the first block for which this holds, or -1.
TIME_CLAMPED, TIME_ABSENT, NOTES = 0, 1, 2


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


@compiled("u1[] i8 i8 i8 b1 i8[,] i8 i8 i8[] i8[] i8 i8[] u4[] u4[] i8[] u2[] i8[]")
def walk_blocks(
    data: Any, at: int, end: int, base: int, big: bool, table: Any, first: int, interfaces: int, drops: Any,
    notes: Any, row: int, start: Any, captured_length: Any, original_length: Any, time_ns: Any,
    interface_number: Any, place: Any,
) -> Any:  # fmt: skip
    """Fill rows from `row` on with the packets of the blocks in ``data[at:end]``.

    The section's interfaces are ``table[first : first + interfaces]``. Blocks without packets are skipped,
    except those that the caller must see. `place` gets `base` plus the index in `data`.

    Returns
    -------
    tuple of int
        The next free row, index of the first block not taken, and why: ``FULL``, ``MORE``,
        ``BLOCK`` (complete, and for the caller), ``BAD`` (not a block) or ``ODD`` (a packet block that
        contradicts itself).
    """
    while row < len(start):
        size = block_bytes(data, at, end, big)
        if size <= 0:
            return row, at, MORE if size == 0 else BAD
        kind = u32(data, at, big)
        if kind in (SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, NAME_RESOLUTION):
            return row, at, BLOCK
        if kind in (ENHANCED_PACKET, PACKET, SIMPLE_PACKET):
            interface, body, captured, original, time, clamped = packet_at(
                data, at, size, big, table, first, interfaces
            )
            if interface < 0:
                return row, at, ODD
            options = body + ((captured + 3) & ~3)
            if kind == SIMPLE_PACKET or clamped:
                note = TIME_CLAMPED if clamped else TIME_ABSENT
                notes[note] = base + at if notes[note] < 0 else notes[note]
            elif kind == PACKET or options + TRAILER_BYTES < at + size:
                drops[interface] += drops_before(data, at, size, big, options)
            start[row], captured_length[row], original_length[row] = body, captured, original
            time_ns[row], interface_number[row], place[row] = time, table[interface, NUMBER], base + body
            row += 1
        at += size
    return row, at, FULL


@compiled("u1[] i8 i8 b1 i8[,] i8 i8")
def end_of_odd(data: Any, at: int, end: int, big: bool, table: Any, first: int, interfaces: int) -> Any:
    """Give the index behind the packet blocks from `at` on that contradict themselves."""
    while True:
        size = block_bytes(data, at, end, big)
        if size <= 0 or u32(data, at, big) not in (ENHANCED_PACKET, PACKET, SIMPLE_PACKET):
            return at
        if packet_at(data, at, size, big, table, first, interfaces)[0] >= 0:
            return at
        at += size


@compiled
def packet_of(
    data: Any, body: int, at: int, end: int, at_end: bool, big: bool, table: Any, first: int,
    interfaces: int, with_simple: bool,
) -> Any:  # fmt: skip
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
    head = body - PACKET_HEAD_BYTES
    if head >= at and u32(data, head, big) in (ENHANCED_PACKET, PACKET):
        size = (u32(data, head + 4, big) + 3) & ~3
        whole = block_bytes(data, head, end, big) if with_simple else size
        if whole == 0 and not at_end:
            return -2, at, 0, 0, 0, False
        if whole == size:
            return packet_at(data, head, size, big, table, first, interfaces)
    head = body - SIMPLE_HEAD_BYTES
    if not with_simple or head < at or u32(data, head, big) != SIMPLE_PACKET:
        return -1, at, 0, 0, 0, False
    size = (u32(data, head + 4, big) + 3) & ~3
    return packet_at(data, head, size, big, table, first, interfaces)


@compiled("u1[] i8 i8 b1 i8 i8[,] i8[,] i8 b1 i8[] i8 i8[] u4[] u4[] i8[] u2[] u1[] i8")
def copy_blocks(
    data: Any, at: int, end: int, at_end: bool, base: int, table: Any, sections: Any, section: int,
    with_simple: bool, offsets: Any, row: int, start: Any, captured_length: Any, original_length: Any,
    time_ns: Any, interface_number: Any, out: Any, used: int,
) -> Any:  # fmt: skip
    """Copy the packets whose data begin at ``offsets[row:]`` (ascending) out of ``data[at:end]``.

    `sections` has a row (offset, big, first, interfaces) for each section; `section` is that of the first
    packet.

    Returns
    -------
    tuple of int
        The first row not done, bytes used in `out`, and why: ``FULL``, ``MORE`` or ``BAD`` (no
        packet begins there).
    """
    while row < len(offsets):
        body = offsets[row] - base
        if body > end:
            return row, used, MORE
        while section + 1 < len(sections) and sections[section + 1, 0] <= offsets[row]:
            section += 1
        interface, body, captured, original, time, _ = packet_of(
            data, body, at, end, at_end, sections[section, 1] == 1, table, sections[section, 2],
            sections[section, 3], with_simple,
        )  # fmt: skip
        if interface == -1:
            return row, used, BAD
        if interface < 0 or body + captured > end:
            return row, used, MORE
        if used + captured > len(out):
            return row, used, FULL
        copy_octets(out, used, data, body, captured)
        start[row], captured_length[row], original_length[row] = used, captured, original
        time_ns[row], interface_number[row] = time, table[interface, NUMBER]
        used += captured
        row += 1
    return row, used, FULL
