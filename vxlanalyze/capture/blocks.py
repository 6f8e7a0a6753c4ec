"""Compiled walk over the blocks of a pcapng.

    |  type  |  total length  |  body, padded to 32 bits  |  total length  |

The body of an enhanced packet block:

    |  interface  |  time, high  |  time, low  |  captured length  |  original length  |  data  |  options  |

Sources: draft-ietf-opsawg-pcapng sections 3.1, 4.3, 4.4 and appendix A (the obsolete packet block).
"""

from typing import Any

import numpy as np

from vxlanalyze.capture.octets import BAD, BLOCK, FULL, MORE, NS_PER_S, ODD, u16, u32
from vxlanalyze.compiled import compiled

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
PACKET = 2  # obsolete
SIMPLE_PACKET = 3
NAME_RESOLUTION = 4
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
SYSTEMD_JOURNAL = 9
DECRYPTION_SECRETS = 10
CUSTOM = 0x0BAD
CUSTOM_NOT_COPIED = 0x40000BAD

LITTLE_ENDIAN_MAGIC = 0x1A2B3C4D
BIG_ENDIAN_MAGIC = 0x4D3C2B1A  # the same, read as little endian
SECTION_BYTES = 28
SMALLEST_BYTES = 12
LARGEST_BYTES = 16 << 20  # Wireshark, wiretap/pcapng.c: MAX_BLOCK_SIZE
PACKET_HEAD_BYTES = 28  # before the data of an enhanced or obsolete packet block
SIMPLE_HEAD_BYTES = 12
TRAILER_BYTES = 4

OPTION_END = 0
OPTION_PACKET_DROPS = 4  # epb_dropcount
DROPS_UNKNOWN = 0xFFFF
_DROPS_BELIEVED = 1 << 40

# Columns of the table of interfaces.
NUMBER, UNIT, FACTOR, SHIFT, OFFSET_NS, SNAPLEN, COLUMNS = 0, 1, 2, 3, 4, 5, 6
# How a count of the interface's units becomes nanoseconds.
MULTIPLY, DIVIDE, BINARY = 0, 1, 2
# Places in `notes`: offset of the first block of which this is true, or -1.
TIME_CLAMPED, TIME_ABSENT, NOTES = 0, 1, 2

_LAST_NS = (1 << 63) - 1
_LAST_S = _LAST_NS // NS_PER_S
_LOW_32 = (1 << 32) - 1


@compiled
def units_to_ns(high: int, low: int, unit: int, factor: int, shift: int) -> Any:
    """Turn ``high << 32 | low`` units into nanoseconds, rounded down; -1 where int64 is too small.

    A unit is `factor` ns (``MULTIPLY``), 1 / (2 * `factor`) ns (``DIVIDE``: halved, since 10 ** 19 is more
    than int64 holds), or 2 ** -`shift` s (``BINARY``). All arithmetic is exact in 64 bits.
    """
    if unit == DIVIDE:
        return (high << 31 | low >> 1) // factor
    if unit == MULTIPLY:
        if high >= 1 << 31 or (high << 32 | low) > _LAST_NS // factor:
            return -1
        return (high << 32 | low) * factor
    if shift <= 32:
        if high >> (shift + 2) > 0:
            return -1
        seconds = high << (32 - shift) | low >> shift
        fraction_ns = ((low & ((1 << shift) - 1)) * NS_PER_S) >> shift
    else:
        over = min(shift - 32, 63)
        seconds = high >> over
        fraction_ns = ((high - (seconds << over)) * NS_PER_S + ((low * NS_PER_S) >> 32)) >> over
    return -1 if seconds >= _LAST_S else seconds * NS_PER_S + fraction_ns


@compiled
def time_of(high: int, low: int, table: Any, interface: int) -> Any:
    """Give the time in ns since 1970 by an interface's clock, and whether it had to be clamped."""
    offset_ns = table[interface, OFFSET_NS]
    time_ns = units_to_ns(
        high, low, table[interface, UNIT], table[interface, FACTOR], table[interface, SHIFT]
    )
    if time_ns < 0 or (offset_ns > 0 and time_ns > _LAST_NS - offset_ns):
        return _LAST_NS, True
    return time_ns + offset_ns, False


@compiled
def section_is_big(data: Any, at: int) -> int:
    """Read the byte order of the section header at `at`: 1 big, 0 little, -1 neither."""
    magic = u32(data, at + 8, False)
    if magic == LITTLE_ENDIAN_MAGIC:
        return 0
    return 1 if magic == BIG_ENDIAN_MAGIC else -1


@compiled
def block_bytes(data: Any, at: int, end: int, big: bool) -> int:
    """Give the padded length of the block at `at`; 0 where it goes on behind `end`, -1 where it is none.

    Some writers leave the padding out of the total length; Wireshark reads those too.
    """
    if at + SMALLEST_BYTES > end:
        return 0
    if u32(data, at, big) == SECTION_HEADER:
        order = section_is_big(data, at)
        if order < 0:
            return -1
        big = order == 1
    total = u32(data, at + 4, big)
    least = SECTION_BYTES if u32(data, at, big) == SECTION_HEADER else SMALLEST_BYTES
    if total < least or total > LARGEST_BYTES:
        return -1
    padded = (total + 3) & ~3
    if at + padded > end:
        return 0
    return padded if u32(data, at + padded - TRAILER_BYTES, big) == total else -1


@compiled
def add_drops(data: Any, at: int, end: int, big: bool, drops: Any, interface: int) -> None:
    """Add the drop count among the options in ``data[at:end]``, where there is one."""
    while at + 4 <= end:
        code, length = u16(data, at, big), u16(data, at + 2, big)
        if code == OPTION_END or at + 4 + length > end:
            return
        if code == OPTION_PACKET_DROPS and length == 8:
            high, low = u32(data, at + 4, big), u32(data, at + 8, big)
            count = (low if big else high) | (high if big else low) << 32
            if 0 < count < _DROPS_BELIEVED:
                drops[interface] += count
        at += 4 + ((length + 3) & ~3)


@compiled
def walk_blocks(
    data: Any, at: int, end: int, base: int, big: bool, table: Any, first: int, interfaces: int, drops: Any,
    notes: Any, row: int, start: Any, captured_length: Any, original_length: Any, time_ns: Any,
    interface_number: Any, place: Any,
) -> Any:  # fmt: skip
    """Fill rows from `row` on with the packets of the blocks in ``data[at:end]``.

    The section's interfaces are ``table[first : first + interfaces]``. Blocks without packets are passed
    over, except those that the caller must see.

    Returns
    -------
    tuple of int
        The next free row, index of the first block not taken, and why: ``FULL``, ``MORE``,
        ``BLOCK`` (whole, and for the caller), ``BAD`` (no block) or ``ODD`` (a packet block that
        contradicts itself).
    """
    capacity = len(start)
    while row < capacity:
        size = block_bytes(data, at, end, big)
        if size <= 0:
            return row, at, MORE if size == 0 else BAD
        kind = u32(data, at, big)
        if kind == ENHANCED_PACKET or kind == PACKET:
            if size < PACKET_HEAD_BYTES + TRAILER_BYTES:
                return row, at, ODD
            old = kind == PACKET
            described = u16(data, at + 8, big) if old else u32(data, at + 8, big)
            captured = u32(data, at + 20, big)
            body, stop = at + PACKET_HEAD_BYTES, at + size - TRAILER_BYTES
            if captured > stop - body or described >= interfaces:
                return row, at, ODD
            interface = first + described
            time, clamped = time_of(u32(data, at + 12, big), u32(data, at + 16, big), table, interface)
            if clamped and notes[TIME_CLAMPED] < 0:
                notes[TIME_CLAMPED] = base + at
            original_length[row] = u32(data, at + 24, big)
            time_ns[row] = time
            options = body + ((captured + 3) & ~3)
            if options < stop:
                add_drops(data, options, stop, big, drops, interface)
            if old:
                count = u16(data, at + 10, big)
                drops[interface] += 0 if count == DROPS_UNKNOWN else count
        elif kind == SIMPLE_PACKET:
            if size < SIMPLE_HEAD_BYTES + TRAILER_BYTES or interfaces == 0:
                return row, at, ODD
            interface, body = first, at + SIMPLE_HEAD_BYTES
            captured = simple_captured(data, at, size, big, table[first, SNAPLEN])
            original_length[row] = u32(data, at + 8, big)
            time_ns[row] = 0
            if notes[TIME_ABSENT] < 0:
                notes[TIME_ABSENT] = base + at
        elif kind == SECTION_HEADER or kind == INTERFACE_DESCRIPTION or kind == INTERFACE_STATISTICS:
            return row, at, BLOCK
        else:
            at += size
            continue
        start[row] = body
        captured_length[row] = captured
        interface_number[row] = table[interface, NUMBER]
        place[row] = base + body
        row += 1
        at += size
    return row, at, FULL


@compiled
def simple_captured(data: Any, at: int, size: int, big: bool, snaplen: int) -> int:
    """Give the captured length of a simple packet block: the least of packet, snap length and block."""
    captured = min(u32(data, at + 8, big), size - SIMPLE_HEAD_BYTES - TRAILER_BYTES)
    return min(captured, snaplen) if snaplen > 0 else captured


@compiled
def may_begin_block(data: Any, at: int, big: bool) -> bool:
    """Tell whether the type at `at` is a known one."""
    kind = u32(data, at, big)
    return (
        INTERFACE_DESCRIPTION <= kind <= ENHANCED_PACKET
        or SYSTEMD_JOURNAL <= kind <= DECRYPTION_SECRETS
        or kind == SECTION_HEADER
        or kind == CUSTOM
        or kind == CUSTOM_NOT_COPIED
    )


@compiled
def find_block(data: Any, at: int, end: int, at_end: bool, reach: int, big: bool) -> Any:
    """Search for the next block of a known type whose two lengths agree, and behind which one can begin.

    Parameters
    ----------
    reach : int
        How many bytes of a block must be in the window for a verdict, unless the stream ends.

    Returns
    -------
    tuple of (int, bool)
        Index and true where one was found; else the index at which to go on with more bytes.
    """
    while at + SMALLEST_BYTES <= end:
        if may_begin_block(data, at, big):
            size = block_bytes(data, at, end, big)
            if size == 0 and not at_end and at + reach > end and u32(data, at + 4, big) <= reach:
                return at, False
            if size > 0 and (at + size + 4 > end or may_begin_block(data, at + size, big)):
                return at, True
        at += 1
    return at, False


@compiled
def holds_packet(data: Any, head: int, interfaces: int, big: bool) -> bool:
    """Tell whether an enhanced or obsolete packet block may begin at `head`."""
    kind, total = u32(data, head, big), u32(data, head + 4, big)
    if (kind != ENHANCED_PACKET and kind != PACKET) or not PACKET_HEAD_BYTES < total <= LARGEST_BYTES:
        return False
    described = u16(data, head + 8, big) if kind == PACKET else u32(data, head + 8, big)
    captured = u32(data, head + 20, big)
    return described < interfaces and captured <= total + 3 - PACKET_HEAD_BYTES - TRAILER_BYTES


@compiled
def copy_blocks(
    data: Any, at: int, end: int, base: int, table: Any, sections: Any, section_of: Any, with_simple: bool,
    offsets: Any, row: int, start: Any, captured_length: Any, original_length: Any, time_ns: Any, interface_number: Any, out: Any,
    used: int,
) -> Any:  # fmt: skip
    """Copy the packets whose data begin at ``offsets[row:]`` (ascending) out of ``data[at:end]``.

    `sections` has a row (offset, big, first, interfaces) for each section; ``section_of[i]`` is that of
    ``offsets[i]``. `with_simple` says that the file has simple packet blocks.

    Returns
    -------
    tuple of int
        The first row not done, bytes used in `out`, and why: ``FULL``, ``MORE`` or ``BAD`` (no
        packet begins there).
    """
    while row < len(offsets):
        body = offsets[row] - base
        section = section_of[row]
        big, first, interfaces = sections[section, 1] == 1, sections[section, 2], sections[section, 3]
        if body > end:
            return row, used, MORE
        head, simple = body - PACKET_HEAD_BYTES, False
        enhanced = head >= at and holds_packet(data, head, interfaces, big)
        if with_simple:
            # The last bytes before a simple packet may look like an enhanced one: ask for its end too.
            size = block_bytes(data, head, end, big) if enhanced else -1
            if size == 0:
                return row, used, MORE
            simple = size < 0
        if not enhanced and not simple:
            return row, used, BAD
        if simple:
            head = body - SIMPLE_HEAD_BYTES
            size = -1 if head < at or interfaces == 0 else block_bytes(data, head, end, big)
            if size <= 0 or u32(data, head, big) != SIMPLE_PACKET:
                return row, used, MORE if size == 0 else BAD
            captured = simple_captured(data, head, size, big, table[first, SNAPLEN])
            original, time, interface = u32(data, head + 8, big), np.int64(0), first
        else:
            captured, original = u32(data, head + 20, big), u32(data, head + 24, big)
            old = u32(data, head, big) == PACKET
            interface = first + (u16(data, head + 8, big) if old else u32(data, head + 8, big))
            time = time_of(u32(data, head + 12, big), u32(data, head + 16, big), table, interface)[0]
        if body + captured > end:
            return row, used, MORE
        if used + captured > len(out):
            return row, used, FULL
        out[used : used + captured] = data[body : body + captured]
        start[row], captured_length[row], original_length[row] = used, captured, original
        time_ns[row], interface_number[row] = time, table[interface, NUMBER]
        used += captured
        row += 1
    return row, used, FULL
