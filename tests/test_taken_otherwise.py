"""The same traffic captured in other ways: the cause, its direction and each lost packet stay the same.

Frames of recordings are written again as other programs, devices and options would have: the truth stands.
"""

import gzip
import struct
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import dpkt
import pytest

import vxlanalyze as vx
from tests.report.recorded import CAPTURES

Frame = tuple[int, int, bytes]  # time in ns, length on the wire, captured octets
Rewrite = Callable[[list[Frame]], list[Frame]]

IP = {b"\x08\x00", b"\x86\xdd"}
TRUNK, SERVICE_AND_TRUNK = b"\x81\x00\x00\x64", b"\x88\xa8\x00\x05\x81\x00\x00\x64"
ETHERNET, RAW, SLL, SLL2 = 1, 101, 113, 276


def as_it_is(frames: list[Frame]) -> list[Frame]:
    return frames


def tagged(tag: bytes) -> Rewrite:
    """On a trunk port."""
    return lambda frames: [(t, n + len(tag), f[:12] + tag + f[12:]) for t, n, f in frames]


def cut(length: int) -> Rewrite:
    """With ``-s``."""
    return lambda frames: [(t, n, f[:length]) for t, n, f in frames]


def raw(frames: list[Frame]) -> list[Frame]:
    """On a device without link layer, where there is no ARP."""
    return [(t, n - 14, f[14:]) for t, n, f in frames if f[12:14] in IP]


def cooked(frames: list[Frame]) -> list[Frame]:
    """Linux cooked, version 1."""
    return [(t, n + 2, struct.pack(">HHH", 0, 1, 6) + f[6:12] + b"\0\0" + f[12:]) for t, n, f in frames]


def cooked_2(frames: list[Frame]) -> list[Frame]:
    """Linux cooked, version 2."""
    head = struct.pack(">2xIHBB", 2, 1, 0, 6)
    return [(t, n + 6, f[12:14] + head + f[6:12] + b"\0\0" + f[14:]) for t, n, f in frames]


def routed(frames: list[Frame]) -> list[Frame]:
    """Behind three routers: TTL less, DSCP cleared, other MACs."""
    return [(t, n, _routed(f) if f[12:14] == b"\x08\x00" else f) for t, n, f in frames]


def _routed(frame: bytes) -> bytes:
    ip = bytearray(frame[14:])
    header = (ip[0] & 15) * 4
    ip[1], ip[8], ip[10:12] = 0, max(1, ip[8] - 3), b"\0\0"
    ip[10:12] = dpkt.in_cksum(bytes(ip[:header])).to_bytes(2, "big")
    return b"\x02\xaa\0\0\0\1\x02\xaa\0\0\0\2" + frame[12:14] + bytes(ip)


def in_2055(frames: list[Frame]) -> list[Frame]:
    return [(t + 900_000_000 * 10**9, n, f) for t, n, f in frames]


WAYS: dict[str, tuple[tuple[int, Rewrite], tuple[int, Rewrite]]] = {
    "tagged": ((ETHERNET, tagged(SERVICE_AND_TRUNK)), (ETHERNET, tagged(TRUNK))),
    "cooked": ((SLL, cooked), (SLL2, cooked_2)),
    "raw": ((RAW, raw), (RAW, raw)),
    "routed": ((ETHERNET, as_it_is), (ETHERNET, routed)),
    "cut-at-the-first": ((ETHERNET, cut(120)), (ETHERNET, as_it_is)),
    "cut-at-the-second": ((ETHERNET, as_it_is), (ETHERNET, cut(120))),
    "cut": ((ETHERNET, cut(160)), (ETHERNET, cut(160))),
    "cut-without-a-word": ((ETHERNET, as_it_is), (ETHERNET, cut(130))),  # as `editcap -s` does
    "late": ((ETHERNET, in_2055), (ETHERNET, in_2055)),
}
RECORDINGS = ["random-loss", "blackhole-and-loss", "healthy-ipv6-underlay", "pod-refuses"]


@cache
def read(path: Path) -> list[Frame]:
    """All frames of a gzipped pcap of the recordings."""
    data = gzip.decompress(path.read_bytes())
    order = "<" if data[0] in (0xD4, 0x4D) else ">"
    second = 1 if data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
    frames, at = [], 24
    while at < len(data):
        seconds, fraction, captured, length = struct.unpack_from(order + "4I", data, at)
        frames.append((seconds * 10**9 + fraction * second, length, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return frames


def write(path: Path, link_type: int, frames: list[Frame], told: bool = True) -> None:
    """Write a big-endian pcap; `told` says whether its header tells the snap length."""
    snap_length = max(len(octets) for _, _, octets in frames) if told else 262144
    parts = [struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap_length, link_type)]
    for time_ns, length, octets in frames:
        parts += [struct.pack(">4I", *divmod(time_ns, 10**9), len(octets), length), octets]
    path.write_bytes(b"".join(parts))


def answer(captures: list[Path]) -> tuple[list[tuple[str, str | None]], Counter[tuple[object, ...]]]:
    """Codes and directions of what is wrong, and the lost packets."""
    result = vx.compare(*captures)
    lost = result.packets[result.packets["outcome"] == "lost"]
    lost = lost[["direction", "src", "dst", "sport", "dport", "protocol", "ip_id"]]
    wrong = [(f.code, f.direction) for f in result.findings if f.severity != "info"]
    return wrong, Counter(lost.astype(str).itertuples(index=False, name=None))


@cache
def as_recorded(name: str) -> tuple[list[tuple[str, str | None]], Counter[tuple[object, ...]]]:
    return answer([CAPTURES / name / f"{node}.pcap.gz" for node in ("node1", "node2")])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", RECORDINGS)
def test_how_a_capture_was_taken_does_not_change_the_answer(name: str, way: str, tmp_path: Path):
    for node, (link_type, rewrite) in zip(("node1", "node2"), WAYS[way], strict=True):
        frames = rewrite(read(CAPTURES / name / f"{node}.pcap.gz"))
        write(tmp_path / f"{node}.pcap", link_type, frames, told=way != "cut-without-a-word")
    wrong, lost = answer([tmp_path / "node1.pcap", tmp_path / "node2.pcap"])
    wrong_as_recorded, lost_as_recorded = as_recorded(name)
    assert [w for w in wrong if w[0] != "truncated-capture"] == wrong_as_recorded
    assert lost == lost_as_recorded
