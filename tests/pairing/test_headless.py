"""What a short snap length leaves of a recorded pair: right answers, or none, and never a false one."""

import gzip
import struct
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import vxlanalyze as vx

CAPTURES = Path(__file__).parents[1] / "captures"
RECORD = struct.Struct("<IIII")


def cut(folder: Path, to: Path, snaps: tuple[int, int], port: int | None = None) -> list[Path]:
    """Write the two captures of a recording cut to so many octets a frame, on another tunnel port."""
    written = []
    for name, snap in zip(("node1", "node2"), snaps, strict=True):
        data = gzip.decompress((folder / f"{name}.pcap.gz").read_bytes())
        out, at = bytearray(data[:24]), 24
        while at < len(data):
            seconds, fraction, captured, original = RECORD.unpack_from(data, at)
            frame = bytearray(data[at + 16 : at + 16 + min(captured, snap)])
            if port is not None and frame[12:14] == b"\x08\x00" and frame[23] == 17:
                frame[36:38] = port.to_bytes(2, "big")
            out += RECORD.pack(seconds, fraction, len(frame), original) + frame
            at += 16 + captured
        written.append(to / f"{name}.pcap")
        written[-1].write_bytes(out)
    return written


def faults(comparison: vx.Comparison) -> list[str]:
    limits = ("truncated-capture", "clock-step")
    return [f.code for f in comparison.findings if f.severity != "info" and f.code not in limits]


@cache
def lost_whole(name: str) -> Counter[tuple[str, int]]:
    return lost(vx.compare(*(CAPTURES / name / f"{n}.pcap.gz" for n in ("node1", "node2"))))


def lost(comparison: vx.Comparison) -> Counter[tuple[str, int]]:
    """Lost packets by direction and protocol."""
    packets = comparison.packets
    gone = packets[packets["outcome"] == "lost"]
    return Counter(zip(gone["direction"], gone["protocol"], strict=True))


@pytest.mark.parametrize("snaps", [(50, 50), (60, 60), (64, 64), (80, 80), (80, 400), (400, 64)], ids=str)
@pytest.mark.parametrize("port", [None, 7777])
def test_without_inner_headers_nothing_is_judged(tmp_path: Path, snaps: tuple[int, int], port: int) -> None:
    """Not the loss that is there, and no loss, nothing in common or capture loss that is not."""
    result = vx.compare(*cut(CAPTURES / "random-loss", tmp_path, snaps, port))

    assert faults(result) == []
    assert "cannot be distinguished from other packets" in result.verdict
    open_ = {(n["code"], n["direction"]) for n in result.not_assessed}
    assert {("packet-loss", "node1>node2"), ("path-blocked", "node2>node1")} <= open_
    assert not lost(result)


@pytest.mark.parametrize("snap", [84, 88, 91])
def test_without_sequence_numbers_tcp_is_left_out_and_the_rest_judged(tmp_path: Path, snap: int) -> None:
    result = vx.compare(*cut(CAPTURES / "random-loss", tmp_path, (snap, snap)))

    whole = lost_whole("random-loss")
    assert lost(result) == Counter({key: n for key, n in whole.items() if key[1] != 6})
    assert not {"mtu-blackhole", "capture-loss"} & set(faults(result))


@pytest.mark.parametrize("snap", [92, 96, 110])
def test_with_sequence_numbers_every_loss_is_found(tmp_path: Path, snap: int) -> None:
    assert lost(vx.compare(*cut(CAPTURES / "random-loss", tmp_path, (snap, snap)))) == lost_whole(
        "random-loss"
    )


def test_the_length_told_is_that_of_the_frames_whatever_the_header_says(tmp_path: Path) -> None:
    result = vx.compare(*cut(CAPTURES / "random-loss", tmp_path, (72, 72)))

    assert [capture["snaplen"] for capture in result.captures] == [72, 72]
