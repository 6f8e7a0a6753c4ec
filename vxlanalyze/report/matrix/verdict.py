"""The verdict of a matrix in one sentence: which directions are in trouble."""

from collections.abc import Iterable, Sequence
from typing import Literal

from vxlanalyze.report.matrix.model import BAD, CellRecord
from vxlanalyze.text import words

_NAMED = 6
_ENDS: tuple[Literal["from"], Literal["to"]] = ("from", "to")


def verdict(cells: Sequence[CellRecord], nodes: int) -> str:
    """State which nodes have trouble with each other."""
    bad = [c for c in cells if c["state"] in BAD]
    undecided = sum(cell["state"] == "undecided" for cell in cells)
    judged = len(bad) + sum(cell["state"] == "good" for cell in cells)
    parts = []
    if bad:
        causes = [f"{code} {where(of_code)}" for (_, code), of_code in by_finding(bad)]
        be = "is" if len(bad) == 1 else "are"
        parts.append(
            f"{len(bad)} of {words.count(judged, 'direction')} between {nodes} nodes {be} in trouble: "
            + ", ".join(causes)
        )
    elif judged:
        parts.append(f"Nothing is wrong in {words.count(judged, 'direction')} between {nodes} nodes")
    else:
        parts.append(f"Not determined: nothing could be judged between {nodes} nodes")
    if undecided:
        parts.append(f"{words.count(undecided, 'direction')} could not be judged")
    return "; ".join(parts) + "."


def by_finding(bad: Iterable[CellRecord]) -> list[tuple[tuple[str, str], list[CellRecord]]]:
    """Group directions by severity and code, the worst and most frequent first."""
    groups: dict[tuple[str, str], list[CellRecord]] = {}
    for cell in bad:
        groups.setdefault((cell["state"], cell["finding"] or ""), []).append(cell)
    return sorted(groups.items(), key=lambda group: (BAD.index(group[0][0]), -len(group[1]), group[0][1]))


def where(cells: Sequence[CellRecord]) -> str:
    """Name some directions, by their common sender or receiver if there is one."""
    senders, receivers = ([*dict.fromkeys(c[end] for c in cells)] for end in _ENDS)
    if len(cells) > 1 and len(receivers) == 1:
        return f"to {receivers[0]} (from {words.listed(senders, _NAMED)})"
    if len(cells) > 1 and len(senders) == 1:
        return f"from {senders[0]} (to {words.listed(receivers, _NAMED)})"
    return words.listed([c["direction"] for c in cells], _NAMED)
