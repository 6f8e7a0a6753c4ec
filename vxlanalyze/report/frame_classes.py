"""Names of the classes of frames, and the line that summarises a capture."""

from collections.abc import Mapping

from vxlanalyze.text import words

WORDS = {
    "judged": "in judged directions",
    "unknown": "of unknown fate",
    "tunnel": "in the tunnel, of no judged direction",
    "other-peer": "to or from nodes that were not captured",
    "other-family": "in tunnels over the other IP version",
    "other-vni": "in the tunnel with another VNI",
    "group": "to a multicast group",
    "encrypted": "encrypted",
    "unencapsulated": "unencapsulated pod traffic",
    "not-arrived": "unencapsulated pod traffic that never arrives",
    "inside": "seen inside the node only",
    "control": "ARP, ICMP, routing or other control traffic",
    "node": "the nodes' own traffic",
    "fragment": "fragments without their first",
    "seen-again": "second sightings of the same packet",
    "undecoded": "not decoded",
}
"""What each class holds, by its code, in the order in which they are shown."""


def undecoded(frames: Mapping[str, int]) -> str:
    """Name the undecoded headers: ``not decoded: 12 frames with MACsec``; empty if there are none."""
    parts = [f"{words.count(number, 'frame')} with {name}" for name, number in frames.items()]
    return f"not decoded: {words.listed(parts, len(parts))}" if parts else ""


def line(frames: Mapping[str, int]) -> str:
    """Account for all frames of a capture: ``106 in judged directions, 4 encrypted``."""
    known = [code for code in WORDS if code in frames]
    return ", ".join(
        f"{frames[code]:,} {WORDS.get(code, code)}" for code in [*known, *(frames.keys() - WORDS)]
    )
