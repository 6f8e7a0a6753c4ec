"""Mirrors are taken off, each session is a point, and a tunnel in a tunnel is none."""

import struct
from pathlib import Path

import pytest

from tests.reported import mirrors as made
from tests.reported.pairs.k17_mirrors import talk
from tests.wire import build
from vxlanalyze.pipeline.decoding import decode_all
from vxlanalyze.pipeline.opening import open_points
from vxlanalyze.wire.mirrors import mirror_of

NODE1, NODE2 = build.NODE1, build.NODE2


def underlay(forth: bool = True, number: int = 0) -> bytes:
    """A frame of an underlay that carries VXLAN, of one or the other direction."""
    src, dst = (NODE1, NODE2) if forth else (NODE2, NODE1)
    inner = build.ethernet(build.ipv4(build.udp(bytes([number]) * 40), build.UDP))
    header = struct.pack("!BBHI", 8, 0, 0, 7 << 8)
    return build.ethernet(build.ipv4(build.udp(header + inner, src, dst, dport=4789), build.UDP, src, dst))


def write(path: Path, frames: list[bytes]) -> Path:
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for number, frame in enumerate(frames):
        records += [struct.pack("<IIII", 1000 + number, 0, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(records))
    return path


@pytest.mark.parametrize(
    "wrap", [made.erspan1, made.erspan2, made.erspan3, made.aws, made.tzsp, made.plain_gre]
)
def test_two_sessions_in_one_file_are_two_points(wrap: made.Wrap, tmp_path: Path) -> None:
    own = build.ethernet(build.small_packet())  # the collector's own traffic
    frames = [own]
    for number in range(4):
        frames += [wrap(1, number, underlay(number=number)), wrap(2, number, underlay(False, number))]
    frames += [wrap(1, 4, underlay(False)), wrap(2, 4, underlay())]
    points = open_points([write(tmp_path / "collector.pcap", frames)])
    decoded = decode_all(points)

    assert len(points) == 2
    assert [len(d.index) for d in decoded] == [5, 5]
    assert decoded[0].frame is not None
    assert decoded[0].frame.tolist() == [2, 4, 6, 8, 10]
    assert set(decoded[0].flows.tunnel_depth) == {1}
    assert {mirror.others for point in points if (mirror := mirror_of(point))} == {1}


def test_missing_sequence_numbers_are_dropped_copies(tmp_path: Path) -> None:
    numbers = [0xFFFFFFFE, 0xFFFFFFFF, 1, 0, 5]
    path = write(tmp_path / "c.pcap", [made.erspan2(1, n, underlay(number=n & 15)) for n in numbers])
    (point,) = open_points([path])

    mirror = mirror_of(point)
    assert mirror is not None
    assert mirror.missing == 3
    assert point.statistics[-1].dropped == 3


def test_what_the_mirror_cut_is_cut_and_no_lie(tmp_path: Path) -> None:
    frames = [made.aws(1, n, underlay(n % 2 == 0, n)[:80]) for n in range(4)]
    (point,) = open_points([write(tmp_path / "c.pcap", frames)])
    (decoded,) = decode_all([point])

    mirror = mirror_of(point)
    assert mirror is not None
    assert (mirror.cut, mirror.cut_at_bytes) == (4, 80)
    assert set(decoded.index.anomalies & 5) == {1}  # cut, and no length that lies


def test_a_tunnel_in_a_tunnel_is_no_mirror(tmp_path: Path) -> None:
    """Virtual machines with an overlay of their own on hosts with another: each direction has its own way."""
    frames = []
    for number in range(4):
        for forth in (True, False):
            hosts = ("192.0.2.1", "192.0.2.2")[:: 1 if forth else -1]
            header = struct.pack("!BBHI", 8, 0, 0, 99 << 8)
            payload = build.udp(header + underlay(forth, number), *hosts, dport=4789)
            frames.append(build.ethernet(build.ipv4(payload, build.UDP, *hosts)))
    (point,) = open_points([write(tmp_path / "nested.pcap", frames)])

    assert mirror_of(point) is None
    assert set(decode_all([point])[0].flows.tunnel_depth) == {2}


@pytest.mark.parametrize("length", range(0, 130, 3))
def test_a_header_that_is_cut_ends_without_harm(length: int, tmp_path: Path) -> None:
    wraps = (made.erspan1, made.erspan2, made.erspan3, made.aws, made.tzsp)
    frames = [wrap(1, n, underlay())[:length] for n, wrap in enumerate(wraps)]
    points = open_points([write(tmp_path / "cut.pcap", frames)])

    assert sum(len(d.index) for d in decode_all(points)) <= len(frames)


def test_ordinary_captures_are_left_alone(tmp_path: Path) -> None:
    paths = talk(made.Merged(1)).run().write(tmp_path)

    assert {mirror_of(point) for point in open_points(paths)} == {None}
