"""The types of a diagnostic: a check of a Comparison that ends as found, clear, or not assessed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison


class Severity(IntEnum):
    """How severe; ordered, the worst being the largest."""

    INFO = 0  # worth a note, or an artefact that must not be mistaken for a fault
    WARNING = 1  # traffic suffers, or will
    CRITICAL = 2  # traffic does not get through


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured value with its unit ("packets", "bytes", "ns", "ratio", "ppm", "" for text)."""

    value: int | float | str | None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A lookalike, and why it is not that."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or note, with its evidence.

    Parameters
    ----------
    summary : str
        One sentence with numbers that can be understood on its own.
    direction : str or None
        ``X>Y``, where it has one.
    frames : Mapping[str, NDArray[np.int64]]
        Frame numbers that show it, by capture name; the first 100 at most for each.
    frame_count : int
        Total number of frames that show it.
    display_filter : str
        Wireshark display filter that shows them.
    because : str or None
        The finding that explains this one: ``code@direction`` or ``code``. Set by the causal
        ordering, not by the diagnostic itself.
    explained_by : tuple of str or None
        Codes or layers that may explain it, where it is more specific than its diagnostic; ``code@direction``
        also matches another direction.
    """

    code: str
    severity: Severity
    summary: str
    explanation: str
    remedy: str
    direction: str | None = None
    evidence: Mapping[str, Quantity] = field(default_factory=dict)
    ruled_out: tuple[RuledOut, ...] = ()
    frames: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    frame_count: int = 0
    display_filter: str = ""
    because: str | None = None
    explained_by: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """Its identifier: ``code@direction``, or ``code``."""
        return self.code if self.direction is None else f"{self.code}@{self.direction}"


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """A check that could not be decided; never shown as healthy."""

    code: str
    reason: str
    direction: str | None = None


DiagnosticResult = Finding | NotAssessed


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One check. `check` gives findings and what could not be assessed; an empty result means clear.

    Parameters
    ----------
    code : str
        Stable name.
    check : callable
        ``check(comparison) -> list[DiagnosticResult]``. It raises only if it has a bug.
    explained_by : tuple of str
        Codes, or layers for all of their codes, that make this a consequence when found in the same direction
        (or without one).
    slow : bool
        Whether it takes much longer than others on many packets and should start first.
    round_trip : bool
        Whether they explain it from any direction: a request is also unanswered when its response is lost.
    """

    code: str
    check: Callable[[Comparison], list[DiagnosticResult]]
    explained_by: tuple[str, ...] = ()
    round_trip: bool = False
    slow: bool = False

    @property
    def layer(self) -> str:
        """The package of its module among the diagnostics: path, size, integrity, receiver, ..."""
        return self.check.__module__.split(".")[-2]
