"""The part of a file that belongs to one observation point: some interfaces, or a mirror."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Interface, InterfaceStatistics


class View(Protocol):
    """Reduces the frames of a file to those of one observation point."""

    def frames(self, frames: Frames, interfaces: Sequence[Interface]) -> Frames:
        """Give the frames of the point, in order, with their `number` in the file."""
        ...

    def interfaces(self, interfaces: Sequence[Interface]) -> list[Interface]:
        """Describe the file's interfaces as needed to read the point's frames."""
        ...

    def statistics(self, statistics: Sequence[InterfaceStatistics]) -> list[InterfaceStatistics]:
        """Give the point's counters."""
        ...


@dataclass(frozen=True, slots=True)
class InterfaceView:
    """The frames of some interfaces of a pcapng.

    Parameters
    ----------
    numbers : frozenset of int
        Their numbers in the file, from 0.
    names : frozenset of str
        Their names or descriptions, if chosen by these: interfaces of later sections may have the same.
    """

    numbers: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()

    def frames(self, frames: Frames, interfaces: Sequence[Interface]) -> Frames:
        """Give the frames of these interfaces."""
        chosen = np.array([self._has(interface) for interface in interfaces], np.bool_)
        return only(frames, chosen[frames.interface])

    def interfaces(self, interfaces: Sequence[Interface]) -> list[Interface]:
        """Unchanged: frames refer to them by number."""
        return list(interfaces)

    def statistics(self, statistics: Sequence[InterfaceStatistics]) -> list[InterfaceStatistics]:
        """Give those of these interfaces, by number."""
        return [entry for entry in statistics if not self.numbers or entry.interface in self.numbers]

    def _has(self, interface: Interface) -> bool:
        named = interface.name in self.names or interface.description in self.names
        return named or interface.index in self.numbers


def only(frames: Frames, chosen: NDArray[np.bool_]) -> Frames:
    """Keep some frames of a chunk; `chosen` has shape ``(n,)``."""
    return replace(
        frames,
        start=frames.start[chosen],
        captured_length=frames.captured_length[chosen],
        original_length=frames.original_length[chosen],
        time_ns=frames.time_ns[chosen],
        interface=frames.interface[chosen],
        place=frames.place[chosen],
        number=frames.numbers[chosen],
    )
