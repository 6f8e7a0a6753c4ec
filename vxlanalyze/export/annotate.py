"""Small captures for Wireshark with only the frames of the findings, each with an explanatory comment.

A comment says what is wrong, which frame of the whole capture this is, and where its partner at the next
point is. Wireshark shows comments above the packet and finds them with the filter ``frame.comment``.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.capture.model import Frames, Interface
from vxlanalyze.capture.pcapng_writer import PcapngWriter
from vxlanalyze.errors import writing
from vxlanalyze.export.redaction import Redactor
from vxlanalyze.pairing.model import NO_DELAY, NO_ROW, Comparison, Direction, Outcome, Reason
from vxlanalyze.text import words
from vxlanalyze.text.escaping import plain

_UNKNOWN_BECAUSE = {
    Reason.WINDOW: "outside the time that both captures cover",
    Reason.CAPTURE_LOSS: "the capture may lack it",
    Reason.AMBIGUOUS: "equal to other packets",
    Reason.OTHER_PEER: "to or from a node that was not captured",
}


def annotate(
    comparison: Comparison, findings: Sequence[Finding], directory: Path, redactor: Redactor | None = None
) -> None:
    """Write ``NAME.pcapng`` for each capture into a directory.

    Parameters
    ----------
    findings : sequence of Finding
        In the order of the report; a frame of several findings has a comment for each.
    redactor : Redactor, optional
        Removes addresses, names and payload.

    Raises
    ------
    CaptureError
        A capture has changed since it was read.
    OutputError
        A file cannot be written.
    """
    write(annotated(comparison, findings), comparison.ports, directory, redactor)


class Annotated(NamedTuple):
    """The frames of one capture shown by findings, and the comments of each."""

    name: str
    interfaces: tuple[Interface, ...]
    frames: Frames
    comments: list[list[str]]


def annotated(comparison: Comparison, findings: Sequence[Finding]) -> list[Annotated]:
    """Read the frames of the findings in each capture; see `annotate`."""
    result = []
    for place, facts in enumerate(comparison.captures):
        shown = _shown(findings, facts.name)
        point = next(p for p in comparison.points if p.capture == place)
        rows = point.decoded.row(np.array(sorted(shown), dtype=np.int64))
        partners = _partners(comparison, place, rows)
        comments = [
            [*(_comment(finding) for finding in shown[frame]), _where(facts.name, frame, partners[row])]
            for frame, row in zip(sorted(shown), rows.tolist(), strict=True)
        ]
        frames = facts.source.fetch(point.index.place[rows])
        result.append(Annotated(facts.name, facts.interfaces, frames, comments))
    return result


def write(
    captures: Sequence[Annotated], ports: Sequence[int], directory: Path, redactor: Redactor | None
) -> None:
    """Write the result of `annotated`, wherever it was read; see `annotate`."""
    for capture in captures:
        name = capture.name if redactor is None else redactor.name(capture.name)
        _write(capture, ports, directory / f"{name}.pcapng", redactor)


def _shown(findings: Sequence[Finding], capture: str) -> dict[int, list[Finding]]:
    """The findings of each frame of a capture, by frame number."""
    shown: dict[int, list[Finding]] = defaultdict(list)
    for finding in findings:
        for frame in np.unique(finding.frames.get(capture, np.empty(0, np.int64))).tolist():
            shown[frame].append(finding)
    return shown


def _write(capture: Annotated, ports: Sequence[int], path: Path, redactor: Redactor | None) -> None:
    _, interfaces, frames, comments = capture
    if redactor is not None:
        frames = redactor.frames(frames, interfaces, ports)
        interfaces = redactor.interfaces(interfaces)
        comments = [[redactor.text(comment) for comment in several] for several in comments]
    # Comments quote names from packets and the cluster, and may be listed on a terminal.
    comments = [[plain(comment) for comment in several] for several in comments]
    data = memoryview(frames.data.data)
    with writing(path), path.open("xb") as handle:
        writer = PcapngWriter(handle, interfaces)
        for i, several in enumerate(comments):
            start = int(frames.start[i])
            writer.write(
                int(frames.interface[i]),
                int(frames.time_ns[i]),
                data[start : start + int(frames.captured_length[i])],
                int(frames.original_length[i]),
                several,
            )


def _comment(finding: Finding) -> str:
    direction = "" if finding.direction is None else f" {finding.direction}"
    because = "" if finding.because is None else f" (because of {finding.because})"
    return f"{finding.code} [{finding.severity.name.lower()}]{direction}: {finding.summary}{because}"


def _where(capture: str, frame: int, partners: Sequence[str]) -> str:
    return " ".join((f"Frame {frame} of {capture}.", *partners))


def _partners(comparison: Comparison, place: int, rows: NDArray[np.int64]) -> dict[int, list[str]]:
    """State where each frame of a capture is at the previous and next points, by row."""
    comments: dict[int, list[str]] = {row: [] for row in rows.tolist()}
    for hop in (*comparison.hops, *comparison.inside):
        for direction in hop.directions:
            if direction.sender.capture == place:
                for row, chosen in _groups(direction.sent_row, rows):
                    comments[row].append(_onward(direction, chosen))
            if direction.receiver.capture == place:
                for row, chosen in _groups(direction.received_row, rows):
                    comments[row].append(_from_where(direction, chosen))
                for row, _ in _groups(direction.unsent_row, rows):
                    comments[row].append(f"{direction.sender.name} did not see it leave.")
    return comments


def _groups(column: NDArray[np.int32], rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Positions in a direction's arrays of some rows: one for each wire packet."""
    chosen = np.flatnonzero(np.isin(column, rows))
    for row in np.unique(column[chosen]).tolist():
        yield row, chosen[column[chosen] == row]


def _onward(direction: Direction, chosen: NDArray[np.int64]) -> str:
    """The fates of the wire packets of one frame."""
    to, outcome = direction.receiver.name, direction.outcome[chosen]
    lost = int(np.count_nonzero(outcome == Outcome.LOST))
    if lost == len(chosen):
        return f"Lost: it never reached {to}."
    if lost:
        return f"{lost} of its {len(chosen)} wire packets never reached {to}."
    if (outcome == Outcome.UNKNOWN).all():
        why = _UNKNOWN_BECAUSE.get(Reason(int(direction.reason[chosen[0]])))
        return f"Whether it reached {to} is unknown{f' ({why})' if why else ''}."
    arrived = direction.received_row[chosen]
    seen = _frames(direction.receiver.frame(arrived[arrived != NO_ROW]))
    return f"Reached {to} as {seen}{_later(direction, chosen)}."


def _from_where(direction: Direction, chosen: NDArray[np.int64]) -> str:
    sent = _frames(direction.sender.frame(direction.sent_row[chosen]))
    corrupted = ", and changed on the path" if direction.corrupted[chosen].any() else ""
    return f"Left {direction.sender.name} as {sent}{_later(direction, chosen, 'earlier')}{corrupted}."


def _frames(numbers: NDArray[np.int64]) -> str:
    named = np.unique(numbers).tolist()
    return f"frame {named[0]}" if len(named) == 1 else f"frames {words.listed(named)}"


def _later(direction: Direction, chosen: NDArray[np.int64], word: str = "later") -> str:
    delays = direction.delay_ns[chosen]
    delays = delays[delays != NO_DELAY]
    return f", {words.span(int(delays[0]))} {word}" if len(delays) else ""
