"""What cannot be done: one line on standard error with what, where, and what would be right; exit 2."""

import os

import pytest

from tests.command.conftest import SEED
from vxlanalyze.command import cli

NODE1, NODE2 = str(SEED / "node1.pcap.gz"), str(SEED / "node2.pcap.gz")


def error_of(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()

    assert status == 2
    assert captured.out == ""
    assert captured.err.startswith("vxlanalyze: error: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("vxlanalyze: error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no capture is given; give them in path order, as in: vxlanalyze node1.pcap node2.pcap"),
        (["missing.pcap"], "missing.pcap: no such file"),
        ([NODE1, "--frmat", "json"], "unrecognized arguments: --frmat json; did you mean --format?; see"),
        ([NODE1, "--format", "jsn"], "no format is called jsn; did you mean json?"),
        ([NODE1, "--select", "paket-loss"], "no diagnostic is called paket-loss; did you mean packet-loss?"),
        ([NODE1, "--ignore", "x"], "no diagnostic is called x"),
        (["--explain", "path-blokced"], "no diagnostic is called path-blokced; did you mean path-blocked?"),
        ([NODE1, "--port", "0"], "--port: 0: ports are numbers from 1 to 65535"),
        ([NODE1, "--port", "4789,vxlan"], "--port: 4789,vxlan: ports are numbers"),
        ([NODE1, "--jobs", "0"], "--jobs: 0: must be a number of at least 1"),
        ([NODE1, "--jobs", "many"], "--jobs: many: must be a number of at least 1"),
        ([NODE1, "--fail-on", "bad"], "--fail-on: invalid choice: 'bad'"),
        ([NODE1, "--since", "noon"], "noon: not a time; give one like 2026-11-23T10:00:00.5Z"),
        ([NODE1, "--until", "2026-02-30T10:00:00Z"], "2026-02-30T10:00:00Z: not a time"),
        (
            [NODE1, "--only", "hst=10.0.0.1"],
            "hst=10.0.0.1: not a term; give one like host=10.0.0.1, port=53 or",
        ),
        (
            [NODE1, "--kube", str(SEED / "kube.json"), "--only", "host=jupyterlab"],
            "host=jupyterlab: jupyterlab is not a host; did you mean default/jupyterlab-0?",
        ),
        ([NODE1, "--html", "x"], "unrecognized arguments: --html x; did you mean -o x.html?; see"),
        ([NODE1, "--json=r.json"], "unrecognized arguments: --json=r.json; did you mean -o r.json?; see"),
        ([NODE1, "--only", "port=http"], "port=http: http is not a port"),
        ([NODE1, "--only", "net=10.0.0.0/99"], "net=10.0.0.0/99: 10.0.0.0/99 is not a net"),
        ([NODE1, "--kube", "missing.json"], "missing.json: cannot be read (No such file or directory)"),
        ([NODE1, "--facts", "node1"], "--facts node1: no archive; give a capture's name and a directory"),
        ([NODE1, "--facts", "nod1=."], "--facts nod1=.: no capture is called nod1; did you mean node1?"),
        ([NODE1, "--expect", "missing.toml"], "missing.toml: cannot be read"),
        ([NODE1, "--baseline", "missing.json"], "missing.json: cannot be read"),
        (["--from", "missing.json"], "missing.json: cannot be read"),
        ([NODE1, "--from", "r.json"], "captures, --from, --diff and --explain are different things to do"),
        (["--from", "r.json", "--tables", "t"], "--tables needs the captures themselves, not a saved report"),
        ([NODE1, NODE1, "-o", "r.pdf"], "r.pdf: the suffix selects the format and must be one of .txt .json"),
        ([NODE1, "-o", "nowhere/r.json"], "nowhere/r.json: there is no directory"),
        ([NODE1, "-o", "."], ".: a directory, where a file is expected"),
        ([NODE1, "-o", "r.json", "-o", "./r.json"], "-o: ./r.json and another output are the same file"),
        ([NODE1, "--tables", "nowhere/t"], "nowhere/t: there is no directory"),
        (["a>b=" + NODE1], "'a>b' cannot name a capture"),
        (["x=" + NODE1, "x=" + NODE2], "the name x is given twice"),
    ],
)
def test_bad_usage_is_named(capsys, monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)

    assert told in error_of(capsys, *arguments)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "empty"), (b"hello, this is a text\n" * 9, "text"), (b"PK\x03\x04" + bytes(60), "capture")],
)
def test_a_file_that_is_no_capture_is_told_what_it_is(capsys, tmp_path, content, told):
    path = tmp_path / "x.pcap"
    path.write_bytes(content)

    assert told in error_of(capsys, path, NODE2)


def test_a_directory_without_captures(capsys, tmp_path):
    assert "a directory without a capture" in error_of(capsys, tmp_path, NODE2)


def test_names_in_errors_are_harmless(capsys, tmp_path):
    told = error_of(capsys, tmp_path / "a\x1b[31m\nb\u202e.pcap")

    assert told.isprintable()


def test_a_capture_is_never_written_over(capsys, tmp_path):
    path = tmp_path / "node1.pcap"
    content = (SEED / "node1.pcap.gz").read_bytes()
    path.write_bytes(content)

    assert "is a capture that is to be read" in error_of(capsys, path, NODE2, "--format", "json", "-o", path)
    assert path.read_bytes() == content


def test_no_output_appears_where_one_cannot_be_written(capsys, tmp_path):
    """A directory stands where one of the tables belongs."""
    good, blocked = tmp_path / "r.json", tmp_path / "t"
    blocked.mkdir()
    (blocked / "packets.parquet").mkdir()

    assert "packets.parquet: a directory" in error_of(capsys, NODE1, NODE2, "-o", good, "--tables", blocked)
    assert not good.exists()
    assert os.listdir(blocked) == ["packets.parquet"]
