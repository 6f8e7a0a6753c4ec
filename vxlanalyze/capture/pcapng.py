"""pcapng: sections, interfaces, their statistics, and how a damaged file is read on.

Packets are read by the compiled walk of `blocks`; this module reads the blocks that say how to
understand them, which are few.

Source: draft-ietf-opsawg-pcapng.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture import block_times, block_walk, blocks
from vxlanalyze.capture.model import PLACE_FILE_SHIFT, PLACE_OFFSET_MASK, InterfaceStatistics
from vxlanalyze.capture.octets import BAD, BLOCK, MORE, NS_PER_S, ODD, u32
from vxlanalyze.capture.pcap import SEARCH_BYTES
from vxlanalyze.capture.reading import Reading
from vxlanalyze.capture.rows import Copies, Rows
from vxlanalyze.capture.window import Window
from vxlanalyze.errors import CaptureError

_SEARCHED_BLOCK_BYTES = 1 << 20  # larger blocks are not looked for behind a damage

# Options of the interface description block: section 4.2, table 3.
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET = 2, 9, 14
_DEFAULT_RESOLUTION = 6  # microseconds
# Options of the interface statistics block: section 4.6, table 6.
_ISB_START, _ISB_END, _ISB_RECEIVED, _ISB_DROPPED, _ISB_DROPPED_BY_OS = 2, 3, 4, 5, 7


@dataclass
class _State:
    """What the blocks of one pass over a file have said so far.

    `sections` has a row (offset, big, first row in `table`, interfaces) for each section; the first
    stands for what is before any section header.
    """

    sections: list[tuple[int, int, int, int]] = field(default_factory=lambda: [(0, 0, 0, 0)])
    table: NDArray[np.int64] = field(default_factory=lambda: np.zeros((16, block_times.COLUMNS), np.int64))
    drops: NDArray[np.int64] = field(default_factory=lambda: np.zeros(16, np.int64))
    described: int = 0
    notes: NDArray[np.int64] = field(default_factory=lambda: np.full(block_walk.NOTES, -1, np.int64))
    statistics: dict[tuple[int, int | None], InterfaceStatistics] = field(default_factory=dict)
    complete: bool = False

    @property
    def big(self) -> bool:
        """The byte order of the section at hand."""
        return bool(self.sections[-1][1])

    @property
    def arguments(self) -> tuple[bool, NDArray[np.int64], int, int, NDArray[np.int64], NDArray[np.int64]]:
        """The arguments of the walk that this state holds."""
        _, big, first, interfaces = self.sections[-1]
        return bool(big), self.table, first, interfaces, self.drops, self.notes

    def begin_section(self, offset_bytes: int, big: bool) -> None:
        """Forget the interfaces: each section describes its own."""
        self.sections.append((offset_bytes, int(big), self.described, 0))

    def describe(self, row: tuple[int, ...]) -> None:
        """Take in the next interface of the section at hand."""
        if self.described == len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
            self.drops = np.concatenate([self.drops, np.zeros_like(self.drops)])
        self.table[self.described] = row
        self.described += 1
        offset_bytes, big, first, interfaces = self.sections[-1]
        self.sections[-1] = (offset_bytes, big, first, interfaces + 1)

    def all_statistics(self) -> list[InterfaceStatistics]:
        """Give the statistics blocks, and the packets' own drop counts where no block counts drops."""
        counted = {entry.interface for entry in self.statistics.values() if entry.dropped is not None}
        own: dict[int, int] = {}
        for row in np.flatnonzero(self.drops[: self.described]):
            number = int(self.table[row, block_times.NUMBER])
            own[number] = own.get(number, 0) + int(self.drops[row])
        return [*self.statistics.values()] + [
            InterfaceStatistics(number, dropped=count)
            for number, count in own.items()
            if number not in counted
        ]


class PcapngReader:
    """Reads one pcapng from a window.

    Parameters
    ----------
    file_index : int
        Its number in the capture.
    path : str
        For the error.
    head : bytes
        The first bytes of the file.

    Raises
    ------
    CaptureError
        The file does not begin with a whole section header that can be read.
    """

    def __init__(self, file_index: int, path: str, head: bytes) -> None:
        self._file_index = file_index
        self._state = _State()
        data = np.frombuffer(head, np.uint8)
        if len(data) < blocks.SECTION_BYTES:
            raise CaptureError(
                path, f"cut inside the pcapng section header: {len(data)} bytes of at least 28", len(data)
            )
        order = int(blocks.section_is_big(data, 0))
        if order < 0:
            raise CaptureError(path, "the byte-order magic of the pcapng section header is wrong", 8)
        major, minor = _version(data, 0, order == 1)
        if major != 1:
            raise CaptureError(path, f"pcapng version {major}.{minor} is not supported; 1.x is", 12)

    def read(self, window: Window, rows: Rows, reading: Reading) -> Iterator[int]:
        """Fill `rows` chunk by chunk, and give how many are filled; the bytes are in the window."""
        state = _State()
        if not self._state.complete:
            self._state = state
        try:
            yield from self._read(window, rows, reading, state)
            _note_times(reading, state)
        finally:
            reading.end_file(state.all_statistics())
        state.complete = True
        self._state = state

    def _read(self, window: Window, rows: Rows, reading: Reading, state: _State) -> Iterator[int]:
        count, going_on = 0, True
        while going_on:
            count, window.at, stop = block_walk.walk_blocks(
                window.data, window.at, window.end, (self._file_index << PLACE_FILE_SHIFT) + window.base,
                *state.arguments, count, rows.start, rows.captured_length, rows.original_length,
                rows.time_ns, rows.interface, rows.place,
            )  # fmt: skip
            if stop == BLOCK:
                going_on = _take_block(window, reading, state)
            elif stop == ODD:
                _pass_over(window, reading, state, "a packet block that contradicts itself")
            else:
                # The window may move from here on: what it holds must be handed on first.
                if count:
                    yield count
                    count = 0
                if stop == BAD or (stop == MORE and not window.advance()):
                    going_on = window.left_bytes > 0 and _recover(window, reading, state)
        if count:
            yield count

    def copy_frames(
        self, window: Window, offsets: NDArray[np.int64], row: int, rows: Rows, out: Copies
    ) -> tuple[int, int]:
        """Copy the frames at ``offsets[row:]``; see `fetching.Locating`."""
        state = self._state
        sections = np.array(state.sections, np.int64)
        section_of = np.searchsorted(sections[:, 0], offsets, side="right") - 1
        row, out.used, why = block_walk.copy_blocks(
            window.data, window.at, window.end, window.base, state.table, sections, section_of,
            bool(state.notes[block_walk.TIME_ABSENT] >= 0), offsets, row, rows.start, rows.captured_length,
            rows.original_length, rows.time_ns, rows.interface, out.data, out.used,
        )  # fmt: skip
        if why == BAD:
            raise ValueError(f"no frame at byte {offsets[row]}")
        return row, why


def _version(data: NDArray[np.uint8], at: int, big: bool) -> tuple[int, int]:
    major, minor = struct.unpack(">HH" if big else "<HH", data[at + 12 : at + 16].tobytes())
    return major, minor


def _take_block(window: Window, reading: Reading, state: _State) -> bool:
    """Read a block that says how to understand the packets; false where reading must end."""
    size = int(blocks.block_bytes(window.data, window.at, window.end, state.big))
    kind = int(u32(window.data, window.at, state.big))
    if kind == blocks.SECTION_HEADER:
        big = blocks.section_is_big(window.data, window.at) == 1
        major, minor = _version(window.data, window.at, big)
        if major != 1:
            reading.damage(window.offset_bytes, f"a section of pcapng version {major}.{minor}; 1.x is read")
            return False
        state.begin_section(window.offset_bytes, big)
    else:
        body = window.data[window.at + 8 : window.at + size - blocks.TRAILER_BYTES].tobytes()
        take = _take_interface if kind == blocks.INTERFACE_DESCRIPTION else _take_statistics
        if not take(body, reading, state):
            _pass_over(window, reading, state, "a block too short for its type, or of no interface")
            return True
    window.at += size
    return True


def _options(body: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Give code and value of each option in ``body[at:]``: section 3.5."""
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == blocks.OPTION_END or at + 4 + length > len(body):
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def _take_interface(body: bytes, reading: Reading, state: _State) -> bool:
    """Read an interface description block: section 4.2."""
    if len(body) < 8:
        return False
    order = ">" if state.big else "<"
    link_type, _, snaplen_bytes = struct.unpack_from(order + "HHI", body)
    name, resolution, offset_s = None, _DEFAULT_RESOLUTION, 0
    for code, value in _options(body, 8, order):
        if code == _IF_NAME:
            name = value.rstrip(b"\0").decode(errors="replace") or None
        elif code == _IF_TSRESOL and value:
            resolution = value[0]
        elif code == _IF_TSOFFSET and len(value) == 8:
            (offset_s,) = struct.unpack(order + "q", value)
    number = reading.interface(link_type, snaplen_bytes, name)
    offset_ns = max(-block_times.LAST_NS, min(block_times.LAST_NS, offset_s * NS_PER_S))
    state.describe((number, *block_times.unit_of(resolution), offset_ns, snaplen_bytes))
    return True


def _take_statistics(body: bytes, reading: Reading, state: _State) -> bool:
    """Read an interface statistics block: section 4.6."""
    order = ">" if state.big else "<"
    _, _, first, interfaces = state.sections[-1]
    if len(body) < 12 or (described := struct.unpack_from(order + "I", body)[0]) >= interfaces:
        return False
    row = first + described
    values = {code: value for code, value in _options(body, 12, order) if len(value) == 8}

    def count(code: int) -> int | None:
        return int(struct.unpack(order + "Q", values[code])[0]) if code in values else None

    def time_ns(code: int) -> int | None:
        if code not in values:
            return None
        high, low = struct.unpack(order + "II", values[code])  # the halves in this order in both byte orders
        return int(block_times.time_of(high, low, state.table, row)[0])

    drops = [drop for drop in (count(_ISB_DROPPED), count(_ISB_DROPPED_BY_OS)) if drop is not None]
    number = int(state.table[row, block_times.NUMBER])
    entry = InterfaceStatistics(
        number, time_ns(_ISB_START), time_ns(_ISB_END), count(_ISB_RECEIVED), sum(drops) if drops else None
    )
    state.statistics[number, entry.start_ns] = entry
    return True


def _pass_over(window: Window, reading: Reading, state: _State, what: str) -> None:
    """Leave out one block that is whole but cannot be understood."""
    size = int(blocks.block_bytes(window.data, window.at, window.end, state.big))
    offset_bytes = window.offset_bytes
    window.at += size
    reading.damage(offset_bytes, what, window.offset_bytes)


def _recover(window: Window, reading: Reading, state: _State) -> bool:
    """Go to the next block behind a damage and note it; false where there is none."""
    offset_bytes = window.offset_bytes
    what = _what_is_wrong(window, state)
    limit = offset_bytes + SEARCH_BYTES
    window.at += 1
    while True:
        window.at, found = blocks.find_block(
            window.data, window.at, window.end, window.at_end, _SEARCHED_BLOCK_BYTES, state.big
        )
        if found:
            reading.damage(offset_bytes, what, window.offset_bytes)
            return True
        if window.offset_bytes > limit or not window.advance():
            if not window.fault:
                reading.damage(offset_bytes, what)
            return False


def _what_is_wrong(window: Window, state: _State) -> str:
    if window.left_bytes < blocks.SMALLEST_BYTES:
        return f"cut inside a block header: {window.left_bytes} bytes"
    total = int(u32(window.data, window.at + 4, state.big))
    if total < blocks.SMALLEST_BYTES or total > blocks.LARGEST_BYTES:
        return f"a block claims {total} bytes; 12 to {blocks.LARGEST_BYTES} are believed"
    if total > window.left_bytes:
        return f"a block claims {total} bytes, and {window.left_bytes} are there"
    return "the two lengths of a block differ, or a section header has no byte order"


def _note_times(reading: Reading, state: _State) -> None:
    """Say once a file where times could not be given as they are."""
    for note, what in (
        (block_walk.TIME_CLAMPED, "a time beyond the year 2262, of which the last ns is given"),
        (block_walk.TIME_ABSENT, "simple packet blocks: they have no time, and 1970 is given"),
    ):
        if state.notes[note] >= 0:
            offset_bytes = int(state.notes[note]) & PLACE_OFFSET_MASK
            reading.damage(offset_bytes, what, offset_bytes)
