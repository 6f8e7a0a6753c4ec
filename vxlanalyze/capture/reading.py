"""Metadata found in one pass over a capture, in addition to its frames."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Damage, Interface, InterfaceStatistics

# With more damaged places than this, whatever is found between them is accidental.
MAX_DAMAGES = 1000
# Interface numbers are uint16. Real captures describe a few hundred; beyond this number, those of one link
# type share a number, so that any number of them can be read.
MAX_NAMED_INTERFACES = 1 << 15
MAX_INTERFACES = 1 << 16
MAX_NAMES, LONGEST_NAME = 1 << 16, 255  # the longest DNS name (RFC 1035 section 2.3.4)


class TooMuchDamageError(Exception):
    """Internal to this package: a file has so many damaged places that reading it ends."""


@dataclass
class Reading:
    """The interfaces, statistics and damages of a capture, as far as it has been read."""

    interfaces: list[Interface] = field(default_factory=list)
    statistics: list[InterfaceStatistics] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # of addresses, from the file
    odd_records: int = 0  # in the current file: those that contradict themselves but were accepted
    _numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    _occurrences: dict[tuple[object, ...], int] = field(default_factory=dict)
    path: str = ""  # of the current file
    damages_of_file: int = 0

    def begin_file(self, path: str) -> None:
        """Count interfaces and damages from zero: a rotated set numbers equal interfaces once."""
        self.path = path
        self._occurrences.clear()
        self.damages_of_file = 0
        self.odd_records = 0

    def interface(
        self, link_type: int, snaplen_bytes: int, name: str | None, description: str | None = None
    ) -> int:
        """Give the number of an interface that the current file describes.

        Raises
        ------
        TooMuchDamageError
            No number is left: no real capture has this many link types.
        """
        kind = (link_type, snaplen_bytes, name, description)
        occurrence = self._occurrences[kind] = self._occurrences.get(kind, -1) + 1
        return self._number((*kind, occurrence), link_type, snaplen_bytes, (name, description))

    def _number(
        self,
        key: tuple[object, ...],
        link_type: int,
        snaplen_bytes: int,
        names: tuple[str | None, str | None],
    ) -> int:
        if key in self._numbers:
            return self._numbers[key]
        if len(self.interfaces) >= MAX_NAMED_INTERFACES:
            key, snaplen_bytes, names = (link_type,), 0, (None, None)
            if key in self._numbers:
                return self._numbers[key]
        number = len(self.interfaces)
        if number >= MAX_INTERFACES:
            self.damages.append(Damage(self.path, 0, f"more than {MAX_INTERFACES} kinds of interfaces"))
            raise TooMuchDamageError
        self.interfaces.append(Interface(number, link_type, snaplen_bytes, *names))
        self._numbers[key] = number
        return number

    def name(self, address: str, name: str) -> None:
        """Record the first name of an address; more than ``MAX_NAMES`` are left out."""
        if name and len(self.names) < MAX_NAMES:
            self.names.setdefault(address, name[:LONGEST_NAME])

    def damage(self, offset_bytes: int, what: str, resumed_bytes: int | None = None) -> None:
        """Record damage; if it immediately follows equal damage, extend that.

        Raises
        ------
        TooMuchDamageError
            This file has more than ``MAX_DAMAGES``.
        """
        self.damages_of_file += 1
        last = self.damages[-1] if self.damages else None
        if last and (last.path, last.what, last.resumed_bytes) == (self.path, what, offset_bytes):
            self.damages[-1] = replace(last, resumed_bytes=resumed_bytes)
            return
        if self.damages_of_file > MAX_DAMAGES:
            what = f"more than {MAX_DAMAGES} damaged places: the rest of the file was not read"
            self.damages.append(Damage(self.path, offset_bytes, what))
            raise TooMuchDamageError
        self.damages.append(Damage(self.path, offset_bytes, what, resumed_bytes))

    def take_over(self, other: "Reading") -> NDArray[np.uint16]:
        """Take over the metadata of another stretch of the current file, except its statistics.

        Returns
        -------
        NDArray[np.uint16]
            The number here of each interface of the other, shape ``(k,)``.
        """
        numbers = np.zeros(len(other.interfaces), np.uint16)
        for key, number in other._numbers.items():
            entry = other.interfaces[number]
            numbers[number] = self._number(
                key, entry.link_type, entry.snaplen_bytes, (entry.name, entry.description)
            )
        self.damages += other.damages
        for address, name in other.names.items():
            self.name(address, name)
        self.damages_of_file += other.damages_of_file
        self.odd_records += other.odd_records
        return numbers

    def end_file(self, statistics: list[InterfaceStatistics]) -> None:
        """Take over the statistics of a file.

        Counters run from the start of a capture: of several with the same interface and start, as in the
        files of a rotated set, the last one counts.
        """
        held = {(entry.interface, entry.start_ns): entry for entry in self.statistics}
        held.update({(entry.interface, entry.start_ns): entry for entry in statistics})
        self.statistics[:] = held.values()
