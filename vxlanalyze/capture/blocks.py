"""Compiled readers of single pcapng blocks, and the search for the next one after damage.

    |  type  |  total length  |  body, padded to 32 bits  |  total length  |

The body of an enhanced packet block:

    |  interface  |  time, high  |  time, low  |  captured length  |  original length  |  data  |  options  |

Sources: draft-ietf-opsawg-pcapng sections 3.1, 4.3, 4.4 and appendix A (the obsolete packet block).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.block_times import SNAPLEN, time_of
from vxlanalyze.capture.octets import SPAN, Span, u16, u32
from vxlanalyze.kernels.decorator import compiled

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
BIG_ENDIAN_MAGIC = 0x4D3C2B1A  # the same, read as little-endian
SECTION_BYTES = 28
SMALLEST_BYTES = 12
LARGEST_BYTES = 16 << 20  # Wireshark, wiretap/pcapng.c: MAX_BLOCK_SIZE
PACKET_HEAD_BYTES = 28  # before the data of an enhanced or obsolete packet block
SIMPLE_HEAD_BYTES = 12
TRAILER_BYTES = 4

OPTION_END = 0


class Section(NamedTuple):
    """A section of a file: its byte order, and its interfaces ``table[first : first + interfaces]``."""

    big: bool
    table: NDArray[np.int64]
    first: int
    interfaces: int


SECTION = "Section(b1 i8[,] i8 i8)"


class Packets(NamedTuple):
    """The rows that a walk over blocks fills."""

    start: NDArray[np.int64]
    captured_length: NDArray[np.uint32]
    original_length: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    interface: NDArray[np.uint16]
    place: NDArray[np.int64]


@compiled("u1[] i8")
def section_is_big(data: Any, at: int) -> Any:
    """Read the byte order of the section header at `at`: 1 big, 0 little, -1 neither."""
    magic = u32(data, at + 8, False)
    if magic == LITTLE_ENDIAN_MAGIC:
        return 0
    return 1 if magic == BIG_ENDIAN_MAGIC else -1


@compiled("u1[] i8 i8 b1")
def block_bytes(data: Any, at: int, end: int, big: bool) -> Any:
    """Give the padded length of the block at `at`; 0 where it extends beyond `end`, -1 if it is not a block.

    Some writers omit the padding from the total length; Wireshark also reads those.
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
def simple_packet(data: Any, at: int, size: int, section: Section) -> Any:
    """Read a simple packet block; for the result see `packet_at`.

    It belongs to the section's first interface, and its captured length is limited by packet, snap length and
    block.
    """
    if size < SIMPLE_HEAD_BYTES + TRAILER_BYTES or section.interfaces == 0:
        return -1, at, 0, 0, 0, False
    original, snaplen = u32(data, at + 8, section.big), section.table[section.first, SNAPLEN]
    captured = min(original, size - SIMPLE_HEAD_BYTES - TRAILER_BYTES)
    if snaplen > 0:
        captured = min(captured, snaplen)
    return section.first, at + SIMPLE_HEAD_BYTES, captured, original, 0, False


@compiled
def packet_at(data: Any, at: int, size: int, section: Section) -> Any:
    """Read the packet block of `size` bytes at `at`.

    Returns
    -------
    tuple
        Row in the table (-1 where the block contradicts itself), index of the data, captured and original
        length, time in ns, and whether that was clamped.
    """
    big, table, first, interfaces = section
    kind = u32(data, at, big)
    if kind == SIMPLE_PACKET:
        return simple_packet(data, at, size, section)
    body = at + PACKET_HEAD_BYTES
    if body + TRAILER_BYTES > at + size:
        return -1, at, 0, 0, 0, False
    described = u16(data, at + 8, big) if kind == PACKET else u32(data, at + 8, big)
    captured, original = u32(data, at + 20, big), u32(data, at + 24, big)
    if described >= interfaces or body + captured + TRAILER_BYTES > at + size:
        return -1, at, 0, 0, 0, False
    interface = first + described
    time_ns, clamped = time_of(u32(data, at + 12, big), u32(data, at + 16, big), table, interface)
    return interface, body, captured, original, time_ns, clamped


@compiled
def may_begin_block(data: Any, at: int, big: bool) -> Any:
    """Whether the type at `at` is known."""
    kind = u32(data, at, big)
    return (
        INTERFACE_DESCRIPTION <= kind <= ENHANCED_PACKET
        or SYSTEMD_JOURNAL <= kind <= DECRYPTION_SECRETS
        or kind in (SECTION_HEADER, CUSTOM, CUSTOM_NOT_COPIED)
    )


@compiled(f"{SPAN} i8 b1")
def find_block(span: Span, reach: int, big: bool) -> Any:
    """Search for the next block of a known type whose two lengths agree and after which another can begin.

    Parameters
    ----------
    reach : int
        Number of bytes of a block that must be in memory for a decision, unless the file ends.

    Returns
    -------
    tuple of (int, bool)
        Index and true where one was found; else the index at which to continue with more bytes.
    """
    data, at, end, _, at_end = span
    while at + SMALLEST_BYTES <= end:
        if may_begin_block(data, at, big):
            size = block_bytes(data, at, end, big)
            if size == 0 and not at_end and at + reach > end and u32(data, at + 4, big) <= reach:
                return at, False
            if size > 0 and (at + size + 4 > end or may_begin_block(data, at + size, big)):
                return at, True
        at += 1
    return at, False
