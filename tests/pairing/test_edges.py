"""Captures that are stopped together do not end at the same moment: what one lacks there is not lost."""

import struct
from collections.abc import Callable
from pathlib import Path

import vxlanalyze as vx
from tests.wire import build

_PER_S, _SECONDS = 50, 20


def _written(path: Path, frames: list[tuple[int, bytes]]) -> Path:
    records = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)]
    for time_ns, frame in frames:
        s, ns = divmod(time_ns, 1_000_000_000)
        records += [struct.pack("<IIII", 1_790_000_000 + s, ns, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(records))
    return path


def _telemetry(folder: Path, arrives: Callable[[float], bool]) -> vx.Comparison:
    """Datagrams of one direction and few replies of others; `arrives` says at what times node2 shows them."""
    sent = []
    for number in range(_PER_S * _SECONDS):
        inner = build.ipv4(
            build.udp(struct.pack("!I", number) + bytes(200), sport=4000, dport=514), build.UDP
        )
        frame = build.ethernet(build.vxlan(build.ethernet(inner)))
        sent.append((number * 1_000_000_000 // _PER_S, frame))
    received = [(t + 250_000, frame) for t, frame in sent if arrives(t / 1e9)]
    first = _written(folder / "node1.pcap", sent)
    second = _written(folder / "node2.pcap", received)
    return vx.compare(first, second)


def test_what_a_capture_lacks_at_its_edges_is_not_lost(tmp_path: Path) -> None:
    result = _telemetry(tmp_path, lambda at: 0.2 < at < 19.7)
    (hop,) = [h for h in result.hops if h["sent"]]

    assert (hop["lost"], hop["unknown"]) == (0, _PER_S // 5 + 1 + _PER_S * 3 // 10)
    assert not [f for f in result.findings if f.severity != "info"]


def test_a_path_that_dies_long_before_the_end_is_no_edge(tmp_path: Path) -> None:
    result = _telemetry(tmp_path, lambda at: at < 15)
    (hop,) = [h for h in result.hops if h["sent"]]

    assert hop["lost"] == _PER_S * 5


def test_losses_as_elsewhere_are_losses_at_the_edge_too(tmp_path: Path) -> None:
    result = _telemetry(tmp_path, lambda at: int(at * _PER_S + 0.5) % 4 < 2)
    (hop,) = [h for h in result.hops if h["sent"]]

    assert hop["unknown"] == 0
