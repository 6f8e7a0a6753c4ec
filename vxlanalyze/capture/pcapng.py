"""pcapng: sections, interfaces, their statistics, and recovery after damage.

Packets are read by the compiled walk of `blocks`; this module reads the few blocks that describe how to
interpret them.

Source: draft-ietf-opsawg-pcapng.
"""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture import block_walk, blocks
from vxlanalyze.capture.descriptions import State, take_interface, take_names, take_statistics
from vxlanalyze.capture.model import PLACE_OFFSET_MASK
from vxlanalyze.capture.octets import BAD, BLOCK, MORE, ODD, Span, u32
from vxlanalyze.capture.pcap import SEARCH_BYTES
from vxlanalyze.capture.reading import Reading, TooMuchDamageError
from vxlanalyze.capture.rows import Copies, FrameRows
from vxlanalyze.capture.window import Window
from vxlanalyze.errors import CaptureError

_TAKE = {
    blocks.INTERFACE_DESCRIPTION: take_interface,
    blocks.INTERFACE_STATISTICS: take_statistics,
    blocks.NAME_RESOLUTION: take_names,
}
_SEARCHED_BLOCK_BYTES = 1 << 20  # larger blocks are not searched for after damage
_PACKETS = frozenset((blocks.ENHANCED_PACKET, blocks.SIMPLE_PACKET, blocks.PACKET))
_HEADS = {False: struct.Struct("<II"), True: struct.Struct(">II")}
_ORDERS = {
    blocks.LITTLE_ENDIAN_MAGIC.to_bytes(4, "little"): False,
    blocks.LITTLE_ENDIAN_MAGIC.to_bytes(4, "big"): True,
}


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
        The file does not begin with a complete, readable section header.
    """

    def __init__(self, file_index: int, path: str, head: bytes) -> None:
        self._file_index = file_index
        self._state = State()
        data = np.frombuffer(head, np.uint8)
        if len(data) < blocks.SECTION_BYTES:
            raise CaptureError(
                path, f"cut inside the pcapng section header: {len(data)} bytes of at least 28", len(data)
            )
        order = int(blocks.section_is_big(data, 0))
        if order < 0:
            raise CaptureError(path, "the byte-order magic of the pcapng section header is wrong", 8)
        self._big = order == 1
        major, minor = _version(data, 0, self._big)
        if major != 1:
            raise CaptureError(path, f"pcapng version {major}.{minor} is not supported; 1.x is", 12)

    def read(self, window: Window, rows: FrameRows, reading: Reading) -> Iterator[int]:
        """Fill `rows` chunk by chunk, and give the number filled; the bytes are in the window."""
        state = State()
        if not self._state.complete:
            self._state = state
        try:
            yield from self.read_blocks(window, rows, reading, state)
        except BaseException:
            reading.end_file(state.all_statistics())
            raise
        self.conclude(state, reading)

    def conclude(self, state: State, reading: Reading) -> None:
        """Take over what a pass over the whole file has shown about its blocks."""
        try:
            _note_times(reading, state)
        finally:
            reading.end_file(state.all_statistics())
        state.complete = True
        self._state = state

    def head(self, window: Window, reading: Reading) -> State:
        """Read the file's metadata blocks before the first packet."""
        state = State()
        next(self.read_blocks(window, FrameRows(1), reading, state), None)
        return state.copied()

    def seek(self, window: Window, limit: int) -> bool:
        """Go to the next place where a sequence of blocks begins; false if there is none up to `limit`."""
        return _seek(window, limit, self._big)

    def read_blocks(self, window: Window, rows: FrameRows, reading: Reading, state: State) -> Iterator[int]:
        """Like `read`, from the current window and `state`, but without drawing conclusions."""
        count, going_on = 0, True
        while going_on:
            count, window.at, stop = block_walk.walk_blocks(
                window.records_of(self._file_index),
                state.section,
                block_walk.Counts(state.drops, state.notes),
                count,
                rows.packets,
            )
            if stop in (BLOCK, ODD):
                going_on = _without_packets(window, reading, state, stop)
            else:
                # The window may move from here on: its content must be passed on first.
                if count:
                    yield count
                    count = 0
                if stop == MORE and window.border_reached:
                    return
                if stop == BAD or (stop == MORE and not window.advance()):
                    going_on = window.left_bytes > 0 and _recover(window, reading, state)
        if count:
            yield count

    @property
    def relocatable(self) -> bool:
        """Whether where a block lies does not matter; see `fetching.Locating`."""
        state = self._state
        return len(state.section_rows()) == 1 and bool(state.notes[block_walk.TIME_ABSENT] < 0)

    def copy_frames(self, span: Span, offsets: NDArray[np.int64], row: int, out: Copies) -> tuple[int, int]:
        """Copy the frames at ``offsets[row:]``; see `fetching.Locating`."""
        state = self._state
        bounds = state.section_rows()
        current = int(np.searchsorted(bounds[:, 0], offsets[row], side="right")) - 1
        with_simple = bool(state.notes[block_walk.TIME_ABSENT] >= 0)
        sections = block_walk.Sections(state.table, bounds, current, with_simple)
        row, out.used, why = block_walk.copy_blocks(span, sections, offsets, (row, out.used), out.target)
        if why == BAD:
            raise ValueError(f"no frame at byte {offsets[row]}")
        return row, why


def _version(data: NDArray[np.uint8], at: int, big: bool) -> tuple[int, int]:
    major, minor = struct.unpack(">HH" if big else "<HH", data[at + 12 : at + 16].tobytes())
    return major, minor


def _without_packets(window: Window, reading: Reading, state: State, stop: int) -> bool:
    """Read or skip the current block; false where reading must end."""
    try:
        if stop == BLOCK:
            return _take_blocks(window, reading, state)
        end = block_walk.end_of_odd(window.span, state.section)
        _pass_over(window, reading, int(end), "a packet block that contradicts itself")
    except TooMuchDamageError:  # the packets before it must still be passed on
        return False
    return True


def _take_blocks(window: Window, reading: Reading, state: State) -> bool:
    """Read all blocks up to the next packet; false where reading must end.

    Most captures have a handful. In a file with a million, each is read in Python.
    """
    going_on = True
    while going_on:
        kind, size = _block_at_hand(window, state.big)
        if not size:
            return True
        going_on = _take_block(window, reading, state, kind, size)
    return False


def _block_at_hand(window: Window, big: bool) -> tuple[int, int]:
    """Give type and padded size of a block without a packet; 0 where there is no complete one here.

    Like `blocks.block_bytes`, which is for compiled functions: calling one takes longer than this.
    """
    at, room = window.at, window.limit - window.at
    if room < blocks.SMALLEST_BYTES:
        return 0, 0
    kind, total = _HEADS[big].unpack_from(window.data.data, at)
    if kind == blocks.SECTION_HEADER:
        order = window.data[at + 8 : at + 12].tobytes()
        if order not in _ORDERS:
            return 0, 0
        kind, total = _HEADS[_ORDERS[order]].unpack_from(window.data.data, at)
        big = _ORDERS[order]
    least = blocks.SECTION_BYTES if kind == blocks.SECTION_HEADER else blocks.SMALLEST_BYTES
    padded = (total + 3) & ~3
    if kind in _PACKETS or total < least or total > blocks.LARGEST_BYTES or padded > room:
        return 0, 0
    trailer = window.data[at + padded - blocks.TRAILER_BYTES : at + padded].tobytes()
    return kind, padded if int.from_bytes(trailer, "big" if big else "little") == total else 0


def _take_block(window: Window, reading: Reading, state: State, kind: int, size: int) -> bool:
    """Read a metadata block, skip others; false to end reading."""
    if kind == blocks.SECTION_HEADER:
        big = _ORDERS[window.data[window.at + 8 : window.at + 12].tobytes()]
        major, minor = _version(window.data, window.at, big)
        if major != 1:
            reading.damage(window.offset_bytes, f"a section of pcapng version {major}.{minor}; 1.x is read")
            return False
        state.begin_section(window.offset_bytes, big)
    elif kind in _TAKE:
        body = window.data[window.at + 8 : window.at + size - blocks.TRAILER_BYTES].tobytes()
        if not _TAKE[kind](body, reading, state):
            short = "a block too short for its type, or of no interface"
            _pass_over(window, reading, window.at + size, short)
            return True
    window.at += size
    return True


def _pass_over(window: Window, reading: Reading, end: int, what: str) -> None:
    """Skip complete but unintelligible data, up to an index of the window."""
    offset_bytes = window.offset_bytes
    window.at = end
    reading.damage(offset_bytes, what, window.offset_bytes)


def _recover(window: Window, reading: Reading, state: State) -> bool:
    """Go to the next block after damage and record the damage; false where there is none."""
    offset_bytes = window.offset_bytes
    what = _what_is_wrong(window, state)
    window.at += 1
    found = _seek(window, offset_bytes + SEARCH_BYTES, state.big)
    if found:
        reading.damage(offset_bytes, what, window.offset_bytes)
    elif not window.fault:
        reading.damage(offset_bytes, what)
    return found


def _seek(window: Window, limit: int, big: bool) -> bool:
    """Go to the next place where a sequence of blocks begins; false if there is none up to `limit`."""
    while True:
        window.at, found = blocks.find_block(window.span, _SEARCHED_BLOCK_BYTES, big)
        if found:
            return True
        if window.offset_bytes > limit or not window.learn():
            return False


def _what_is_wrong(window: Window, state: State) -> str:
    if window.left_bytes < blocks.SMALLEST_BYTES:
        return f"cut inside a block header: {window.left_bytes} bytes"
    total = int(u32(window.data, window.at + 4, state.big))
    if total < blocks.SMALLEST_BYTES or total > blocks.LARGEST_BYTES:
        return f"a block claims {total} bytes; 12 to {blocks.LARGEST_BYTES} are believed"
    if total > window.left_bytes:
        return f"a block claims {total} bytes, and {window.left_bytes} are there"
    return "the two lengths of a block differ, or a section header has no byte order"


def _note_times(reading: Reading, state: State) -> None:
    """Record once per file where times could not be represented exactly."""
    for note, what in (
        (block_walk.TIME_CLAMPED, "a time beyond the year 2262, of which the last ns is given"),
        (block_walk.TIME_ABSENT, "simple packet blocks: they have no time, and 1970 is given"),
    ):
        if state.notes[note] >= 0:
            offset_bytes = int(state.notes[note]) & PLACE_OFFSET_MASK
            reading.damage(offset_bytes, what, offset_bytes)
