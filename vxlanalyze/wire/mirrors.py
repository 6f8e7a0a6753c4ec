"""Mirrors: captures at a collector, to which switches or clouds send copies of whole frames.

    ERSPAN I, II, III    GRE, protocol types 0x88BE and 0x22EB; a session of 10 bits, a sequence number
    TZSP                 UDP 37008; tagged fields before the frame
    VXLAN, GRE           AWS VPC Traffic Mirroring, Azure vTAP, gretap devices: an ordinary tunnel's header

The header is removed before anything else. The first three identify themselves. A VXLAN or GRE header is a
mirror's where the frames inside are themselves from an underlay with a tunnel, and all go to one collector
that never sends any: a tunnel in a tunnel goes in both directions, while a mirror sends both directions to
one address.

Sources: draft-foschiano-erspan-03 sections 4.1 to 4.3; RFC 2890; TZSP
(wireshark.org/docs/dfref/t/tzsp.html); AWS "Traffic Mirroring concepts" (VXLAN to UDP 4789, packets cut to
the target's MTU); Azure "Virtual network TAP".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.model import Frames, Interface, InterfaceStatistics
from vxlanalyze.capture.view import only
from vxlanalyze.wire import link, mirror_headers
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.mirror_headers import INNER_DST, INNER_SRC, KIND, SEQUENCE, SESSION, SRC
from vxlanalyze.wire.raw_frames import RawFrames, link_types_of
from vxlanalyze.wire.rows import octets_of

_LOOKED_AT = 1 << 14  # frames at the beginning by which a capture is judged
_TITLES = {
    mirror_headers.ERSPAN: "ERSPAN",
    mirror_headers.TZSP: "TZSP",
    mirror_headers.VXLAN: "VXLAN mirror",
    mirror_headers.GRE: "GRE mirror",
}
_BY_ITSELF = (mirror_headers.ERSPAN, mirror_headers.TZSP)  # their headers say what they are
_IDENTITY = slice(KIND, SEQUENCE)  # kind, session, source and collector
_MOST_SESSIONS = 64
_NONSENSE = 8  # this many times more missing than present: the numbers do not count packets


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror session: one observation point.

    Parameters
    ----------
    identity : tuple of int
        Kind, session or VNI, source and collector, as in `mirror_headers`.
    title : str
        Its name in sentences.
    frames, others : int
        Number of its frames, and of frames in the file that belong to no mirror.
    missing : int or None
        Frames counted by its sequence numbers but missing from the file; None where it does not number them.
    cut : int
        Number of truncated frames.
    cut_at_bytes : int
        Largest length of those.
    """

    identity: tuple[int, ...]
    title: str
    frames: int = 0
    others: int = 0
    missing: int | None = None
    cut: int = 0
    cut_at_bytes: int = 0

    @property
    def session(self) -> int:
        """Session of ERSPAN, VNI, or key of GRE."""
        return self.identity[SESSION]

    @property
    def source(self) -> str:
        """Address that sends the copies."""
        return self._address(SRC)

    @property
    def collector(self) -> str:
        """Address that they are sent to."""
        return self._address(mirror_headers.DST)

    @property
    def label(self) -> str:
        """A short name, for points of one file."""
        return self.session_text.lower().replace(" ", "")

    @property
    def session_text(self) -> str:
        """The session in words: ``session 7``, ``VNI 7``, ``key 7``."""
        word = {mirror_headers.VXLAN: "VNI", mirror_headers.GRE: "key"}.get(self.identity[KIND], "session")
        return f"{word} {self.session}"

    def view_frames(self, frames: Frames, interfaces: Sequence[Interface]) -> Frames:
        """Give the copies of this session without the mirror's header."""
        return _taken_off(frames, headers(frames, interfaces), self.identity)

    def _address(self, place: int) -> str:
        family = np.array([self.identity[mirror_headers.FAMILY]])
        return text(octets_of(np.array([self.identity[place : place + 2]], np.int64)), family)[0]


@dataclass(frozen=True, slots=True)
class MirrorView:
    """A mirror session as a view of its file; see `capture.view.View`."""

    mirror: Mirror

    def frames(self, frames: Frames, interfaces: Sequence[Interface]) -> Frames:
        """Give the copies of this session without the mirror's header."""
        return self.mirror.view_frames(frames, interfaces)

    def interfaces(self, interfaces: Sequence[Interface]) -> list[Interface]:
        """A mirror copies Ethernet frames, whatever the collector's interface is."""
        return [replace(interface, link_type=link.ETHERNET) for interface in interfaces]

    def statistics(self, statistics: Sequence[InterfaceStatistics]) -> list[InterfaceStatistics]:
        """Count the copies lost in transit as dropped by the capture."""
        found = list(statistics)
        if self.mirror.missing is not None:
            found.append(InterfaceStatistics(0, dropped=self.mirror.missing))
        return found


def points(capture: LogicalCapture) -> list[LogicalCapture]:
    """Give the observation points of a capture: one for each mirror session, or the capture itself.

    Raises
    ------
    CaptureError
        The file cannot be read.
    """
    if not _begins_with_a_mirror(capture):
        return [capture]
    found = _sessions(capture)
    if not found:
        return [capture]
    if len(found) == 1:
        return [capture.seen_through(MirrorView(found[0]))]
    return [
        capture.seen_through(MirrorView(mirror), f"{capture.name}-{label}")
        for mirror, label in zip(found, _labels(found), strict=True)
    ]


def _labels(found: Sequence[Mirror]) -> list[str]:
    """Name sessions by the shortest distinct label: session, source, or number."""
    for labels in ([m.label for m in found], [f"{m.label}-{m.source}".replace(":", "-") for m in found]):
        if len(set(labels)) == len(labels):
            return labels
    return [f"mirror{number}" for number in range(1, len(found) + 1)]


def mirror_of(source: object) -> Mirror | None:
    """Give the mirror session that a capture is viewed through, or None."""
    view = getattr(source, "view", None)
    return view.mirror if isinstance(view, MirrorView) else None


def headers(frames: Frames, interfaces: Sequence[Interface]) -> NDArray[np.int64]:
    """Read the mirror header of each frame, shape ``(n, COLUMNS)``; its KIND is 0 where there is none."""
    return mirror_headers.read_all(RawFrames.of(frames, link_types_of(interfaces)))


def _taken_off(frames: Frames, found: NDArray[np.int64], identity: tuple[int, ...]) -> Frames:
    own = (found[:, _IDENTITY] == np.array(identity)).all(axis=1)
    kept, of_them = only(frames, own), found[own]
    return replace(
        kept,
        start=of_them[:, mirror_headers.START].copy(),
        captured_length=of_them[:, mirror_headers.CAPTURED].astype(np.uint32),
        original_length=of_them[:, mirror_headers.ORIGINAL].astype(np.uint32),
    )


def _begins_with_a_mirror(capture: LogicalCapture) -> bool:
    """Examine the first frames: a collector's capture contains little else than mirrored frames."""
    first = next(capture.chunks(), None)
    if first is None:
        return False
    head = only(first, np.arange(len(first)) < _LOOKED_AT)
    found = headers(head, capture.interfaces)
    return bool(len(_mirrors(found[found[:, KIND] > 0])))


def _mirrors(found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distinct identities of the sessions among these headers, in the order of their first frames."""
    by_itself = np.isin(found[:, KIND], _BY_ITSELF)
    if not (by_itself | (found[:, mirror_headers.TUNNEL] > 0)).any():  # nothing that could prove a mirror
        return np.empty((0, SEQUENCE), np.int64)
    different, first, session = np.unique(found[:, _IDENTITY], axis=0, return_index=True, return_inverse=True)
    collectors, collector = np.unique(different[:, [KIND, *_COLLECTOR]], axis=0, return_inverse=True)
    collector = collector.reshape(-1)
    sends = _among(collectors[:, 1:], different[:, SRC : SRC + 2])
    collects = ~sends & _bring_both_directions(found, collector[session.reshape(-1)], len(collectors))
    sure = np.isin(different[:, KIND], _BY_ITSELF) | collects[collector]
    order = np.argsort(first)
    return different[order][sure[order]]


_COLLECTOR = (mirror_headers.DST, mirror_headers.DST + 1)
_ENDS = slice(INNER_SRC, INNER_DST + 2)


def _bring_both_directions(
    found: NDArray[np.int64], collector: NDArray[np.int64], collectors: int
) -> NDArray[np.bool_]:
    """Whether both directions of an underlay's tunnel go to a collector, for each of them.

    Where only one direction is seen, two sessions with the same conversation also prove it.
    """
    inside = found[:, mirror_headers.TUNNEL] > 0
    tunnelled, to = found[inside], collector[inside, np.newaxis]
    ends = np.unique(np.hstack([to, tunnelled[:, _ENDS]]), axis=0)
    both = ends[_among(ends, ends[:, [0, 3, 4, 1, 2]]), 0]
    by_session = np.unique(
        np.hstack([to, tunnelled[:, [SESSION, SRC, SRC + 1]], tunnelled[:, _ENDS]]), axis=0
    )
    pairs, pairs_by_session = (np.bincount(rows[:, 0], minlength=collectors) for rows in (ends, by_session))
    return (pairs_by_session > pairs) | (np.bincount(both, minlength=collectors) > 0)


def _among(rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the rows that equal one of the others."""
    _, code = np.unique(np.concatenate([rows, others]), axis=0, return_inverse=True)
    code = code.reshape(-1)
    return np.isin(code[: len(rows)], code[len(rows) :])


def _sessions(capture: LogicalCapture) -> list[Mirror]:
    """Read the whole capture for its sessions, and what each lost or truncated."""
    found = [headers(frames, capture.interfaces) for frames in capture.chunks()]
    table = np.concatenate(found)
    others = len(table)
    mirrors: list[Mirror] = []
    for identity in _mirrors(table[table[:, KIND] > 0])[:_MOST_SESSIONS]:
        own = table[(table[:, _IDENTITY] == identity).all(axis=1)]
        if own[:, mirror_headers.TUNNEL].any():  # others mirror traffic outside of the overlay
            others -= len(own)
            mirrors.append(_described(identity, own))
    return [replace(mirror, others=others) for mirror in mirrors]


def _described(identity: NDArray[np.int64], own: NDArray[np.int64]) -> Mirror:
    captured, original = own[:, mirror_headers.CAPTURED], own[:, mirror_headers.ORIGINAL]
    cut = own[:, mirror_headers.CUT] > 0
    return Mirror(
        identity=tuple(int(word) for word in identity),
        title=_TITLES[int(identity[KIND])],
        frames=len(own),
        missing=_missing(own[:, SEQUENCE]),
        cut=int(cut.sum()),
        cut_at_bytes=int(np.minimum(captured, original)[cut].max(initial=0)),
    )


def _missing(sequence: NDArray[np.int64]) -> int | None:
    """Count the gaps in a run of 32-bit sequence numbers; None where they do not count frames."""
    if len(sequence) < 2 or (sequence < 0).any():
        return None
    steps = (np.diff(sequence) + (1 << 31)) % (1 << 32) - (1 << 31)
    numbers = np.unique(np.concatenate(([0], np.cumsum(steps))))
    if len(numbers) == 1:
        return None
    missing = int(numbers[-1] - numbers[0]) + 1 - len(numbers)
    return missing if missing <= _NONSENSE * len(sequence) else None
