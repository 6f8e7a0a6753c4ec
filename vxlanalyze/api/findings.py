"""Findings as objects, looked up by code and shown as text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from vxlanalyze.report.model import FindingRecord, key_of
from vxlanalyze.text.escaping import plain
from vxlanalyze.text.nearest import nearest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or note, with its evidence.

    Parameters
    ----------
    severity : str
        ``critical``, ``warning`` or ``info``.
    direction : str or None
        ``X>Y``, where it has one.
    evidence : Mapping
        Measured values by name; `units` has their units.
    ruled_out : Mapping
        Why a lookalike is ruled out, by the lookalike's code.
    because : str or None
        Key of the finding that explains this one.
    frames : Mapping
        Frame numbers that show it, by capture; at most 100 each, of `frame_count` in total.
    """

    code: str
    severity: Literal["critical", "warning", "info"]
    direction: str | None
    summary: str
    explanation: str
    remedy: str
    evidence: Mapping[str, int | float | str | None]
    units: Mapping[str, str]
    ruled_out: Mapping[str, str]
    because: str | None
    frames: Mapping[str, Sequence[int]]
    frame_count: int
    display_filter: str
    record: FindingRecord

    @classmethod
    def of(cls, record: FindingRecord) -> "Finding":
        """Create one from a report's record."""
        return cls(
            code=record["code"],
            severity=cast('Literal["critical", "warning", "info"]', record["severity"]),
            direction=record["direction"],
            summary=record["summary"],
            explanation=record["explanation"],
            remedy=record["remedy"],
            evidence={name: quantity["value"] for name, quantity in record["evidence"].items()},
            units={name: quantity["unit"] for name, quantity in record["evidence"].items()},
            ruled_out={entry["code"]: entry["why"] for entry in record["ruled_out"]},
            because=record["because"],
            frames=record["frames"],
            frame_count=record["frame_count"],
            display_filter=record["display_filter"],
            record=record,
        )

    @property
    def key(self) -> str:
        """Its identifier: ``code@direction``, or ``code``."""
        return key_of(self.record)

    def _repr_html_(self) -> str:
        """Its summary, evidence and remedy, for Jupyter."""
        from vxlanalyze.report import notebook

        return notebook.finding_html(self.record)

    def __repr__(self) -> str:
        return plain(f"<{self.severity} {self.key}: {self.summary}>")


_COLUMNS = ("code", "severity", "direction", "summary", "because", "frame_count", "display_filter", "remedy")


def _row(finding: Finding) -> dict[str, Any]:
    evidence = {_column(name, finding.units[name]): value for name, value in finding.evidence.items()}
    return {**{name: getattr(finding, name) for name in _COLUMNS}, **evidence}


def _column(name: str, unit: str) -> str:
    """Name the column of a figure; words have no unit."""
    if unit:
        return f"{name} [{unit}]"
    return f"evidence_{name}" if name in _COLUMNS else name


class Findings(Sequence[Finding]):
    """Findings in causal order: the first is the answer to "what is wrong?".

    ``findings[0]`` is the first; ``findings["mtu-blackhole"]`` the first of that code, and
    ``findings["mtu-blackhole@node1>node2"]`` that of a direction; ``"mtu-blackhole" in findings`` says
    whether there is one.
    """

    def __init__(self, records: Sequence[FindingRecord]) -> None:
        self._findings = tuple(Finding.of(record) for record in records)

    @overload
    def __getitem__(self, which: int | str) -> Finding: ...
    @overload
    def __getitem__(self, which: slice) -> "tuple[Finding, ...]": ...
    def __getitem__(self, which: int | str | slice) -> "Finding | tuple[Finding, ...]":
        if not isinstance(which, str):
            return self._findings[which]
        found = self.get(which)
        if found is None:
            raise KeyError(f"no finding {which}{nearest(which, dict.fromkeys(self._names()))}")
        return found

    def get(self, name: str) -> Finding | None:
        """Give the first finding with a code, or ``code@direction``; None if there is none."""
        return next((finding for finding in self._findings if name in (finding.code, finding.key)), None)

    def to_frame(self) -> "pd.DataFrame":
        """Give a row for each finding; evidence as columns ``NAME [UNIT]``, or ``NAME`` without a unit."""
        import pandas as pd

        return pd.DataFrame([_row(finding) for finding in self._findings], columns=None if self else _COLUMNS)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes that were found, each once, in order."""
        return tuple(dict.fromkeys(finding.code for finding in self._findings))

    def __contains__(self, which: object) -> bool:
        return which in self._findings or (isinstance(which, str) and self.get(which) is not None)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    def __len__(self) -> int:
        return len(self._findings)

    def _repr_html_(self) -> str:
        """One expandable line each, for Jupyter."""
        from vxlanalyze.report import notebook

        return notebook.findings_html([finding.record for finding in self._findings])

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._findings)) or "<no findings>"

    def _names(self) -> Iterator[str]:
        for finding in self._findings:
            yield finding.code
            yield finding.key
