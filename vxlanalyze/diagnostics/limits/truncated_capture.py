"""The snap length cuts packets.

What it checks
    How many frames were captured only in part, and does that hide headers, or only payload?
Why it matters
    Without payload, checksums cannot be verified and damage cannot be detected. Without headers, a packet
    cannot even be distinguished from others: its match, ports and sequence number are guesses or missing.
How it decides
    A frame is cut where fewer bytes were captured than were on the wire; a header is cut where it ends
    after the last byte captured. The tunnel costs 50 bytes (70 over IPv6), so a snap length that is ample
    for unencapsulated packets cuts inner headers. Packets without an inner IP header, and TCP without a
    sequence number, cannot be distinguished from others: their fate is unknown.
When it cannot tell
    Nothing is left open here.
What looks like it
    A frame that is short on the wire is complete. Lengths are taken from headers, so sizes and loss are
    correct despite the truncation.
What to do
    Capture with `-s 0` (or `-s 192` to leave payload out and keep every header).
Sources
    pcap(3PCAP), "snapshot length"; RFC 7348 section 5 (what the tunnel adds).
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay import capturing
from vxlanalyze.pairing import headless
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.text.commands import written
from vxlanalyze.text.words import count, listed, share
from vxlanalyze.wire.model import Anomaly

CODE = "truncated-capture"
_ENOUGH_BYTES = 192  # outer IPv6, tunnel with options, inner IPv6 and TCP with options


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Count frames that the snap length cut."""
    points = [p for p in pair.points if p.name == pair.captures[p.capture].name]
    cut = [(p, _rows(p, Anomaly.CUT), _rows(p, Anomaly.CUT | Anomaly.HEADER_CUT)) for p in points]
    cut = [(point, rows, headers) for point, rows, headers in cut if len(rows)]
    if not cut:
        return []
    frames, headers = sum(len(r) for _, r, _ in cut), sum(len(h) for _, _, h in cut)
    every = sum(len(p.index) for p, _, _ in cut)
    snaps = [pair.captures[p.capture].snaplen_bytes for p, _, _ in cut]
    smallest = min((s for s in snaps if s), default=None)
    shown = exhibits.of_rows(pair, [(p, h if len(h) else r) for p, r, h in cut])
    names = listed([p.name for p, _, _ in cut])
    hidden = f"; of {headers:,} even headers are missing" if headers else "; all headers are there"
    nameless = sum(_nameless(p) for p, _, _ in cut)
    if nameless:
        hidden += f", and {nameless:,} cannot be distinguished from other packets"
    return [
        Finding(
            code=CODE,
            severity=Severity.WARNING if headers else Severity.INFO,
            summary=f"{names}: {share(frames, every)} frames are cut"
            + (f" at {count(smallest, 'byte')}" if smallest else "")
            + hidden,
            explanation="Payload that was not captured cannot be compared, and checksums over it not "
            "verified: corrupted-in-transit and the checksum diagnostics cover only frames that are "
            "whole. Sizes, losses and delays rest on headers, and are right where these are whole."
            + (" Frames with truncated headers are matched by the rest." if headers else "")
            + (_LEFT_OUT.format(nameless) if nameless else ""),
            remedy=written(
                f"Capture again with whole frames (-s 0), or with {_ENOUGH_BYTES} bytes of each where "
                "payload must be left out (NIC: the node's network card):",
                capturing.on_both(pair, [pair.captures[p.capture] for p, _, _ in cut][:4], "-s 0"),
            ),
            evidence={
                "cut_frames": Quantity(frames, "frames"),
                "frames": Quantity(every, "frames"),
                "cut_headers": Quantity(headers, "frames"),
                "left_out": Quantity(nameless, "frames"),
                "snap_length": Quantity(smallest, "bytes"),
            },
            ruled_out=(RuledOut("corrupted-in-transit", "a cut frame is not a damaged one"),),
            frames=shown.frames,
            frame_count=shown.frame_count,
            display_filter="frame.cap_len < frame.len",
        )
    ]


_LEFT_OUT = (
    " {:,} frames show neither an inner IP header nor a TCP sequence number: they are left out, and what "
    "became of them is not assessed."
)


def _nameless(point: Point) -> int:
    """Count the frames cut too short to be matched."""
    return int(point.decoded.usage.packets[headless.flows(point.decoded)].sum())


def _rows(point: Point, anomaly: Anomaly) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Rows that have all of some anomalies."""
    return np.flatnonzero(point.index.anomalies & anomaly.value == anomaly.value).astype(np.int32)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
