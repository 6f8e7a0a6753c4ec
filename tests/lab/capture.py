"""Captures: tcpdump or dumpcap at a place of the topology, then clock and compression."""

from __future__ import annotations

import gzip
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab import clocks, workloads
from tests.lab.faults import LOG_GROUP
from tests.lab.namespaces import LabError, Namespaces, stop
from tests.lab.scenario import Capture, Clock
from tests.lab.topology import NIC, Topology, host_device

READY_WORDS = ("listening on", "Capturing on")
READY_WITHIN_S = 5.0
SUFFIXES = {"gzip": ".gz", "zstd": ".zst", "none": ""}


@dataclass
class Recorder:
    """One capture that runs, or will."""

    capture: Capture
    path: Path
    log: Path
    namespace: str
    command: list[str]
    spaces: Namespaces
    program: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it sees packets.

        Raises
        ------
        LabError
            Where the program ends or stays silent instead.
        """
        with self.log.open("w") as output:
            self.program = self.spaces.start(self.namespace, self.command, output)
        self.wait()

    def wait(self) -> None:
        """Wait until it sees packets."""
        end_s = time.monotonic() + READY_WITHIN_S
        while not any(word in self.said() for word in READY_WORDS):
            if time.monotonic() > end_s or self.program is None or self.program.poll() is not None:
                raise LabError(f"{self.capture.tool} does not capture: {self.said()}")
            time.sleep(0.02)

    def said(self) -> str:
        """What the program has said so far."""
        return self.log.read_text() if self.log.exists() else ""

    def stop(self) -> None:
        """End it as Ctrl-C does, so that it writes its statistics."""
        if self.program is not None:
            stop(self.program, signal.SIGINT)

    def pause(self, paused: bool) -> None:
        """Stop reading for a while, or go on; the kernel drops what does not fit the buffer."""
        if self.program is not None:
            self.program.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)


def prepare(capture: Capture, topology: Topology, spaces: Namespaces, folder: Path) -> Recorder:
    """Work out what to run; starts nothing."""
    folder = folder / capture.folder
    folder.mkdir(parents=True, exist_ok=True)
    namespace, _, interface = capture.at.partition("/")
    known = {"nic": NIC, "any": "any", "tunnel": topology.cluster.device}
    device = known.get(interface) or host_device(interface)
    suffix = "pcapng" if capture.tool == "dumpcap" else "pcap"
    path = folder / f"{capture.name}.{suffix}"
    if capture.rotate_kb:
        path.mkdir()
    command = (_dumpcap if capture.tool == "dumpcap" else _tcpdump)(capture, device, path)
    return Recorder(capture, path, folder / f"{capture.name}.log", namespace, command, spaces)


def _tcpdump(capture: Capture, device: str, path: Path) -> list[str]:
    command = shlex.split(f"tcpdump -n -U -Z root -B {capture.buffer_kib} -i {device} -w {path}")
    if capture.snaplen:
        command += ["-s", str(capture.snaplen)]
    if capture.frames:
        command += ["-c", str(capture.frames)]
    if capture.nanoseconds:
        command += ["--time-stamp-precision", "nano"]
    return [*command, capture.filter] if capture.filter else command


def _dumpcap(capture: Capture, device: str, path: Path) -> list[str]:
    name = path / path.name if capture.rotate_kb else path
    command = ["dumpcap", "-q", "-B", str(max(1, capture.buffer_kib // 1024)), "-i", device, "-w", str(name)]
    if capture.snaplen:
        command += ["-s", str(capture.snaplen)]
    if capture.rotate_kb:
        command += ["-b", f"filesize:{capture.rotate_kb}"]
    return [*command, "-f", capture.filter] if capture.filter else command


def watch_drops(node: str, spaces: Namespaces, folder: Path) -> Recorder:
    """Prepare a capture of the packets that a node's faults drop (netfilter's log), for the truth."""
    capture = Capture(name=f"drops-{node}", at=f"{node}/nflog")
    path = folder / f"{capture.name}.pcap"
    command = _tcpdump(capture, f"nflog:{LOG_GROUP}", path)
    return Recorder(capture, path, path.with_suffix(".log"), node, command, spaces)


def begin(recorder: Recorder) -> None:
    """Start a capture before the work, unless it is one that begins late."""
    if not recorder.capture.begin_s:
        recorder.start()


def set_alarms(recorder: Recorder) -> None:
    """Now that the work begins, set the alarms of a capture that begins late, ends early or pauses."""
    capture = recorder.capture
    if capture.begin_s:
        workloads.later(capture.begin_s, recorder.start)
    if capture.end_s:
        workloads.later(capture.end_s, recorder.stop)
    if capture.pause_s:
        workloads.later(capture.pause_s[0], lambda: recorder.pause(True))
        workloads.later(capture.pause_s[1], lambda: recorder.pause(False))


def finish(recorder: Recorder, clock: Clock) -> int | None:
    """Bend the clock, compress; return the true time of the first frame, if there is one."""
    files = sorted(recorder.path.iterdir()) if recorder.path.is_dir() else [recorder.path]
    firsts = [clocks.first_time_ns(file) for file in files]
    first = min((time_ns for time_ns in firsts if time_ns is not None), default=None)
    for file in files:
        if first is not None:
            clocks.bend(file, clock, first)
        _compress(file, recorder.capture.compress)
    return first


def _compress(file: Path, how: str) -> None:
    target = file.with_name(file.name + SUFFIXES[how])
    if how == "gzip":
        with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            packed.write(file.read_bytes())
    elif how == "zstd":
        subprocess.run(["zstd", "-q", "-19", str(file), "-o", str(target)], check=True)
    if how != "none":
        file.unlink()
