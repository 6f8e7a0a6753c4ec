"""A recording leaves nothing behind, whether it ends or is interrupted. Needs root and the lab's programs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import record, scenario, verify
from tests.lab.namespaces import PREFIX, PROJECT, LabError

PROGRAMS = ("ip", "bridge", "iptables", "sysctl", "ethtool", "tcpdump", "iperf3", "dnsmasq", "ping")
SHORT = Path(__file__).parent / "scenarios" / "healthy-few-packets.toml"
PATIENCE_S = 20.0

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(shutil.which(program) for program in PROGRAMS),
    reason="recording needs root and the programs that tests/lab/README.md names",
)


def namespaces_of(process: int) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.startswith(f"{PREFIX}{process}-")]


def test_a_recording_agrees_with_its_truth_and_leaves_no_namespace(tmp_path: Path):
    frames = record.record(scenario.load(SHORT), tmp_path)
    assert frames["node1>node2.tunnel.seen"] == frames["node2>node1.tunnel.seen"] == 2
    assert verify.differences(tmp_path) == []
    assert namespaces_of(os.getpid()) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(LabError, match="no recording"):
        record.record(scenario.load(SHORT), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recording_leaves_no_namespace(tmp_path: Path, number: int):
    command = [sys.executable, "-m", "tests.lab", str(SHORT), str(tmp_path)]
    program = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end_s = time.monotonic() + PATIENCE_S
    while len(namespaces_of(program.pid)) < 2 and time.monotonic() < end_s:
        time.sleep(0.02)
    assert namespaces_of(program.pid) != []
    program.send_signal(number)
    assert program.wait(PATIENCE_S) == 130
    assert namespaces_of(program.pid) == []
