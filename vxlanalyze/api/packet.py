"""One row of the table `packets`, for closer inspection."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vxlanalyze.export.packet import SeenPacket
from vxlanalyze.wire.dissect import dissect


@dataclass(frozen=True)
class Packet:
    """A wire packet on one hop.

    Parameters
    ----------
    direction : str
        ``X>Y``.
    outcome, reason : str
        As in the table; `reason` is empty if the outcome is unqualified.
    frames : dict of str to int
        Frame number, as Wireshark counts, by point that saw it.
    """

    direction: str
    outcome: str
    reason: str
    frames: dict[str, int]
    _octets: dict[str, tuple[int, bytes]] = field(repr=False)
    _ports: Sequence[int] = field(repr=False)

    @classmethod
    def of(cls, seen: SeenPacket, ports: Sequence[int]) -> "Packet":
        """Make it of what was seen; `ports` are further tunnel ports."""
        return cls(*seen, ports)

    def dissect(self, point: str | None = None) -> list[Any]:
        """Dissect it with dpkt, from the link inwards; a super-packet is shown whole.

        Parameters
        ----------
        point : str, optional
            Point where it was seen; by default the first one.

        Raises
        ------
        KeyError
            That point did not see it.
        """
        name = next(iter(self.frames)) if point is None else point
        if name not in self.frames:
            raise KeyError(f"{name} did not see it; it was seen at {' and '.join(self.frames)}")
        link_type, octets = self._octets[name]
        return dissect(octets, link_type, ports=self._ports)
