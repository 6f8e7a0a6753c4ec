"""Captures that prove nothing: empty ones, and neighbours that do not overlap in time.

A report without findings passes as healthy, so judging one must take these into account.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vxlanalyze.report.model import CaptureRecord, HopRecord

DISJOINT = "windows-disjoint"
_ELSEWHERE = "other-peer"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a report does not show, and the names by which an expectation allows it."""

    names: tuple[str, ...]
    sentence: str


def without_frames(captures: Sequence[CaptureRecord]) -> Iterator[Gap]:
    """Give the empty captures."""
    for capture in captures:
        if not capture["packets"]:
            yield Gap(
                (capture["name"],),
                f"{capture['name']} holds no frame, so nothing is shown to be healthy there",
            )


def without_common_time(captures: Sequence[CaptureRecord], hops: Sequence[HopRecord]) -> Iterator[Gap]:
    """Give neighbours without a packet in common, one of which begins after the other ends.

    Same criterion as `windows-disjoint`, but this check cannot be deselected.
    """
    known = {capture["name"]: capture for capture in captures}
    pairs: dict[frozenset[str], list[HopRecord]] = {}
    for hop in hops:
        pairs.setdefault(frozenset((hop["from"], hop["to"])), []).append(hop)
    for names, both in pairs.items():
        if any(hop["delivered"] for hop in both) or (len(pairs) > 1 and not any(map(_belongs, both))):
            continue
        sides = [known[name] for name in names if name in known]
        yield from _apart(sides)


def _belongs(hop: HopRecord) -> bool:
    """Whether any packet belongs to a direction; without one, earlier hops show why."""
    return hop["sent"] > hop["unknown_reasons"].get(_ELSEWHERE, 0)


def _apart(sides: Sequence[CaptureRecord]) -> Iterator[Gap]:
    # Times are RFC 3339 in UTC with nine digits, so their order is that of the text.
    times = sorted((c["first"], c["last"], c["name"]) for c in sides if c["first"] and c["last"])
    if len(times) == 2 and times[0][1] < times[1][0]:
        (_, _, earlier), (_, _, later) = times
        yield Gap(
            (DISJOINT, earlier, later),
            f"by their time stamps {later} begins after {earlier} ends, so nothing can be compared",
        )
