"""However little the system allows, a run ends with one line and status 2, and never with a traceback."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from tests.command.conftest import environment
from tests.command.test_faults import ENDS, NODE1, NODE2, refused, wait_for_numpy
from vxlanalyze.capture import opened
from vxlanalyze.command import cli, terminal
from vxlanalyze.pipeline import run as pipeline

LONGEST_NAME = 255  # bytes, of Linux' file systems


def allowing(files):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


@pytest.mark.parametrize("files", [6, 12])
def test_too_few_files_may_be_open(vxlanalyze, files):
    done = vxlanalyze(NODE1, NODE2, "-o", "r.html", "--tables", "t", preexec_fn=allowing(files))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"ulimit -n allows {files} open files" in done.stderr


def test_the_fewest_files_that_are_said_to_do_are_enough(vxlanalyze):
    outputs = ["-o", "r.html", "-o", "r.json", "--tables", "t", "--annotate", "a", "--memory", "400M"]
    done = vxlanalyze(NODE1, NODE2, *outputs, "--quiet", preexec_fn=allowing(20))

    assert (done.returncode, done.stderr) == (0, "")


def test_files_that_run_out_in_the_middle(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def none_left(*arguments, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(pipeline, "finish", none_left)

    assert "open files, too few for this run" in refused(capsys, NODE1, NODE2, "-o", "r.json")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("what", [["--help"], ["--version"], ["--explain"], ["--plan", "a", "b"]])
def test_standard_output_is_full(vxlanalyze, what):
    with open("/dev/full", "w") as full:
        done = vxlanalyze(*what, stdout=full, stderr=subprocess.PIPE, capture_output=False)

    assert done.returncode == 2
    assert done.stderr == (
        "vxlanalyze: error: standard output: cannot be written (No space left on device)\n"
    )


def test_standard_error_is_full(vxlanalyze):
    with open("/dev/full", "w") as full:
        done = vxlanalyze("nowhere.pcap", NODE2, stdout=subprocess.PIPE, stderr=full, capture_output=False)

    assert (done.returncode, done.stdout) == (2, "")


def test_a_pipe_without_a_writer_is_named(tmp_path, monkeypatch, capsys):
    """On a terminal at once; elsewhere after some seconds, where a writer has opened it."""
    monkeypatch.setattr(terminal, "_PIPE_NOTICE_AFTER_S", 0.05)
    with terminal.waiting_for(["a.pcap"]):
        time.sleep(0.5)

    assert capsys.readouterr().err == "vxlanalyze: waiting for a.pcap, a pipe, to be written\n"


def test_a_pipe_that_nobody_opens_for_writing(tmp_path, monkeypatch, capsys):
    os.mkfifo(tmp_path / "p.pcap")
    monkeypatch.setattr(opened, "WRITER_S", 0.3)

    assert refused(capsys, str(tmp_path / "p.pcap"), NODE2) == (
        f"vxlanalyze: error: {tmp_path}/p.pcap: a pipe that nobody opened for writing within 0.3 s; "
        "start what writes the capture first\n"
    )


def test_a_pipe_is_given_up_before_it_is_named():
    assert opened.WRITER_S < terminal._PIPE_NOTICE_AFTER_S


@pytest.mark.parametrize("delay", ["", "sleep 0.5; "], ids=["ended before", "ends later"])
def test_a_process_that_writes_nothing(vxlanalyze, tmp_path, delay):
    """Such a pipe cannot get another writer, however long one waits."""
    command = f'"{sys.executable}" -m vxlanalyze <({delay}true) "{NODE2}"'
    done = subprocess.run(
        ["bash", "-c", command], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "empty" in done.stderr


def test_a_writer_that_takes_its_time(tmp_path, monkeypatch, capsys):
    """One that has opened the pipe is waited for, however long it takes."""
    pipe = tmp_path / "p.pcap"
    os.mkfifo(pipe)
    monkeypatch.setattr(opened, "WRITER_S", 0.3)
    command = f'(sleep 1; cat "{NODE1}") > "{pipe}"'

    with subprocess.Popen(["bash", "-c", command]):
        assert cli.main([f"node1={pipe}", str(NODE2), "--quiet"]) == 0


def test_a_pipe_with_a_writer_is_not_named(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "_PIPE_NOTICE_AFTER_S", 0.3)
    with terminal.waiting_for(["a.pcap"]):
        pass
    time.sleep(0.5)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_with_memory_on_disk(tmp_path, number):
    """Never swallowed, and never a traceback: 3 of 21 were."""
    chance = random.Random(number)
    command = [sys.executable, "-m", "vxlanalyze", NODE1, NODE2, "--memory", "300M", "--no-progress", "-o"]
    for _ in range(4):
        process = subprocess.Popen(
            [*command, "r.json", "--quiet"],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_numpy(process.pid)
        time.sleep(chance.uniform(0, 1.2))
        process.send_signal(number)
        _, told = process.communicate(timeout=60)

        assert "Traceback" not in told
        assert process.returncode in (0, ENDS[number], -number)
        assert os.listdir(tmp_path) in ([], ["r.json"])
        for path in tmp_path.iterdir():
            path.unlink()


def test_names_as_long_as_a_file_system_takes(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    longest = [f"{'ä' * 124}{pad}{suffix}" for pad, suffix in (("xx", ".json"), ("xxx", ".txt"))]
    assert {len(name.encode()) for name in longest} == {LONGEST_NAME}

    assert cli.main([str(NODE1), str(NODE2), "--quiet", *(x for name in longest for x in ("-o", name))]) == 0
    assert sorted(os.listdir(tmp_path)) == sorted(longest)


def test_names_longer_than_a_file_system_takes(capsys, tmp_path, monkeypatch):
    """Also those that are made from a capture's name."""
    monkeypatch.chdir(tmp_path)

    told = refused(capsys, NODE1, NODE2, "-o", f"{'x' * 251}.json")
    assert "File name too long" in told
    told = refused(capsys, f"{'x' * 250}={NODE1}", NODE2, "--tables", "t")
    assert "File name too long" in told
    assert os.listdir(tmp_path) == []
