"""What goes wrong around a run: it ends clearly, nothing is half written, and nothing is left behind."""

import contextlib
import gzip
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capture import build
from tests.command.conftest import SEED, environment
from tests.simulate import comparison
from vxlanalyze import diagnostics
from vxlanalyze.analysis.finding import Diagnostic
from vxlanalyze.command import cli
from vxlanalyze.export.signals import TerminatedError, signals_unwind
from vxlanalyze.pipeline import run as pipeline

NODE1, NODE2 = SEED / "node1.pcap.gz", SEED / "node2.pcap.gz"
WRITING = {
    "json": ("-o", "r.json"),
    "html": ("-o", "r.html"),
    "text": ("-o", "r.txt", "-o", "r.xml"),
    "tables": ("--tables", "t"),
    "annotate": ("--annotate", "t"),
    "decapsulate": ("--decapsulate", "t"),
}


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def refused(capsys, *arguments):
    """The error of a run that ends with 2: one line, and no other output."""
    status, out, err = run(capsys, *arguments)

    assert (status, out, err.count("\n")) == (2, "", 1)
    return err


@contextlib.contextmanager
def files_of_at_most(size_bytes):
    """No file may grow beyond a size, which is what a full disk looks like to whoever writes."""
    before, wrote = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # else Python keeps the first bytes of a module for the whole
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = wrote


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("outputs", WRITING.values(), ids=WRITING)
def test_a_full_disk(capsys, here, outputs):
    with files_of_at_most(100):
        told = refused(capsys, NODE1, NODE2, *outputs, "--quiet")

    assert "cannot be written (File too large)" in told
    assert os.listdir(here) == []


@pytest.mark.parametrize("outputs", [("-o", "/proc/r.json"), ("--tables", "/proc/t")])
def test_a_place_where_nothing_can_be_made(capsys, here, outputs):
    """Also for root, who may write everywhere else."""
    assert outputs[1] in refused(capsys, NODE1, NODE2, "-o", "r.md", *outputs)
    assert os.listdir(here) == []


def test_what_was_there_before_stays_where_a_run_fails(capsys, here):
    (here / "r.json").write_text("earlier")
    with files_of_at_most(100):
        refused(capsys, NODE1, NODE2, "-o", "r.json", "--quiet")

    assert (here / "r.json").read_text() == "earlier"


def _removed(path):
    path.unlink()


def _grown(path):
    with path.open("ab") as file:
        file.write(bytes(50))


def _cut(path):
    os.truncate(path, 500)


def _replaced(path):
    path.write_bytes(path.read_bytes()[::-1])


@pytest.mark.parametrize("change", [_removed, _grown, _cut, _replaced])
@pytest.mark.parametrize("moment", ["open_points", "_decode_all", "diagnose"])
def test_an_input_that_changes_under_the_run(capsys, here, monkeypatch, change, moment):
    """Before it is decoded, before it is paired, and while the diagnostics look into packets again."""
    pcap = here / "node1.pcap"
    pcap.write_bytes(gzip.decompress(NODE1.read_bytes()))
    owner = {"open_points": "vxlanalyze.pipeline.opening", "_decode_all": "vxlanalyze.pipeline.decoding"}.get(
        moment, "vxlanalyze.diagnostics"
    )
    whole = getattr(sys.modules[owner], moment)

    def changing(*arguments, **options):
        if moment == "diagnose":
            change(pcap)
        answer = whole(*arguments, **options)
        if moment != "diagnose":
            change(pcap)
        return answer

    monkeypatch.setattr(sys.modules[owner], moment, changing)
    told = refused(capsys, pcap, NODE2, "-o", "r.json", "--annotate", "a")

    assert "node1.pcap: " in told
    assert "no such file" in told if change is _removed else "it changed while it was read" in told
    assert os.listdir(here) == ([] if change is _removed else ["node1.pcap"])


@pytest.mark.parametrize("place", [pipeline.pairing, pipeline.diagnostics, pipeline])
def test_too_little_memory_is_an_error_of_one_line(capsys, here, monkeypatch, place):
    name = {pipeline.pairing: "pair", pipeline.diagnostics: "diagnose"}.get(place, "build")

    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(place, name, full)

    assert "not enough memory for so many packets" in refused(capsys, NODE1, NODE2, "-o", "r.json")
    assert os.listdir(here) == []


def test_a_question_that_runs_out_of_memory_is_not_broken(monkeypatch):
    def full(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        diagnostics.diagnose(comparison(), diagnostics=(Diagnostic("full", full),))


@pytest.mark.parametrize("limit_kb", [100_000, 600_000])
def test_an_address_space_too_small_to_begin(vxlanalyze, limit_kb):
    limit = (limit_kb * 1024, limit_kb * 1024)
    done = vxlanalyze(NODE1, NODE2, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit))

    assert (done.returncode, done.stdout) == (2, "")
    assert "too little to begin; 700 MB or more are needed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_home_that_cannot_be_written(vxlanalyze):
    """As in many containers: matplotlib keeps its fonts elsewhere, and no word about it."""
    home = {"HOME": "/proc/no", "MPLCONFIGDIR": "/proc/no"}
    done = vxlanalyze(NODE1, NODE2, "--quiet", "-o", "r.html", environment=home)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def wait_for_numpy(process):
    """Wait until the program is there: before, a signal meets the interpreter that starts."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if "_multiarray_umath" in Path(f"/proc/{process}/maps").read_text():
                return
        time.sleep(0.01)


ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}


@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_a_signal_at_any_moment_leaves_whole_outputs_or_none(tmp_path, number):
    """Only what no program can put away after a SIGKILL is hidden, and no run stumbles over it."""
    chance = random.Random(number)
    command = [sys.executable, "-m", "vxlanalyze", NODE1, NODE2, "--no-progress", "--quiet"]
    for _ in range(3):
        outputs = ["-o", "r.json", "-o", "r.md", "--tables", "t", "--annotate", "t"]
        process = subprocess.Popen(
            [*command, *outputs], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
        )
        wait_for_numpy(process.pid)
        time.sleep(chance.uniform(0, 1.5))
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        shown = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("[!.]*") if p.is_file())

        # Behind the last line of the program the interpreter itself still ends, and a signal then ends it.
        done = (process.returncode in (0, -number) and number != signal.SIGKILL) or process.returncode == 0
        assert done or process.returncode == ENDS[number], told
        # A signal that meets a destructor is told and passed over by the interpreter: the run goes on.
        words = ("", "vxlanalyze: interrupted\n", "vxlanalyze: terminated\n")
        assert told in words or (process.returncode == 0 and told.startswith("Exception ignored"))
        whole = ["r.json", "r.md", "t/flows.parquet", "t/frames-node1.parquet", "t/frames-node2.parquet"]
        whole += ["t/node1.pcapng", "t/node2.pcapng", "t/packets.parquet"]
        if number != signal.SIGKILL:
            assert not list(tmp_path.rglob(".*"))
            assert shown == (whole if done else [])
        for entry in tmp_path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def test_an_interrupt_while_data_classes_are_made(tmp_path):
    """Python runs their methods' source as strings, and would end itself by the signal afterwards."""
    interrupting = (
        "import vxlanalyze.command.cli\n"
        "def main():\n exec('raise KeyboardInterrupt')\n"
        "vxlanalyze.command.cli.main = main"
    )
    (tmp_path / "sitecustomize.py").write_text(interrupting)
    paths = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    command = [sys.executable, "-m", "vxlanalyze", NODE1, NODE2]
    done = subprocess.run(
        command, env=environment(PYTHONPATH=paths), capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (130, "vxlanalyze: interrupted\n")


def test_an_interrupt_does_not_wait_for_the_digest_of_a_large_file(tmp_path):
    """Half a terabyte of nothing behind a good frame."""
    large = tmp_path / "large.pcap"
    large.write_bytes(build.pcap(build.packets(3)))
    os.truncate(large, 500 << 30)
    command = [sys.executable, "-m", "vxlanalyze", large, NODE2, "--format", "json"]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_for_numpy(process.pid)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)

    assert (process.returncode, told) == (130, "vxlanalyze: interrupted\n")


def _at(seconds):
    return build.pcap([build.Packet(seconds + k, 0, frame, len(frame)) for k, frame in enumerate(_frames())])


def _frames():
    """The frames of the sample's first capture."""
    content, at, frames = gzip.decompress(NODE1.read_bytes()), 24, []
    while at < len(content):
        length = struct.unpack_from("<I", content, at + 8)[0]
        frames.append(content[at + 16 : at + 16 + length])
        at += 16 + length
    return frames


@pytest.mark.parametrize("seconds", [0, 0x7FFFFFF0, 0xFFFFFF00], ids=["1970", "2038", "2106"])
def test_times_at_the_ends_of_the_calendar(capsys, here, seconds):
    for name in ("n1.pcap", "n2.pcap"):
        (here / name).write_bytes(_at(seconds))
    outputs = ("-o", "r.json", "-o", "r.html", "--tables", "t", "--annotate", "a", "--decapsulate", "d")

    assert run(capsys, "n1.pcap", "n2.pcap", *outputs, "--quiet") == (0, "", "")


def test_a_clock_that_runs_backwards(capsys, here):
    frames = [build.Packet(1_700_000_000 - 60 * k, 0, f, len(f)) for k, f in enumerate(_frames())]
    for name in ("n1.pcap", "n2.pcap"):
        (here / name).write_bytes(build.pcap(frames))

    assert run(capsys, "n1.pcap", "n2.pcap", "-o", "r.html", "--tables", "t", "--quiet") == (0, "", "")


def test_a_hundred_thousand_interfaces(capsys, here):
    blocks = [build.interface(1, k % 7) for k in range(100_000)]
    packets = [build.enhanced(frame, 10**15 + k, 99_000 + k) for k, frame in enumerate(_frames())]
    (here / "n1.pcapng").write_bytes(build.section() + b"".join(blocks + packets))

    assert run(capsys, "n1.pcapng", NODE2, "-o", "r.json", "--annotate", "a", "--quiet") == (0, "", "")
    assert (here / "r.json").stat().st_size < 20_000_000


def test_a_record_of_four_gigabytes(capsys, here):
    content = gzip.decompress(NODE1.read_bytes())
    claim = struct.pack("<IIII", 1_700_000_000, 0, 0xFFFFFFFF, 0xFFFFFFFF)
    (here / "n1.pcap").write_bytes(content[:24] + claim + content[24:])
    status, out, err = run(capsys, "n1.pcap", NODE2)

    assert (status, err) == (0, "")
    assert "capture-damaged" in out


def test_a_signal_while_a_class_is_created_is_not_an_error():
    class Field:
        def __set_name__(self, owner: type, name: str) -> None:
            raise TerminatedError(signal.SIGHUP)

    with pytest.raises(TerminatedError), signals_unwind():
        type("Made", (), {"field": Field()})
