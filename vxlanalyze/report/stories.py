"""Group each cause with its consequences: together they form one story."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vxlanalyze.report.both_directions import Shown, merged
from vxlanalyze.report.model import FindingRecord, key_of


class Story(NamedTuple):
    """A cause and its consequences."""

    cause: Shown
    effects: list[Shown]

    @property
    def is_fault(self) -> bool:
        """Whether any part is more than a note."""
        return any(shown.finding["severity"] != "info" for shown in (self.cause, *self.effects))


def stories(findings: Sequence[FindingRecord]) -> list[Story]:
    """Group findings by cause; each appears once."""
    shown = merged(findings)
    keys = {key_of(s.finding) for s in shown}
    effects: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        effects[one.finding["because"] or ""].append(one)
    causes = [one for one in shown if one.finding["because"] not in keys]
    seen: set[str] = set()
    found = []
    # After the causes come all others: findings that name each other in a cycle have no cause.
    for one in (*causes, *shown):
        if one.keys[0] not in seen:
            seen.update(one.keys)
            found.append(Story(one, list(_effects(one, effects, seen))))
    return found


def _effects(cause: Shown, effects: Mapping[str, Sequence[Shown]], seen: set[str]) -> Iterator[Shown]:
    for one in effects.get(key_of(cause.finding), ()):
        if one.keys[0] not in seen:
            seen.update(one.keys)
            yield one
            yield from _effects(one, effects, seen)
