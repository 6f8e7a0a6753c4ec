"""Definition of a format: a name, its file suffixes, and the module that writes it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from vxlanalyze.report.model import Report


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of ``--fail-on``, ``--baseline`` and ``--expect`` for a report.

    Parameters
    ----------
    failing : frozenset of str
        Keys (``code@direction`` or ``code``) of the findings that count.
    differences : tuple of str
        Failed expectations, one sentence each.
    changes : tuple of str or None
        Differences from the baseline, one sentence each; None without one.
    gated : bool
        Whether the report is judged at all; if not, each format decides which findings count.
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
        The value of ``--format``.
    suffixes : tuple of str
        File name suffixes, with the dot.
    module : str
        Module of `report.formats` with ``render(report, judgement=None) -> str``.
    series : bool
        Whether it shows the report's series, the data of plots; for others none is computed.
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
