"""Clocks that are wrong: the times in a recorded file are moved, bent and made to jump.

All namespaces share the machine's clock, so the truth about the difference is what is done here.

Sources: draft-ietf-opsawg-pcap-05 section 4 and 5; draft-ietf-opsawg-pcapng-03 sections 4.2, 4.3, 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.scenario import Clock

SECOND_NS = 10**9
PCAP_MAGIC_US, PCAP_MAGIC_NS = 0xA1B2C3D4, 0xA1B23C4D
INTERFACE, STATISTICS, ENHANCED_PACKET, SECTION = 1, 5, 6, 0x0A0D0D0A
OPTION_END, OPTION_RESOLUTION, OPTION_START, OPTION_STOP = 0, 9, 2, 3


def shown_ns(clock: Clock, true_ns: int, first_ns: int) -> int:
    """Return what a clock shows at a true time; `first_ns` is the true time of the capture's first frame."""
    since_ns = true_ns - first_ns
    bent_ns = true_ns + clock.offset_ns + round(since_ns * clock.drift_ppm / 1e6)
    stepped = clock.step_ns and since_ns >= clock.step_at_s * SECOND_NS
    return bent_ns + (clock.step_ns if stepped else 0)


def first_time_ns(file: Path) -> int | None:
    """Return the time of the first frame, None in a capture without frames."""
    data = bytearray(file.read_bytes())
    return next((time_ns for time_ns, _ in _times(data)), None)


def bend(file: Path, clock: Clock, first_ns: int) -> None:
    """Rewrite all times of a file as the clock would have shown them."""
    data = bytearray(file.read_bytes())
    for time_ns, write in _times(data):
        write(shown_ns(clock, time_ns, first_ns))
    file.write_bytes(data)


def _times(data: bytearray) -> Iterator[tuple[int, Callable[[int], None]]]:
    """Yield every time of a capture file in ns, with the function that overwrites it."""
    is_pcapng = data[:4] == struct.pack("<I", SECTION)
    yield from _pcapng_times(data) if is_pcapng else _pcap_times(data)


def _pcap_times(data: bytearray) -> Iterator[tuple[int, Callable[[int], None]]]:
    magic = struct.unpack_from("<I", data)[0]
    unit_ns = {PCAP_MAGIC_US: 1000, PCAP_MAGIC_NS: 1}[magic]
    at = 24
    while at < len(data):
        seconds, parts, captured = struct.unpack_from("<III", data, at)

        def write(time_ns: int, at: int = at) -> None:
            struct.pack_into("<II", data, at, time_ns // SECOND_NS, time_ns % SECOND_NS // unit_ns)

        yield seconds * SECOND_NS + parts * unit_ns, write
        at += 16 + captured


def _pcapng_times(data: bytearray) -> Iterator[tuple[int, Callable[[int], None]]]:
    units_ns: list[int] = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == INTERFACE:
            units_ns.append(_unit_ns(data, at, length))
        elif kind in (ENHANCED_PACKET, STATISTICS):
            unit_ns = units_ns[struct.unpack_from("<I", data, at + 8)[0]]
            places = [at + 12]
            if kind == STATISTICS:
                places += [
                    place for code, place in _options(data, at + 20, at + length - 4) if code in (2, 3)
                ]
            for place in places:
                yield _pcapng_time(data, place, unit_ns)
        at += length


def _pcapng_time(data: bytearray, at: int, unit_ns: int) -> tuple[int, Callable[[int], None]]:
    def write(time_ns: int) -> None:
        units = time_ns // unit_ns
        struct.pack_into("<II", data, at, units >> 32, units & 0xFFFFFFFF)

    high, low = struct.unpack_from("<II", data, at)
    return int(high << 32 | low) * unit_ns, write


def _unit_ns(data: bytearray, at: int, length: int) -> int:
    for code, place in _options(data, at + 16, at + length - 4):
        if code == OPTION_RESOLUTION:
            return int(10 ** (9 - data[place]))
    return 1000


def _options(data: bytearray, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield code and place of the value of each option of a block."""
    while at + 4 <= end:
        code, length = struct.unpack_from("<HH", data, at)
        if code == OPTION_END:
            return
        yield code, at + 4
        at += 4 + (length + 3) // 4 * 4
