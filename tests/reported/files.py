"""Capture files as tcpdump and dumpcap write them: pcap and pcapng."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

from tests.reported.frames import address

ETHERNET, RAW_IP, SLL, SLL2 = 1, 101, 113, 276


@dataclass
class Interface:
    """What a pcapng says of an interface; counters as its statistics block has them."""

    name: str = "eth0"
    link: int = ETHERNET
    received: int | None = None
    dropped: int | None = None
    description: str = ""


@dataclass
class Frame:
    time: int  # ns since 1970
    data: bytes
    interface: int = 0
    length: int | None = None  # on the wire
    comment: str = ""


@dataclass
class Capture:
    """One capture file. Frames may come in any order: they are written by time.

    `set_at` and `set_by` (ns) say that the clock was set at a moment: time stamps jump, the order stays.
    """

    name: str
    interfaces: list[Interface] = field(default_factory=lambda: [Interface()])
    snaplen: int = 262144
    ng: bool = False
    nanoseconds: bool = False
    names: dict[str, str] = field(default_factory=dict)  # address: name (a name resolution block)
    comment: str = ""
    frames: list[Frame] = field(default_factory=list)
    set_at: int = 0
    set_by: int = 0

    def add(self, time: int, data: bytes, interface: int = 0, comment: str = "") -> None:
        self.frames.append(Frame(time, data, interface, len(data), comment))

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}.{'pcapng' if self.ng else 'pcap'}"
        self.frames.sort(key=lambda frame: frame.time)
        for frame in self.frames:
            frame.time += self.set_by if self.set_at and frame.time > self.set_at else 0
        path.write_bytes(self._pcapng() if self.ng else self._pcap())
        return path

    def _pcap(self) -> bytes:
        magic, unit = (0xA1B23C4D, 1) if self.nanoseconds else (0xA1B2C3D4, 1000)
        out = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, self.snaplen, self.interfaces[0].link)]
        for frame in self.frames:
            seconds, rest = divmod(frame.time, 10**9)
            kept = frame.data[: self.snaplen]
            length = len(frame.data) if frame.length is None else frame.length
            out += [struct.pack("<IIII", seconds, rest // unit, len(kept), length), kept]
        return b"".join(out)

    def _pcapng(self) -> bytes:
        section = option(1, self.comment.encode()) + option(4, b"Dumpcap (Wireshark) 4.0.17")
        out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + section + option(0, b""))]
        for interface in self.interfaces:
            said = option(2, interface.name.encode()) + option(3, interface.description.encode())
            said += option(9, b"\x09") + option(0, b"")
            out.append(block(1, struct.pack("<HHI", interface.link, 0, self.snaplen) + said))
        if self.names:
            out.append(block(4, b"".join(map(name_record, self.names.items())) + struct.pack("<HH", 0, 0)))
        out += [self._packet(frame) for frame in self.frames]
        return b"".join(out + [self._statistics(n) for n in range(len(self.interfaces))])

    def _packet(self, frame: Frame) -> bytes:
        kept = frame.data[: self.snaplen]
        length = len(frame.data) if frame.length is None else frame.length
        head = struct.pack(
            "<IIIII", frame.interface, frame.time >> 32, frame.time & 0xFFFFFFFF, len(kept), length
        )
        said = option(1, frame.comment.encode()) + option(0, b"") if frame.comment else b""
        return block(6, head + kept + b"\0" * (-len(kept) % 4) + said)

    def _statistics(self, number: int) -> bytes:
        interface, mine = self.interfaces[number], [f.time for f in self.frames if f.interface == number]
        if interface.received is None and interface.dropped is None:
            return b""
        first, last = (min(mine), max(mine)) if mine else (0, 0)
        said = b""
        for code, time in ((2, first), (3, last)):
            said += option(code, struct.pack("<II", time >> 32, time & 0xFFFFFFFF))
        for code, count in ((4, interface.received), (5, interface.dropped)):
            said += b"" if count is None else option(code, struct.pack("<Q", count))
        return block(5, struct.pack("<III", number, last >> 32, last & 0xFFFFFFFF) + said + option(0, b""))


def option(code: int, data: bytes) -> bytes:
    if code and not data:
        return b""
    return struct.pack("<HH", code, len(data)) + data + b"\0" * (-len(data) % 4)


def block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def name_record(entry: tuple[str, str]) -> bytes:
    where, name = entry
    if ":" in where:
        data, kind = address(where), 2
    else:
        data, kind = bytes(map(int, where.split("."))), 1
    data += name.encode() + b"\0"
    return struct.pack("<HH", kind, len(data)) + data + b"\0" * (-len(data) % 4)
