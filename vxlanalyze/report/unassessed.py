"""Unassessed checks by reason: one reason often applies to many checks."""

from collections import defaultdict
from collections.abc import Sequence

from vxlanalyze.report.model import NotAssessedRecord
from vxlanalyze.text import words


def checks(entries: Sequence[NotAssessedRecord]) -> int:
    """Count the checks that were not assessed; one check in several directions counts once."""
    return len({entry["code"] for entry in entries})


def counted(entries: Sequence[NotAssessedRecord]) -> str:
    """State how many checks were not assessed: ``8 checks``."""
    return words.count(checks(entries), "check")


def by_reason(entries: Sequence[NotAssessedRecord]) -> list[tuple[str, str]]:
    """Group the checks that share a reason.

    Returns
    -------
    list of (str, str)
        Codes with their directions, as ``packet-loss, reordering a>b and b>a; duplication a>b``; the reason.
    """
    directions_of: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        directions_of[entry["reason"]][entry["code"]].append(entry["direction"] or "")
    return [(_listed(questions), reason) for reason, questions in directions_of.items()]


def _listed(directions_of: dict[str, list[str]]) -> str:
    codes_of: dict[str, list[str]] = defaultdict(list)
    for code, directions in directions_of.items():
        codes_of[" and ".join(filter(None, directions))].append(code)
    return "; ".join(f"{', '.join(codes)} {where}".strip() for where, codes in codes_of.items())
