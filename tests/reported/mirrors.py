"""Worlds that a collector captured: every frame in a mirror's header, several nodes in one file."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.reported import frames as f
from tests.reported.files import Capture, Interface
from tests.reported.world import World

Wrap = Callable[[int, int, bytes], bytes]  # number of the node from 1, number of the frame, frame

SWITCH, COLLECTOR = "198.51.100.1", "198.51.100.77"


def _to_collector(protocol: int, payload: bytes, source: str = SWITCH) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 62, protocol, 0)
    head += f.address(source) + f.address(COLLECTOR)
    head = head[:10] + struct.pack("!H", f.internet_checksum(head)) + head[12:]
    return f.mac("02:00:5e:10:00:01") + f.mac("02:00:5e:10:00:02") + b"\x08\x00" + head + payload


def _datagram(dport: int, payload: bytes, source: str) -> bytes:
    return _to_collector(17, struct.pack("!HHHH", 61000, dport, 8 + len(payload), 0) + payload, source)


def erspan1(node: int, number: int, frame: bytes) -> bytes:
    return _to_collector(47, f.erspan1(frame), f"198.51.100.{node}")


def erspan2(node: int, number: int, frame: bytes) -> bytes:
    return _to_collector(47, f.erspan2(frame, 40 + node, number))


def erspan3(node: int, number: int, frame: bytes) -> bytes:
    return _to_collector(47, f.erspan3(frame, 700 + node, number, 1000 * number))


def aws(node: int, number: int, frame: bytes) -> bytes:
    return _datagram(4789, f.vxlan(11_000_000 + node, frame), f"172.31.8.{10 + node}")


def tzsp(node: int, number: int, frame: bytes) -> bytes:
    return _datagram(37008, b"\x01\x00\x00\x01" + b"\x01" + frame, f"198.51.100.{node}")


def plain_gre(node: int, number: int, frame: bytes) -> bytes:
    return _to_collector(47, f.gre(0x6558, frame, key=90 + node))


def _pieces(frame: bytes, mtu: int | None, ident: int) -> Iterator[bytes]:
    """Cut the IPv4 packet of a copy that is larger than the path's MTU (RFC 791 section 3.2)."""
    if mtu is None or len(frame) - 14 <= mtu:
        yield frame
        return
    head, payload, step = frame[14:34], frame[34:], (mtu - 20) // 8 * 8
    for at in range(0, len(payload), step):
        part = payload[at : at + step]
        more = at + step < len(payload)
        made = (
            head[:2] + struct.pack("!HHH", 20 + len(part), ident & 0xFFFF, more << 13 | at // 8) + head[8:10]
        )
        made += struct.pack("!H", f.internet_checksum(made + bytes(2) + head[12:])) + head[12:]
        yield frame[:14] + made + part


class Mirrored(World):
    """A world that a collector captured: `wrap` is its mirror, `lost_copies` counts those that got lost."""

    wrap: Wrap = staticmethod(erspan2)
    one_file = True
    cut_bytes: int | None = None  # of the copied frame, as AWS does
    mtu: int | None = None  # on the path to the collector: larger copies come in fragments
    lost_copies: Callable[[int, int], bool] = staticmethod(lambda node, number: False)

    def write(self, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        files = [Capture("collector")] if self.one_file else [Capture(c.name) for c in self.captures]
        for node, capture in enumerate(self.captures, 1):
            for number, frame in enumerate(sorted(capture.frames, key=lambda x: x.time), 500):
                if self.lost_copies(node, number):
                    continue
                data = frame.data if self.cut_bytes is None else frame.data[: self.cut_bytes]
                for piece in _pieces(self.wrap(node, number, data), self.mtu, 7 * number + node):
                    files[0 if self.one_file else node - 1].add(frame.time, piece)
        return sorted(capture.write(folder) for capture in files)


class Merged(World):
    """A world whose captures stand in one pcapng, an interface each."""

    interfaces: tuple[Interface, ...] = ()

    def write(self, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        named = self.interfaces or tuple(Interface(f"eth0@{c.name}") for c in self.captures)
        merged = Capture("merged", interfaces=list(named), ng=True)
        for number, capture in enumerate(self.captures):
            for frame in capture.frames:
                merged.add(frame.time, frame.data, number)
        return [merged.write(folder)]
