"""The result of pairing: every wire packet of every hop with its fate, and the clocks between the points.

A *point* is a place where packets were seen; a *hop* lies between two neighbouring points; each has two
*directions* of `m` wire packets: arrays of shape ``(m,)``. Whatever can be derived from the frame of a packet
(length, time, addresses) is a property, so a direction costs about 24 bytes per packet.
"""

from vxlanalyze.pairing.model.clock import Clock
from vxlanalyze.pairing.model.comparison import Comparison, Hop
from vxlanalyze.pairing.model.direction import PER_PACKET, PER_UNSENT, Direction, Outcome, Reason
from vxlanalyze.pairing.model.observation import (
    NO_DELAY,
    NO_ROW,
    CaptureFacts,
    Point,
    SetBack,
    wire_payload,
)
from vxlanalyze.pairing.offsets import ClockPiece

__all__ = [
    "NO_DELAY",
    "NO_ROW",
    "PER_PACKET",
    "PER_UNSENT",
    "CaptureFacts",
    "Clock",
    "ClockPiece",
    "Comparison",
    "Direction",
    "Hop",
    "Outcome",
    "Point",
    "Reason",
    "SetBack",
    "wire_payload",
]
