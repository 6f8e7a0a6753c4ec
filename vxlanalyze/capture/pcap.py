"""Classic pcap, in all variants recognised by magic number or by the sequence of their records.

    | magic | major 16, minor 16 | time zone | accuracy | snap length | FCS, link type |

Sources: draft-ietf-opsawg-pcap; libpcap, sf-pcap.c; Wireshark, wiretap/libpcap.c and libpcap.h.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture import records
from vxlanalyze.capture.octets import BAD, FULL, MORE, NS_PER_S, ODD, Span, u32
from vxlanalyze.capture.reading import Reading
from vxlanalyze.capture.rows import Copies, FrameRows
from vxlanalyze.capture.window import MAX_RECORD_BYTES, Window
from vxlanalyze.errors import CaptureError

HEADER_BYTES = 24
RECORD_BYTES = 16
MAXIMUM_SNAPLEN = 262_144  # libpcap, pcap-int.h
MAX_CAPTURED_BYTES = MAX_RECORD_BYTES - 64  # where the header's snap length allows more
PLAUSIBLE_RECORD_BYTES = RECORD_BYTES + records.PLAUSIBLE_CAPTURED_BYTES
ODD_RECORDS = 100  # with more odd but readable records than this, they are considered intentional
ANY_TIME = -1
SEARCH_BYTES = 64 << 20  # how far after damage to search for the next record


@dataclass(frozen=True, slots=True)
class _Variant:
    fraction_ns: int
    record_bytes: tuple[int, ...] = (RECORD_BYTES,)
    header_bytes: int = HEADER_BYTES


# Where a magic number stands for several record headers, the first whose records form a sequence is used. 24:
# Kuznetzov's patches of 1999-04-17 and 1999-10-29; 28: of 1999-09-15; 20: Nokia.
_VARIANTS = {
    0xA1B2C3D4: _Variant(1000, (16, 24, 20)),
    0xA1B23C4D: _Variant(1),
    0xA1B2CD34: _Variant(1000, (24, 28)),
    0x1C0001AC: _Variant(1, header_bytes=28),  # IXIA hardware: the length of all records after the header
    0x1C0001AB: _Variant(1000, header_bytes=28),  # IXIA software
}
MAGICS = frozenset(struct.pack(order + "I", magic) for magic in _VARIANTS for order in "<>")

# AIX writes version 2.2, nanoseconds, and an interface type of RFC 1573 in place of a link type.
_AIX_LINK_TYPES = {6: 1, 9: 6, 15: 10, 24: 0}


@dataclass(frozen=True, slots=True)
class PcapHeader:
    """Information about the records from the head of a pcap."""

    link_type: int
    snaplen_bytes: int
    header_bytes: int
    layout: records.Layout


def parse_header(path: str, head: bytes, at_end: bool) -> PcapHeader:
    """Read the head of a pcap.

    Parameters
    ----------
    path : str
        For the error.
    head : bytes
        The first bytes of the file, magic number included; enough for some records where there are any.
    at_end : bool
        The file holds nothing after `head`.

    Raises
    ------
    CaptureError
        The head is truncated, or older than version 2.
    """
    order = "<" if struct.unpack_from("<I", head)[0] in _VARIANTS else ">"
    (magic,) = struct.unpack_from(order + "I", head)
    variant = _VARIANTS[magic]
    if len(head) < variant.header_bytes:
        raise CaptureError(
            path, f"cut inside the pcap header: {len(head)} of {variant.header_bytes} bytes", len(head)
        )
    major, minor, _, _, snaplen_bytes, network = struct.unpack_from(order + "HHiIII", head, 4)
    if major < 2:
        raise CaptureError(path, f"pcap version {major}.{minor} is not supported; 2.0 and later are", 4)
    aix = (major, minor) == (2, 2) and network in _AIX_LINK_TYPES
    layout = records.Layout(
        big=order == ">",
        header_bytes=variant.record_bytes[0],
        swapped=_length_order(major, minor),
        fraction_ns=1 if aix else variant.fraction_ns,
        max_bytes=max(MAXIMUM_SNAPLEN, min(snaplen_bytes, MAX_CAPTURED_BYTES)),
    )
    header = PcapHeader(
        # The upper 16 bits hold the FCS length and reserved bits: draft-ietf-opsawg-pcap section 4.
        link_type=_AIX_LINK_TYPES[network] if aix else network & 0xFFFF,
        snaplen_bytes=snaplen_bytes,
        header_bytes=variant.header_bytes,
        layout=layout,
    )
    return header if aix else _fitting(header, variant.record_bytes, head, at_end)


def _length_order(major: int, minor: int) -> int:
    if (major == 2 and minor < 3) or major == 543:  # 543.0 is DG/UX
        return records.LENGTHS_SWAPPED
    return records.LENGTHS_SWAPPED_MAYBE if (major, minor) == (2, 3) else records.LENGTHS_IN_ORDER


def _fitting(header: PcapHeader, sizes: tuple[int, ...], head: bytes, at_end: bool) -> PcapHeader:
    """Choose the record header for which records form a sequence; in doubt, the usual one."""
    data = np.frombuffer(head, np.uint8)
    span = Span(data, header.header_bytes, len(data), 0, at_end)
    for size in sizes:
        layout = header.layout._replace(header_bytes=size)
        is_usual = size == sizes[0]  # truncation shortly after the first record is not a reason to doubt it
        if records.chain_at(span, span.at, layout, ANY_TIME, is_usual) == 1:
            return replace(header, layout=layout)
    return header


class PcapReader:
    """Reads one pcap from a window.

    Parameters
    ----------
    file_index : int
        Its number in the capture.
    header : PcapHeader
        Content of its head.
    """

    def __init__(self, file_index: int, header: PcapHeader) -> None:
        self._file_index = file_index
        self._header = header
        self._interface = 0

    def read(self, window: Window, rows: FrameRows, reading: Reading, begin_bytes: int = 0) -> Iterator[int]:
        """Fill `rows` chunk by chunk, and give the number filled; the bytes are in the window.

        Parameters
        ----------
        begin_bytes : int
            Position in the file of the first record to read; by default after the head.
        """
        self._interface = reading.interface(self._header.link_type, self._header.snaplen_bytes, None)
        rows.interface[:] = self._interface
        window.jump(max(begin_bytes, self._header.header_bytes))
        near_s, trusted = ANY_TIME, -1
        while True:
            count, window.at, stop = self._walk(window, rows, near_s, trusted)
            trusted = -1 if reading.odd_records < ODD_RECORDS else len(window.data)
            if count:
                near_s = int(rows.time_ns[count - 1]) // NS_PER_S
                yield count
            if stop == MORE and window.border_reached:
                return
            if stop == FULL or (stop not in (BAD, ODD) and window.advance()):
                continue
            if window.left_bytes == 0:
                return
            if stop == ODD and self._records_follow(window):
                reading.odd_records += 1
                trusted = max(trusted, window.at)
            elif not self._recover(window, reading, near_s):
                return

    def know(self, interface: int) -> None:
        """Set the file's interface number from a pass over the capture."""
        self._interface = interface

    def _walk(self, window: Window, rows: FrameRows, near_s: int, trusted: int) -> tuple[int, int, int]:
        walked: tuple[int, int, int] = records.walk_records(
            window.records_of(self._file_index), self._header.layout, near_s, trusted, rows.records
        )
        return walked

    def _records_follow(self, window: Window) -> bool:
        """Whether the current record, although odd, ends where others begin.

        Clocks may be set during a capture: the times of the others matter only where the lengths are odd.
        """
        layout = self._header.layout
        captured, original = records.record_lengths(window.data, window.at, layout.big, layout.swapped)
        body_bytes = layout.header_bytes + int(captured)
        window.hold(body_bytes + records.CHAIN_RECORDS * PLAUSIBLE_RECORD_BYTES)
        if window.left_bytes < body_bytes or original == 0:  # zeros are a hole in the file, not a frame
            return False
        own_s = int(u32(window.data, window.at, layout.big))
        near_s = own_s if captured > original else ANY_TIME
        return bool(records.chain_at(window.span, window.at + body_bytes, layout, near_s, True) == 1)

    def _recover(self, window: Window, reading: Reading, near_s: int) -> bool:
        """Go to the next record after damage and record the damage; false where there is none."""
        offset_bytes = window.offset_bytes
        what = self._what_is_wrong(window)
        found = self._search(window, near_s)
        if found:
            reading.damage(offset_bytes, what, window.offset_bytes)
        elif not window.fault:
            reading.damage(offset_bytes, what)
        return found

    def _what_is_wrong(self, window: Window) -> str:
        layout = self._header.layout
        if window.left_bytes < layout.header_bytes:
            return f"cut inside a record header: {window.left_bytes} of {layout.header_bytes} bytes"
        captured, original = records.record_lengths(window.data, window.at, layout.big, layout.swapped)
        if captured > layout.max_bytes:
            return f"a record claims {captured} captured bytes; more than {layout.max_bytes} are not believed"
        if records.is_odd(captured, original):
            return f"a record claims {captured} captured bytes of a frame of {original}"
        held = window.left_bytes - layout.header_bytes
        if held < captured:
            return f"a record claims {captured} captured bytes, and {held} are there"
        return "a record far away in time, followed by nothing that can be a record"

    def _search(self, window: Window, near_s: int) -> bool:
        limit = window.offset_bytes + SEARCH_BYTES
        window.at = min(window.at + 1, window.end)
        return self.seek(window, limit, near_s)

    def seek(self, window: Window, limit: int, near_s: int = ANY_TIME) -> bool:
        """Go to the next place where a sequence of records begins; false if there is none up to `limit`."""
        while True:
            window.at, found = records.find_record(window.span, self._header.layout, near_s)
            if found:
                return True
            if window.offset_bytes > limit or not window.learn():
                return False

    relocatable = True  # a record says all of its frame

    def copy_frames(self, span: Span, offsets: NDArray[np.int64], row: int, out: Copies) -> tuple[int, int]:
        """Copy the frames at ``offsets[row:]``; see `fetching.Locating`."""
        first = row
        row, out.used, why = records.copy_records(
            span, self._header.layout, offsets, (row, out.used), out.target
        )
        out.rows.interface[first:row] = self._interface
        if why == BAD:
            raise ValueError(f"no frame at byte {offsets[row]}")
        return row, why
