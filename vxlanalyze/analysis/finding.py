"""What a diagnostic is: one question of a Comparison, answered found, clear, or not assessed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison


class Severity(IntEnum):
    """How bad; ordered, so that the worst is the largest."""

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
    """One thing that is wrong or worth a note, with its proof.

    Parameters
    ----------
    summary : str
        One sentence with numbers, understood without the rest.
    direction : str or None
        ``X>Y`` where it has one.
    frames : Mapping[str, NDArray[np.int64]]
        Frame numbers that show it, by capture name; at most 100 each, the first ones.
    frame_count : int
        How many frames show it in all.
    display_filter : str
        Wireshark display filter that shows them.
    because : str or None
        The finding that explains this one: ``code@direction`` or ``code``. Set by the causal
        ordering, not by the diagnostic itself.
    explained_by : tuple of str or None
        Codes or layers that may explain it, where it knows better than its diagnostic does in general; with
        ``code@direction``, from another direction too.
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
        """What names it among others: ``code@direction``, or ``code``."""
        return self.code if self.direction is None else f"{self.code}@{self.direction}"


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """A question that could not be decided; never shown as healthy."""

    code: str
    reason: str
    direction: str | None = None


DiagnosticResult = Finding | NotAssessed


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One question. `check` gives findings and what could not be assessed; nothing means clear.

    Parameters
    ----------
    code : str
        Stable name.
    check : callable
        ``check(comparison) -> list[DiagnosticResult]``. It raises only where it has a bug.
    explained_by : tuple of str
        Codes, or layers for all of their codes, that, found in the same direction (or without one), make
        this a consequence.
    slow : bool
        Whether it takes much longer than others with many packets, so that it is started first.
    round_trip : bool
        Whether they explain it from any direction: a question is also unanswered when its answer is lost.
    """

    code: str
    check: Callable[[Comparison], list[DiagnosticResult]]
    explained_by: tuple[str, ...] = ()
    round_trip: bool = False
    slow: bool = False

    @property
    def layer(self) -> str:
        """The room of its module among the diagnostics: path, size, integrity, receiver, ..."""
        return self.check.__module__.split(".")[-2]
