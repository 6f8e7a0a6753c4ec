"""Bent clocks: what is written into a capture is what tshark reads out of it."""

import gzip
import shutil
import subprocess
from pathlib import Path

import dpkt
import pytest

from tests.lab import clocks
from tests.lab.scenario import Clock

SECOND_NS = clocks.SECOND_NS


@pytest.mark.parametrize(
    ("clock", "since_s", "ahead_ns"),
    [
        (Clock(offset_ns=5), 3, 5),
        (Clock(drift_ppm=100.0), 3, 300_000),
        (Clock(step_at_s=2, step_ns=-7), 1, 0),
        (Clock(step_at_s=2, step_ns=-7), 2, -7),
        (Clock(offset_ns=-SECOND_NS, drift_ppm=-50.0, step_at_s=1, step_ns=9), 4, -SECOND_NS - 200_000 + 9),
    ],
)
def test_a_clock_is_ahead_by_offset_drift_and_step(clock: Clock, since_s: int, ahead_ns: int):
    first_ns = 1_800_000_000 * SECOND_NS
    true_ns = first_ns + since_s * SECOND_NS
    assert clocks.shown_ns(clock, true_ns, first_ns) - true_ns == ahead_ns


@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_times_are_bent(tmp_path: Path, nanoseconds: bool):
    file = tmp_path / "a.pcap"
    with file.open("wb") as raw:
        writer = dpkt.pcap.Writer(raw, nano=nanoseconds)
        for second in range(3):
            writer.writepkt(bytes(60), 1_800_000_000 + second)
    first_ns = clocks.first_time_ns(file)
    assert first_ns == 1_800_000_000 * SECOND_NS
    clocks.bend(file, Clock(offset_ns=250_000_000, drift_ppm=1000.0), first_ns)
    assert _tshark_times(file) == ["1800000000.250000000", "1800000001.251000000", "1800000002.252000000"]


def test_pcapng_times_are_bent_with_those_of_the_statistics(tmp_path: Path):
    recorded = Path(__file__).parents[1] / "captures" / "rotated-set" / "node1.pcapng"
    packed = sorted(recorded.iterdir())[0]
    file = tmp_path / "a.pcapng"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    before = _tshark_times(file)
    clocks.bend(file, Clock(offset_ns=SECOND_NS), clocks.first_time_ns(file) or 0)
    assert [
        int(float(now)) - int(float(then)) for then, now in zip(before, _tshark_times(file), strict=True)
    ] == [1] * len(before)


def test_an_empty_capture_has_no_first_time(tmp_path: Path):
    file = tmp_path / "a.pcap"
    with file.open("wb") as raw:
        dpkt.pcap.Writer(raw)
    assert clocks.first_time_ns(file) is None


def _tshark_times(file: Path) -> list[str]:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    command = ["tshark", "-r", str(file), "-T", "fields", "-e", "frame.time_epoch"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
