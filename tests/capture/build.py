"""Captures written by hand from the standards, field by field; nothing here imports what is tested.

Sources: draft-ietf-opsawg-pcap section 4; draft-ietf-opsawg-pcapng sections 3 and 4.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

MICROSECONDS = 0xA1B2C3D4
NANOSECONDS = 0xA1B23C4D
KUZNETZOV = 0xA1B2CD34
IXIA_HARDWARE = 0x1C0001AC
IXIA_SOFTWARE = 0x1C0001AB

START_S = 1_700_000_000


@dataclass(frozen=True)
class Packet:
    """A frame as a record holds it: whole seconds, the fraction in the file's unit, data, wire length."""

    seconds: int
    fraction: int
    data: bytes
    original: int

    def time_ns(self, unit_ns: int = 1000) -> int:
        return self.seconds * 1_000_000_000 + self.fraction * unit_ns


def packets(count: int, size: int = 60, step: int = 7) -> list[Packet]:
    """Frames of different sizes and contents, ten milliseconds apart."""
    return [
        Packet(
            START_S + k // 100,
            k % 100 * 10_000,
            bytes((k + j) % 251 + 1 for j in range(size + k * step % 90)),
            size + k * step % 90 + (100 if k % 5 == 4 else 0),
        )
        for k in range(count)
    ]


def pcap_header(
    magic: int = MICROSECONDS,
    order: str = "<",
    version: tuple[int, int] = (2, 4),
    snaplen: int = 262_144,
    network: int = 1,
) -> bytes:
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, network)


def record(packet: Packet, order: str = "<", extra: bytes = b"") -> bytes:
    lengths = (len(packet.data), packet.original)
    return struct.pack(order + "IIII", packet.seconds, packet.fraction, *lengths) + extra + packet.data


def pcap(frames: Sequence[Packet], magic: int = MICROSECONDS, order: str = "<", **header: object) -> bytes:
    head = pcap_header(magic, order, **header)  # type: ignore[arg-type]
    return head + b"".join(record(frame, order) for frame in frames)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<", version: tuple[int, int] = (1, 0), length: int = -1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, length), order)


def interface(link_type: int = 1, snaplen: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(order + "HHI", link_type, 0, snaplen) + options, order)


def enhanced(
    data: bytes,
    time_units: int,
    number: int = 0,
    original: int | None = None,
    options: bytes = b"",
    order: str = "<",
) -> bytes:
    wire = len(data) if original is None else original
    head = struct.pack(order + "IIIII", number, time_units >> 32, time_units & 0xFFFFFFFF, len(data), wire)
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


def obsolete(data: bytes, time_units: int, number: int = 0, drops: int = 0xFFFF, order: str = "<") -> bytes:
    head = struct.pack(
        order + "HHIIII", number, drops, time_units >> 32, time_units & 0xFFFFFFFF, len(data), len(data)
    )
    return block(2, head + data, order)


def simple(data: bytes, original: int, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", original) + data, order)


def statistics(number: int, options: bytes, order: str = "<") -> bytes:
    return block(5, struct.pack(order + "III", number, 0, 0) + options, order)


def pcapng(frames: Sequence[Packet], order: str = "<") -> bytes:
    """One section, one Ethernet interface, times in microseconds."""
    written = [
        enhanced(frame.data, frame.seconds * 1_000_000 + frame.fraction, 0, frame.original, order=order)
        for frame in frames
    ]
    return section(order) + interface(order=order) + b"".join(written)
