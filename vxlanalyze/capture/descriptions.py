"""Metadata blocks of a pcapng: its sections and interfaces.

Source: draft-ietf-opsawg-pcapng sections 3.5, 4.1, 4.2, 4.5 and 4.6.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture import block_times, block_walk, blocks
from vxlanalyze.capture.blocks import Section
from vxlanalyze.capture.model import InterfaceStatistics
from vxlanalyze.capture.octets import NS_PER_S
from vxlanalyze.capture.reading import Reading

# Options of the interface description block: section 4.2, table 3.
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL, _IF_TSOFFSET = 2, 3, 9, 14
# Records of the name resolution block: section 4.5, table 5.
_NAMES_END, _ADDRESS_BYTES = 0, {1: 4, 2: 16}
_DEFAULT_RESOLUTION = 6  # microseconds
# Options of the interface statistics block: section 4.6, table 6.
_ISB_START, _ISB_END, _ISB_RECEIVED, _ISB_DROPPED, _ISB_DROPPED_BY_OS = 2, 3, 4, 5, 7


@dataclass
class State:
    """Information from the blocks seen so far in one pass over a file.

    `sections` has a row (offset, big, first row in `table`, interfaces) for each section; the first
    represents everything before any section header.
    """

    sections: list[tuple[int, int, int, int]] = field(default_factory=lambda: [(0, 0, 0, 0)])
    table: NDArray[np.int64] = field(default_factory=lambda: np.zeros((16, block_times.COLUMNS), np.int64))
    drops: NDArray[np.int64] = field(default_factory=lambda: np.zeros(16, np.int64))
    described: int = 0
    notes: NDArray[np.int64] = field(default_factory=lambda: np.full(block_walk.NOTES, -1, np.int64))
    statistics: dict[tuple[int, int | None], InterfaceStatistics] = field(default_factory=dict)
    complete: bool = False
    _section_rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    _section_rows_of: tuple[int, int] = (0, 0)

    @property
    def big(self) -> bool:
        """The byte order of the current section."""
        return bool(self.sections[-1][1])

    @property
    def section(self) -> Section:
        """The current section."""
        _, big, first, interfaces = self.sections[-1]
        return Section(bool(big), self.table, first, interfaces)

    def begin_section(self, offset_bytes: int, big: bool) -> None:
        """Discard the interfaces: each section describes its own."""
        self.sections.append((offset_bytes, int(big), self.described, 0))

    def section_rows(self) -> NDArray[np.int64]:
        """Give `sections` as an array, shape ``(k, 4)``, cached until a new one is added."""
        known = (len(self.sections), self.described)
        if self._section_rows_of != known:
            self._section_rows, self._section_rows_of = np.array(self.sections, np.int64), known
        return self._section_rows

    def describe(self, row: tuple[int, ...]) -> None:
        """Add the next interface of the current section."""
        if self.described == len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
            self.drops = np.concatenate([self.drops, np.zeros_like(self.drops)])
        self.table[self.described] = row
        self.described += 1
        offset_bytes, big, first, interfaces = self.sections[-1]
        self.sections[-1] = (offset_bytes, big, first, interfaces + 1)

    def copied(self) -> "State":
        """Give a state with the same sections and interfaces, but no counts."""
        return State(list(self.sections), self.table.copy(), np.zeros_like(self.drops), self.described)

    def joined(self, earlier: Sequence["State"]) -> "State":
        """Give this state with the counts and notes of the previous stretches, which are in order."""
        whole = self.copied()
        for part in (*earlier, self):
            whole.drops[: part.described] += part.drops[: part.described]
            whole.notes = np.where(whole.notes < 0, part.notes, whole.notes)
            whole.statistics.update(part.statistics)
        return whole

    def renumbered(self, numbers: NDArray[np.uint16]) -> "State":
        """Give the same with interface `i` numbered ``numbers[i]``."""
        known = slice(0, self.described)
        self.table[known, block_times.NUMBER] = numbers[self.table[known, block_times.NUMBER]]
        statistics = [
            replace(entry, interface=int(numbers[entry.interface])) for entry in self.statistics.values()
        ]
        return replace(self, statistics={(entry.interface, entry.start_ns): entry for entry in statistics})

    def all_statistics(self) -> list[InterfaceStatistics]:
        """Give the statistics blocks, and the packets' own drop counts where no block has any."""
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


def _options(body: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Give code and value of each option in ``body[at:]``: section 3.5."""
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == blocks.OPTION_END or at + 4 + length > len(body):
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def take_interface(body: bytes, reading: Reading, state: State) -> bool:
    """Read an interface description block: section 4.2."""
    if len(body) < 8:
        return False
    order = ">" if state.big else "<"
    link_type, _, snaplen_bytes = struct.unpack_from(order + "HHI", body)
    name, description, resolution, offset_s = None, None, _DEFAULT_RESOLUTION, 0
    for code, value in _options(body, 8, order):
        if code == _IF_NAME:
            name = value.rstrip(b"\0").decode(errors="replace") or None
        elif code == _IF_DESCRIPTION:
            description = value.rstrip(b"\0").decode(errors="replace") or None
        elif code == _IF_TSRESOL and value:
            resolution = value[0]
        elif code == _IF_TSOFFSET and len(value) == 8:
            (offset_s,) = struct.unpack(order + "q", value)
    number = reading.interface(link_type, snaplen_bytes, name or description, description)
    offset_ns = max(-block_times.LAST_NS, min(block_times.LAST_NS, offset_s * NS_PER_S))
    state.describe((number, *block_times.unit_of(resolution), offset_ns, snaplen_bytes))
    return True


def take_names(body: bytes, reading: Reading, state: State) -> bool:
    """Read a name resolution block: section 4.5. The first name of an address counts."""
    order, at = ">" if state.big else "<", 0
    while at + 4 <= len(body):
        kind, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        size = _ADDRESS_BYTES.get(kind)
        if kind == _NAMES_END or len(value) < length:
            break
        if size is not None and length > size:
            name = value[size:].split(b"\0")[0].decode(errors="replace")
            reading.name(str(ip_address(value[:size])), name)
        at += 4 + (length + 3) // 4 * 4
    return True


def take_statistics(body: bytes, reading: Reading, state: State) -> bool:
    """Read an interface statistics block: section 4.6."""
    order = ">" if state.big else "<"
    _, _, first, interfaces = state.sections[-1]
    if len(body) < 12 or (described := struct.unpack_from(order + "I", body)[0]) >= interfaces:
        return False
    row = first + described
    interface = tuple(state.table[row].tolist())
    values = {code: value for code, value in _options(body, 12, order) if len(value) == 8}

    def count(code: int) -> int | None:
        return int(struct.unpack(order + "Q", values[code])[0]) if code in values else None

    def time_ns(code: int) -> int | None:
        if code not in values:
            return None
        high, low = struct.unpack(order + "II", values[code])  # the halves in this order in both byte orders
        return block_times.time_in_python(high << 32 | low, interface)

    drops = [drop for drop in (count(_ISB_DROPPED), count(_ISB_DROPPED_BY_OS)) if drop is not None]
    number = interface[block_times.NUMBER]
    entry = InterfaceStatistics(
        number, time_ns(_ISB_START), time_ns(_ISB_END), count(_ISB_RECEIVED), sum(drops) if drops else None
    )
    state.statistics[number, entry.start_ns] = entry
    return True
