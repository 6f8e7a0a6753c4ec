"""The command as users call it: what it prints, what it writes, and how it ends.

Most tests call `main` in this process, for speed; what depends on the process itself starts one.
"""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command.conftest import SEED, environment
from vxlanalyze import __version__, diagnostics
from vxlanalyze.analysis.finding import Diagnostic
from vxlanalyze.command import cli


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_cause_stands_first(capsys, seed):
    status, out, err = run(capsys, *seed, "--kube", SEED / "kube.json")

    assert (status, err) == (0, "")
    assert re.search(r"1\. CRITICAL path-blocked node1>node2\n.*Consequence: dns-unanswered", out, re.DOTALL)


def test_nothing_wrong_is_said_with_what_was_examined(capsys, healthy):
    status, out, _ = run(capsys, *healthy)

    assert status == 0
    assert out.startswith("Nothing is wrong in what the captures show: all ")


def test_the_same_input_gives_the_same_bytes(capsys, seed):
    for format_ in ("text", "json", "html"):
        assert run(capsys, *seed, "--format", format_) == run(capsys, *seed, "--format", format_)


def test_quiet_prints_nothing(capsys, seed):
    assert run(capsys, *seed, "--quiet") == (0, "", "")


def test_outputs_by_suffix_and_text_on_standard_output(capsys, seed, tmp_path):
    status, out, _ = run(capsys, *seed, "-o", tmp_path / "r.json", "-o", tmp_path / "r.html")

    assert status == 0
    assert "CRITICAL path-blocked" in out
    assert json.loads((tmp_path / "r.json").read_text())["schema"] == "vxlanalyze.report/1"
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert sorted(os.listdir(tmp_path)) == ["r.html", "r.json"]


def test_with_one_output_the_format_is_that_files_whatever_its_suffix(capsys, seed, tmp_path):
    _, out, _ = run(capsys, *seed, "--format", "json", "-o", tmp_path / "report.dat")

    assert json.loads((tmp_path / "report.dat").read_text())["findings"][0]["code"] == "path-blocked"
    assert "CRITICAL path-blocked" in out


def test_with_two_outputs_the_format_is_standard_outputs(capsys, seed, tmp_path):
    _, out, _ = run(capsys, *seed, "--format", "json", "-o", tmp_path / "r.txt", "-o", tmp_path / "r.md")

    assert json.loads(out)["findings"][0]["code"] == "path-blocked"
    assert (tmp_path / "r.txt").read_text().startswith("None of the")


def test_json_holds_the_digests_of_the_files(capsys, seed):
    files = [
        capture["files"][0] for capture in json.loads(run(capsys, *seed, "--format", "json")[1])["captures"]
    ]
    told = subprocess.run(["sha256sum", *seed], check=True, capture_output=True, text=True).stdout

    assert [file["sha256"] for file in files] == [line.split()[0] for line in told.splitlines()]


def test_tables_are_made_in_a_new_directory(capsys, seed, tmp_path):
    assert run(capsys, *seed, "--quiet", "--tables", tmp_path / "t")[0] == 0
    names = ["flows.parquet", "frames-node1.parquet", "frames-node2.parquet", "packets.parquet"]

    assert sorted(os.listdir(tmp_path / "t")) == names
    assert pq.read_table(tmp_path / "t" / "packets.parquet").num_rows > 0


def test_a_saved_report_gives_the_same_text_again(capsys, seed, tmp_path):
    _, before, _ = run(capsys, *seed, "-o", tmp_path / "r.json")

    assert run(capsys, "--from", tmp_path / "r.json") == (0, before, "")


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_fail_on_ends_with_1_where_a_finding_is_so_bad(capsys, seed, severity):
    assert run(capsys, *seed, "--fail-on", severity, "--quiet") == (1, "", "")


def test_fail_on_never_and_nothing_wrong_end_with_0(capsys, seed, healthy):
    assert run(capsys, *seed, "--fail-on", "never", "--quiet")[0] == 0
    assert run(capsys, *healthy, "--fail-on", "warning", "--quiet")[0] == 0


def test_what_the_baseline_has_does_not_count(capsys, seed, healthy, tmp_path):
    run(capsys, *seed, "-o", tmp_path / "before.json")
    gate = ("--baseline", tmp_path / "before.json", "--fail-on", "warning")

    status, out, _ = run(capsys, *seed, *gate)
    assert status == 0
    assert "Since the baseline\n  - nothing changed" in out
    status, out, _ = run(capsys, *healthy, *gate)
    assert status == 0
    assert "gone: path-blocked@node1>node2" in out


def test_what_is_new_since_the_baseline_counts(capsys, seed, healthy, tmp_path):
    run(capsys, *healthy, "-o", tmp_path / "before.json")
    status, out, _ = run(capsys, *seed, "--baseline", tmp_path / "before.json", "--fail-on", "warning")

    assert status == 1
    assert "new: critical path-blocked@node1>node2" in out


def test_an_expectation_that_holds(capsys, seed):
    assert run(capsys, *seed, "--expect", SEED / "expect.toml", "--quiet") == (0, "", "")


def test_an_expectation_that_does_not_hold_is_told_line_by_line(capsys, healthy):
    status, _, err = run(capsys, *healthy, "--expect", SEED / "expect.toml", "--quiet")

    assert status == 1
    assert (
        err.splitlines()[0]
        == "vxlanalyze: not as expected: path-blocked@node1>node2 must be found, and is not"
    )
    assert len(err.splitlines()) > 2


def test_select_and_ignore(capsys, seed):
    assert "path-blocked" not in run(capsys, *seed, "--ignore", "path-blocked")[1].split("Not assessed")[0]
    asked = json.loads(run(capsys, *seed, "--select", "dns-unanswered,packet-loss", "--format", "json")[1])[
        "diagnostics"
    ]

    assert sorted(asked) == ["dns-unanswered", "packet-loss"]


def test_only_a_part_is_looked_at(capsys, healthy):
    """TCP in the first two and a half seconds: less than either alone, and that is less than everything."""
    parts = ([], ["--until", "2.5"], ["--only", "proto=tcp"], ["--until", "2.5", "--only", "proto=tcp"])
    reports = [json.loads(run(capsys, *healthy, *part, "--format", "json")[1]) for part in parts]
    whole, early, tcp, early_tcp = (report["hops"][0]["sent"] for report in reports)

    assert 0 < early_tcp < min(early, tcp)
    assert max(early, tcp) < whole
    assert all(report["hops"][0]["lost"] == 0 for report in reports)


def test_a_diagnostic_that_breaks_is_named_and_ends_with_3(capsys, seed, monkeypatch):
    def breaks(comparison):
        raise IndexError("of its own")

    asked = (*diagnostics.DIAGNOSTICS, Diagnostic("broken-one", breaks))
    monkeypatch.setattr(diagnostics.diagnose, "__defaults__", (None, None, asked))
    status, out, _ = run(capsys, *seed, "--fail-on", "info")

    assert status == 3
    assert "broken-one: IndexError: of its own" in out
    assert "path-blocked" in out


def test_the_manual_of_every_code_is_printed(capsys):
    for diagnostic in diagnostics.DIAGNOSTICS:
        status, out, _ = run(capsys, "--explain", diagnostic.code)

        assert status == 0
        assert out.startswith(f"{diagnostic.code}\n\n")
        assert "What to do" in out


def test_the_help_fits_into_80_columns(vxlanalyze):
    done = vxlanalyze("--help", environment={"COLUMNS": "80"})

    assert max(map(len, done.stdout.splitlines())) <= 80


def test_help_and_version_need_no_numpy():
    """They answer at once: importing numpy alone takes longer than all of it."""
    program = "import sys\nfrom vxlanalyze.command.cli import main\n"
    program += "try: main([{!r}])\nexcept SystemExit: print('numpy' in sys.modules)"
    for option in ("--help", "--version"):
        command = [sys.executable, "-c", program.format(option)]
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout

        assert out.endswith("False\n")
        assert out.startswith(
            f"vxlanalyze {__version__}" if option == "--version" else "usage: vxlanalyze CAPTURE"
        )


def test_a_reader_that_goes_away_is_no_error(seed):
    command = f"{sys.executable} -m vxlanalyze {' '.join(seed)} --format json | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


def test_a_full_disk_behind_standard_output_is_an_error_of_one_line(vxlanalyze, seed):
    with open("/dev/full", "w") as full:
        done = vxlanalyze(*seed, capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert done.returncode == 2
    assert done.stderr == "vxlanalyze: error: standard output: cannot be written (No space left on device)\n"


def test_a_locale_without_other_characters_gets_ascii(vxlanalyze, seed):
    done = vxlanalyze(*seed, environment={"PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "|---" in done.stdout


def test_colour_is_asked_for_and_refused(vxlanalyze, seed):
    assert "\x1b[" in vxlanalyze(*seed, "--color", "always").stdout
    assert "\x1b[" not in vxlanalyze(*seed).stdout


def test_an_interrupt_ends_with_130_and_leaves_no_file(tmp_path, seed):
    """The capture comes through a pipe that nobody fills, so that the program waits."""
    os.mkfifo(tmp_path / "pipe.pcap")
    outputs = ["-o", str(tmp_path / "r.json"), "--tables", str(tmp_path / "t")]
    command = [sys.executable, "-m", "vxlanalyze", str(tmp_path / "pipe.pcap"), seed[1], *outputs]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True)
    end = opened_for_writing(tmp_path / "pipe.pcap")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    os.close(end)

    assert (process.returncode, err) == (130, "vxlanalyze: interrupted\n")
    assert os.listdir(tmp_path) == ["pipe.pcap"]


def opened_for_writing(pipe: Path) -> int:
    """Open a pipe once somebody reads from it."""
    for _ in range(600):
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.05)
    pytest.fail("the program never opened the pipe")


def test_standard_input_is_a_capture(vxlanalyze, seed):
    with open(seed[0], "rb") as capture:
        done = vxlanalyze("node1=-", seed[1], stdin=capture)

    assert done.returncode == 0
    assert "CRITICAL path-blocked node1>node2" in done.stdout


@pytest.mark.parametrize(
    ("kube", "ends"),
    [((), ("172.26.50.200", "172.26.50.201")), (("--kube", "kube.json"), ("node1", "node2"))],
)
def test_captures_from_pipes_are_called_by_their_nodes(seed, tmp_path, kube, ends):
    """What the shell calls /dev/fd/63 says nothing to anybody."""
    folder = Path(seed[0]).parent
    kube = [str(folder / part) if part.endswith("json") else part for part in kube]
    command = (
        f"{sys.executable} -m vxlanalyze <(zcat {seed[0]}) <(zcat {seed[1]}) {' '.join(kube)} --format json"
    )

    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment(), check=True
    )

    report = json.loads(done.stdout)
    assert tuple(capture["name"] for capture in report["captures"]) == ends
    assert all(len(file["sha256"]) == 64 for capture in report["captures"] for file in capture["files"])
    assert f"{ends[0]}>{ends[1]}" in report["verdict"] or f"{ends[0]} sends to {ends[1]}" in report["verdict"]


def test_the_number_of_jobs_does_not_show(capsys, seed, tmp_path, monkeypatch):
    """Not even where captures are read in stretches."""
    monkeypatch.setattr("vxlanalyze.pipeline.decoding._LEAST_STRETCH_BYTES", 300)
    for path in seed:
        (tmp_path / Path(path).stem).write_bytes(gzip.decompress(Path(path).read_bytes()))
    captures = [str(tmp_path / Path(path).stem) for path in seed]

    alone = run(capsys, *captures, "--format", "json", "--jobs", 1)

    assert alone[0] == 0
    assert run(capsys, *captures, "--format", "json", "--jobs", 2) == alone
    assert run(capsys, *captures, "--format", "json", "--jobs", 7) == alone


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_disk_where_the_help_goes_is_an_error_of_one_line(vxlanalyze, option):
    with open("/dev/full", "w") as full:
        done = vxlanalyze(option, capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "vxlanalyze: error: standard output: cannot be written (No space left on device)"
    ]


def test_the_exit_status_tells_of_an_error_that_nobody_can_read(vxlanalyze):
    with open("/dev/full", "w") as full:
        assert vxlanalyze("nowhere.pcap", capture_output=False, stderr=full).returncode == 2


def test_an_output_may_have_the_longest_name_that_a_file_can_have(vxlanalyze, seed, tmp_path):
    longest = tmp_path / ("n" * 250 + ".json")

    assert vxlanalyze(*seed, "--quiet", "-o", str(longest)).returncode == 0
    assert longest.stat().st_size > 0
    done = vxlanalyze(*seed, "--quiet", "-o", str(longest.with_name("n" + longest.name)))
    assert done.returncode == 2
    assert "File name too long" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_matrix_leaves_out_files_that_are_no_captures_and_says_so(vxlanalyze, seed, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("what was tried\n")

    done = vxlanalyze("--matrix", notes, *seed)

    assert done.returncode == 0
    assert f"{notes} is not a capture; skipped" in done.stderr


def test_a_matrix_does_not_leave_out_what_is_called_a_capture(vxlanalyze, seed, tmp_path):
    broken = tmp_path / "node3.pcap"
    broken.write_text("what was tried\n")

    done = vxlanalyze("--matrix", broken, *seed)

    assert done.returncode == 2
    assert "node3.pcap" in done.stderr
