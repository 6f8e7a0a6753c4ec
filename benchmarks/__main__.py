"""Measure the program beside the machine's own limits, in one run.

    python -m benchmarks [--packets N[,N...]] [--runs R] [--folder DIR] [--cluster N] [--peers] [--before DIR]

For each size: the speed of reading (a numpy sum of the mapped files), of decoding one capture, of
decoding both side by side, of pairing and what comes after it, and of the whole command with its text report,
also with one thread that decodes, and from the disk; seconds are medians, rates are packets a second. Sizes
are compared by what a frame takes; captures that do not fit into memory come from the disk, so there the
processor's time tells. Last come one and two workers of a Dask cluster. Goals stand beside what they are
goals for. A plain copy by tcpdump is measured where it is installed; `--peers` adds tshark, which takes
minutes. `--before` adds the whole command of an earlier version, from its checkout: the one from before
kernels were compiled at build time comes by `git worktree add DIR 83e55b0^`, and takes numba.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.adversaries import measure as measure_adversaries
from benchmarks.generate import generate

if TYPE_CHECKING:
    from vxlanalyze.capture.logical import LogicalCapture
    from vxlanalyze.wire.model import Decoded

TSHARK_FIELDS = [
    "frame.number",
    "frame.time_epoch",
    "frame.len",
    "ip.src",
    "ip.dst",
    "ip.id",
    "ip.len",
    "ip.ttl",
    "udp.srcport",
    "udp.dstport",
    "udp.checksum.status",
    "vxlan.vni",
    "eth.src",
    "eth.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.len",
    "tcp.checksum.status",
    "icmp.seq",
]


def median(action: Callable[[], object], runs: int) -> float:
    """Median seconds of an action, after one run that does not count."""
    action()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def command_peak_bytes(command: list[str]) -> int:
    """Most anonymous memory of a command that is started once, by the kernel's account, looked at often."""
    peak_kb = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            for line in status.read_text().splitlines():
                if line.startswith("RssAnon:"):
                    peak_kb = max(peak_kb, int(line.split()[1]))
            time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return peak_kb * 1024


def _forget(paths: list[str]) -> None:
    """Have the kernel forget what it has read of files, so that they come from the disk again."""
    for path in paths:
        with Path(path).open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _from_disk(paths: list[str], action: Callable[[], object]) -> float:
    _forget(paths)
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _read_through(paths: list[str]) -> None:
    """Read files side by side, as fast as they come."""

    def read(path: str) -> None:
        with Path(path).open("rb", buffering=0) as file:
            room = bytearray(4 << 20)
            while file.readinto(room):
                pass

    with ThreadPoolExecutor(len(paths)) as pool:
        list(pool.map(read, paths))


def goal(what: str, value: float, limit: float, unit: str) -> None:
    """Print a figure beside its goal, and whether it is met."""
    print(f"  {what:58} {value:8.2f} {unit:8} goal {limit:8.2f}  {'met' if value <= limit else 'missed'}")


def _processor_seconds(action: Callable[[], object]) -> float:
    """Time of all cores that the programs which an action starts take."""

    def taken() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = taken()
    action()
    return taken() - before


class Frame(NamedTuple):
    """What the whole command takes for a frame, in seconds."""

    wall: float
    processor: float


def measure(folder: Path, packets: int, runs: int, peers: bool, before: Path | None) -> Frame:
    """Print the figures of one size."""
    from vxlanalyze import pairing
    from vxlanalyze.capture import open_sources
    from vxlanalyze.wire import decode

    paths = [str(p) for p in generate(folder / str(packets), packets)]
    total_bytes = sum(Path(p).stat().st_size for p in paths)
    sources = open_sources(paths)

    def read() -> None:
        for path in paths:
            data = np.memmap(path, dtype=np.uint8, mode="r")
            data[: len(data) // 8 * 8].view(np.uint64).sum()

    def both() -> list[object]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(decode, sources))

    decoded = [decode(s) for s in sources]
    frames = [len(d.index) for d in decoded]
    command = [sys.executable, "-m", "vxlanalyze", *paths, "--no-progress"]
    floor = median(read, runs)
    whole = median(lambda: _run(command), runs)
    processor = statistics.median([_processor_seconds(lambda: _run(command)) for _ in range(runs)])
    disk, from_disk = (_from_disk(paths, a) for a in (lambda: _read_through(paths), lambda: _run(command)))
    both_frames = sum(frames)
    rows = [
        ("numpy sum of both files", floor, both_frames),
        ("chunks, one capture", median(lambda: [len(f) for f in sources[0].chunks()], runs), frames[0]),
        ("decode, one capture", median(lambda: decode(sources[0]), runs), frames[0]),
        ("decode, both side by side", median(both, runs), both_frames),
        ("pair", median(lambda: pairing.pair(list(zip(sources, decoded, strict=True))), runs), both_frames),
        ("whole command, text report", whole, both_frames),
        ("the same with --jobs 1", median(lambda: _run([*command, "--jobs", "1"]), runs), both_frames),
        ("reading, from the disk", disk, both_frames),
        ("whole command, from the disk", from_disk, both_frames),
    ]
    stages = _stages(sources, decoded, runs)
    rows[5:5] = [(name, seconds, both_frames) for name, seconds in stages]
    if before is not None:
        rows.append(("whole command, before", median(lambda: _run(command, before), runs), both_frames))
    others = _peers(paths, both_frames, peers)
    print(f"\n{packets:,} packets a capture, {total_bytes / 1e9:.2f} GB in both")
    for name, seconds, count in (*rows, *others):
        rate = f"{count / seconds / 1e6:8.2f} M packets/s"
        print(f"  {name:32} {seconds:8.3f} s {rate} {seconds / floor:8.1f} times the sum")
    goal("whole command against the sum", whole / floor, 8, "times")
    goal("whole command from the disk against reading", from_disk / disk, 1 / 0.9, "times")
    for name, seconds, _ in others:
        if name.startswith("tcpdump"):
            goal("whole command against tcpdump's copy", whole / seconds, 2, "times")
        else:
            goal("whole command against a ninetieth of tshark", whole / seconds * 90, 1, "times")
    for code, seconds in _slowest_diagnostics(sources, decoded):
        goal(f"{code}, processor time of a packet", seconds / both_frames * 1e6, 0.1, "us")
    allowed = 200 + 96e-6 * both_frames
    goal("anonymous memory without a limit", command_peak_bytes(command) / 1e6, allowed, "MB")
    for limit in ("128M", "512M"):
        peak = command_peak_bytes([*command, "--memory", limit]) / 1e6
        goal(f"anonymous memory with --memory {limit}", peak, int(limit[:-1]) * 1.048576, "MB")
    return Frame(whole / both_frames, processor / both_frames)


def _stages(sources: "list[LogicalCapture]", decoded: "list[Decoded]", runs: int) -> list[tuple[str, float]]:
    """Median seconds of what the command does beside decoding and pairing."""
    from vxlanalyze import diagnostics, pairing
    from vxlanalyze.report.build import build

    def answer() -> tuple[float, float]:
        comparison = pairing.pair(list(zip(sources, decoded, strict=True)))  # keeps what was asked for once
        start = time.perf_counter()
        diagnosis = diagnostics.diagnose(comparison)
        told = time.perf_counter()
        build(comparison, diagnosis, digests={}, plots=False)
        return told - start, time.perf_counter() - told

    load = [sys.executable, "-c", "import vxlanalyze.command.cli, vxlanalyze.pipeline.decoding"]
    answers = [answer() for _ in range(runs)]
    return [
        ("diagnose", statistics.median(a for a, _ in answers)),
        ("report", statistics.median(b for _, b in answers)),
        ("load what decodes", median(lambda: _run(load), runs)),
    ]


def _slowest_diagnostics(
    sources: "list[LogicalCapture]", decoded: "list[Decoded]"
) -> list[tuple[str, float]]:
    """Processor time of the three slowest diagnostics; what several share counts for the first of them."""
    from vxlanalyze import pairing
    from vxlanalyze.diagnostics import DIAGNOSTICS

    comparison = pairing.pair(list(zip(sources, decoded, strict=True)))
    took = []
    for diagnostic in DIAGNOSTICS:
        start = time.process_time()
        diagnostic.check(comparison)
        took.append((diagnostic.code, time.process_time() - start))
    return sorted(took, key=lambda each: -each[1])[:3]


def _run(command: list[str], folder: Path | None = None) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=folder)


def _peers(paths: list[str], frames: int, slow: bool) -> list[tuple[str, float, int]]:
    rows = []
    if slow and shutil.which("tshark"):
        fields = [argument for name in TSHARK_FIELDS for argument in ("-e", name)]
        start = time.perf_counter()
        for path in paths:
            _run(["tshark", "-r", path, "-d", "udp.port==8472,vxlan", "-T", "fields", *fields])
        rows.append((f"tshark -T fields, {len(TSHARK_FIELDS)} fields", time.perf_counter() - start, frames))
    if shutil.which("tcpdump"):

        def copy() -> None:
            for path in paths:
                subprocess.run(["tcpdump", "-r", path, "-w", "/dev/null"], check=True, capture_output=True)

        rows.append(("tcpdump -r -w /dev/null", median(copy, 5), frames))
    return rows


def measure_start(runs: int) -> None:
    """Print how long small runs take: nothing but starting."""
    samples = Path(__file__).parent.parent / "sample_pcaps" / "seed"
    pair = [str(samples / name) for name in ("node1.pcap.gz", "node2.pcap.gz")]
    command = [sys.executable, "-m", "vxlanalyze"]
    print("\nStarting")
    goal("the seed's pair, warm", median(lambda: _run([*command, *pair]), runs), 0.4, "s")
    goal("--help", median(lambda: _run([*command, "--help"]), runs), 0.06, "s")


def measure_cluster(folder: Path, packets: int, runs: int) -> None:
    """Print how two workers of a Dask cluster, of one thread each, do against one on four pairs of nodes."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        print("\nDask is not installed: pip install '.[dask]'")
        return
    from vxlanalyze import compare

    pairs = [generate(folder / f"cluster-{n}-{packets}", packets, seed=n) for n in range(4)]
    seconds = []
    for workers in (1, 2):
        with (
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers, threads_per_worker=1, dashboard_address=":0"
            ) as cluster,
            Client(cluster) as client,  # type: ignore[no-untyped-call]
            ThreadPoolExecutor(len(pairs)) as pool,
        ):
            client.wait_for_workers(workers)
            ask = partial(compare, client=client)
            seconds.append(median(partial(_all, pool, ask, pairs), runs))
    print(f"\nDask, 8 captures of {packets:,} packets (the goal speaks of 2,000,000)")
    for workers, took in enumerate(seconds, 1):
        print(f"  {workers} of 2 workers {took:8.2f} s {took / packets / 8 * 1e6:8.2f} us a packet")
    goal("two workers' time against one's", seconds[1] / seconds[0], 1 / 1.8, "times")


def _all(pool: ThreadPoolExecutor, ask: Callable[..., object], pairs: list[tuple[Path, Path]]) -> None:
    list(pool.map(lambda pair: ask(*pair), pairs))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packets", default="200000,1000000", help="sizes, separated by commas")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the captures there")
    parser.add_argument("--cluster", type=int, default=200_000, help="packets of each of 8 captures on Dask")
    parser.add_argument("--peers", action="store_true", help="measure tshark too")
    parser.add_argument("--before", type=Path, metavar="DIR", help="checkout of a version to compare with")
    options = parser.parse_args()
    measure_start(options.runs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        a_frame = {
            size: measure(folder.resolve(), size, options.runs, options.peers, options.before)
            for size in map(int, options.packets.split(","))
        }
        for size, limit in ((5_000_000, 1.15), (20_000_000, 1.25)):
            if 1_000_000 in a_frame and size in a_frame:
                here, there = a_frame[size], a_frame[1_000_000]
                what = f"a frame of {size:,} against one of 1,000,000"
                goal(what, here.wall / there.wall, limit, "times")
                goal(f"{what}: processor", here.processor / there.processor, limit, "times")
        measure_adversaries()
        if options.cluster:
            measure_cluster(folder, options.cluster, options.runs)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n(this benchmark itself used {own:,.0f} MB)")


if __name__ == "__main__":
    main()
