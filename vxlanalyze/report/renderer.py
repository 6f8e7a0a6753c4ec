"""What a format is: a name, the suffixes that ask for it, and the module that writes it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from vxlanalyze.report.model import Report


@dataclass(frozen=True, slots=True)
class Judgement:
    """What ``--fail-on``, ``--baseline`` and ``--expect`` make of a report.

    Parameters
    ----------
    failing : frozenset of str
        Keys (``code@direction`` or ``code``) of the findings that count.
    differences : tuple of str
        Where the expectation does not hold, a sentence each.
    changes : tuple of str or None
        What is different from the baseline, a sentence each; None without one.
    gated : bool
        Whether anything judges at all: without it, a format counts findings as it sees fit.
    """

    failing: frozenset[str] = frozenset()
    differences: tuple[str, ...] = ()
    changes: tuple[str, ...] | None = None
    gated: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing counts against the captures."""
        return not self.failing and not self.differences


@dataclass(frozen=True, slots=True)
class Renderer:
    """One format. Its module is imported when it is first used: ``--help`` needs none of them.

    Parameters
    ----------
    name : str
        As it stands after ``--format``.
    suffixes : tuple of str
        File names that ask for it, with the dot.
    module : str
        Module of `report.formats` with ``render(report, judgement=None) -> str``.
    series : bool
        Whether it shows the report's series, what pictures are drawn from: for others none is computed.
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    series: bool = False

    def render(self, report: Report, judgement: Judgement | None = None) -> str:
        """Write the report in this format; never fails on its content."""
        module = import_module(f"vxlanalyze.report.formats.{self.module}")
        render = cast("Callable[[Report, Judgement | None], str]", module.render)
        return render(report, judgement)
