"""Merge one fault in both directions to one finding: text and HTML show it once, JSON twice."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from vxlanalyze.report.model import FindingRecord, QuantityRecord, key_of
from vxlanalyze.text import commands
from vxlanalyze.text.words import listed

_SENTENCE_END = re.compile(r"(?<=[.!?:]) +(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding as a reader sees it.

    Parameters
    ----------
    finding : FindingRecord
        The finding; if it has a twin in the reverse direction, both merged.
    parts : tuple of FindingRecord
        Its parts: itself, or both directions.
    """

    finding: FindingRecord
    parts: tuple[FindingRecord, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its parts: ``code@direction`` or ``code``."""
        return tuple(key_of(part) for part in self.parts)


def merged(findings: Sequence[FindingRecord]) -> list[Shown]:
    """Join findings of the same code and severity in opposite directions; the order stays.

    A consequence in both directions refers to the merged cause.
    """
    groups = list(_groups(findings))
    key_in = {key_of(part): key_of(_joined(group)) for group in groups for part in group}
    return [Shown(_renamed(_joined(group), key_in), group) for group in groups]


def _groups(findings: Sequence[FindingRecord]) -> Iterator[tuple[FindingRecord, ...]]:
    taken: set[int] = set()
    for place, finding in enumerate(findings):
        if place in taken:
            continue
        later = (n for n in range(place + 1, len(findings)) if n not in taken)
        twins = [n for n in later if _twins(finding, findings[n])]
        taken.update(twins)
        yield (finding, *(findings[n] for n in twins))


def _twins(one: FindingRecord, other: FindingRecord) -> bool:
    """Whether two findings are one fault: in the two directions of a hop, or at two places in one node."""
    if (one["code"], one["severity"]) != (other["code"], other["severity"]):
        return False
    if (one["because"] is None) != (other["because"] is None):
        return False
    if one["direction"] is None or other["direction"] is None:
        return False
    node = _inside(one["direction"])
    if node:
        return node == _inside(other["direction"])
    return other["direction"] == _reversed(one["direction"])


def _inside(direction: str) -> str:
    """Name the node to several places of which a direction leads: ``node2>node2/if4``; else ""."""
    node, _, place = direction.partition(">")
    return node if place.startswith(f"{node}/") else ""


def _reversed(direction: str) -> str:
    return ">".join(reversed(direction.split(">")))


def _joined(parts: tuple[FindingRecord, ...]) -> FindingRecord:
    joined = reduce(_both, parts)
    if len(parts) == 1:
        return joined
    return {**joined, "direction": listed([part["direction"] or "" for part in parts])}


def _both(one: FindingRecord, other: FindingRecord) -> FindingRecord:
    frames = {name: list(numbers) for name, numbers in one["frames"].items()}
    for name, numbers in other["frames"].items():
        frames[name] = sorted({*frames.get(name, []), *numbers})
    joined: FindingRecord = {
        **one,
        "summary": _sentences(one["summary"], other["summary"]),
        "explanation": _sentences(one["explanation"], other["explanation"]),
        "remedy": _remedy(one["remedy"], other["remedy"]),
        "evidence": _evidence(one, other),
        "ruled_out": [*one["ruled_out"], *(r for r in other["ruled_out"] if r not in one["ruled_out"])],
        "frames": frames,
        "frame_count": one["frame_count"] + other["frame_count"],
        "display_filter": _either(one["display_filter"], other["display_filter"]),
    }
    return joined


def _sentences(one: str, other: str) -> str:
    if not other or other == one:
        return one
    return f"{one.rstrip('. ')}. {other}" if one else other


def _remedy(one: str, other: str) -> str:
    """Merge two remedies, part by part; common parts appear once.

    The commands of both follow their sentences: to allow it on both nodes, then to undo both.
    """
    ours, theirs = commands.parts(one), commands.parts(other)
    if len(ours) != len(theirs):
        return one if one == other else commands.written(one, other)
    lines: list[str] = []
    for (sentences, run), (others, also) in zip(ours, theirs, strict=True):
        if sentences == others or not also:
            lines += [*sentences, *run, *(command for command in also if command not in run)]
        else:
            lines += [*sentences, *run, *_new_sentences(sentences, others), *also]
    return "\n".join(lines)


def _new_sentences(paragraphs: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Give what other paragraphs say beyond the first ones: a common sentence appears once."""
    known = {sentence for paragraph in paragraphs for sentence in _SENTENCE_END.split(paragraph)}
    for paragraph in others:
        left = [sentence for sentence in _SENTENCE_END.split(paragraph) if sentence not in known]
        if left:
            yield " ".join(left)


def _evidence(one: FindingRecord, other: FindingRecord) -> dict[str, QuantityRecord]:
    more = {
        f"{name} ({other['direction']})": quantity
        for name, quantity in other["evidence"].items()
        if quantity != one["evidence"].get(name)
    }
    return {**one["evidence"], **more}


def _either(one: str, other: str) -> str:
    if not (one and other) or one == other:
        return one or other
    return f"({one}) || ({other})"


def _renamed(finding: FindingRecord, key_in: Mapping[str, str]) -> FindingRecord:
    because = finding["because"]
    return finding if because is None else {**finding, "because": key_in.get(because, because)}
