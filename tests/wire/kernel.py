"""The frames that `record` captured, read plainly."""

import struct
from pathlib import Path
from typing import NamedTuple

CAPTURES = Path(__file__).parent / "captures"
LITTLE_MICROSECONDS = 0xA1B2C3D4
HEADER_BYTES, RECORD_BYTES = 24, 16


class Frame(NamedTuple):
    """One captured frame; `wire` is its length before the snap length."""

    link_type: int
    data: bytes
    wire: int


def frames(name: str) -> list[Frame]:
    """All frames of one capture (little endian, as tcpdump wrote it here)."""
    content = (CAPTURES / name).read_bytes()
    magic, *_, link_type = struct.unpack_from("<IHHiIII", content)
    assert magic == LITTLE_MICROSECONDS
    found, at = [], HEADER_BYTES
    while at < len(content):
        captured, wire = struct.unpack_from("<8xII", content, at)
        at += RECORD_BYTES + captured
        found.append(Frame(link_type, content[at - captured : at], wire))
    return found


def frame(name: str, number: int) -> Frame:
    """One frame, by its number from 1."""
    return frames(name)[number - 1]
