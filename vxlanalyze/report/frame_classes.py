"""The classes that frames are accounted for in, in words, and the line that sums a capture up."""

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
    """Name the headers that are not decoded: ``not decoded: 12 frames with MACsec``; empty without any."""
    parts = [f"{words.count(number, 'frame')} with {name}" for name, number in frames.items()]
    return f"not decoded: {words.listed(parts, len(parts))}" if parts else ""


def line(frames: Mapping[str, int]) -> str:
    """Say of all frames of a capture where they belong: ``106 in judged directions, 4 encrypted``."""
    known = [code for code in WORDS if code in frames]
    return ", ".join(
        f"{frames[code]:,} {WORDS.get(code, code)}" for code in [*known, *(frames.keys() - WORDS)]
    )
