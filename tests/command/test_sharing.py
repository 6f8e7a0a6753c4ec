"""`--redact`, `--annotate` and `--decapsulate` on the command line: what leaves the machine tells nobody."""

import gzip
import ipaddress
import os
import re
from contextlib import redirect_stdout
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command.conftest import ROOT, SEED
from tests.tools import tshark
from vxlanalyze.command import cli

CAPTURES = ROOT / "tests" / "captures"
PAIR = [str(SEED / "node1.pcap.gz"), str(SEED / "node2.pcap.gz"), "--kube", str(SEED / "kube.json")]
FACTS = [x for node in ("node1", "node2") for x in ("--facts", f"{node}={SEED / 'facts' / node}")]
SECRETS = (
    *("10.233.", "172.26.50.", "coredns", "jupyterlab", "node1", "node2", "nz2tt", "sample_pcaps"),
    *{name for name in re.findall(r'"name": "([^"]+)"', (SEED / "kube.json").read_text()) if "-" in name},
)
ADDRESSES = ("10.233.64.10", "10.233.65.250", "172.26.50.200", "172.26.50.201")


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    outputs = [
        argument for suffix in ("json", "html", "txt", "md", "xml") for argument in ("-o", f"r.{suffix}")
    ]
    places = ["--tables", "tables", "--annotate", "annotated", "--decapsulate", "inside"]
    before = os.getcwd()
    os.chdir(folder)
    try:
        with open("r.github", "w") as github, redirect_stdout(github):
            assert cli.main([*PAIR, *FACTS, "--redact", "--format", "github", *outputs, *places]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.mark.parametrize("name", ["r.json", "r.html", "r.txt", "r.md", "r.xml", "r.github"])
def test_no_name_or_address_is_left_in_a_report(shared, name):
    text = (shared / name).read_text()

    assert len(text) > 500
    assert [secret for secret in SECRETS if secret in text] == []


def test_no_name_or_address_is_left_in_the_tables(shared):
    tables = sorted((shared / "tables").iterdir())

    assert [table.name for table in tables] == [
        *("flows.parquet", "frames-point1.parquet", "frames-point2.parquet", "packets.parquet"),
    ]
    for table in tables:
        text = str(pq.read_table(table).to_pylist())
        assert [secret for secret in SECRETS if secret in text] == []


def test_no_address_or_payload_is_left_in_the_captures(shared):
    for folder in ("annotated", "inside"):
        for path in (shared / folder).iterdir():
            data = path.read_bytes()
            assert [a for a in ADDRESSES if ipaddress.ip_address(a).packed in data] == []
            assert [secret for secret in SECRETS if secret.encode() in data] == []
            assert b"kubernetes" not in data


def test_pseudonyms_are_the_same_in_every_output(shared):
    packets = pq.read_table(shared / "tables" / "packets.parquet").to_pylist()
    source = packets[0]["outer_src"]

    assert source in (shared / "r.txt").read_text()
    assert source in tshark(shared / "annotated" / "point1.pcapng", "-T", "fields", "-e", "ip.src")


def test_a_saved_report_is_redacted_too(capsys, tmp_path):
    assert cli.main([*PAIR, "--quiet", "-o", str(tmp_path / "r.json")]) == 0
    assert cli.main(["--from", str(tmp_path / "r.json"), "--redact"]) == 0
    text = capsys.readouterr().out

    assert "CRITICAL path-blocked point1>point2" in text
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("sample", ["seed", "checksum"])
def test_a_saved_report_is_redacted_as_the_captures_are(capsys, tmp_path, sample):
    """Sentences speak of pods that no packet comes from or goes to."""
    folder = SEED.parent / sample
    captures = [str(folder / "node1.pcap.gz"), str(folder / "node2.pcap.gz")]
    facts = [x for node in ("node1", "node2") for x in ("--facts", f"{node}={folder / 'facts' / node}")]
    told = [*captures, "--kube", str(folder / "kube.json"), *facts, "--format", "json"]
    saved = tmp_path / "r.json"

    assert cli.main([*told, "--quiet", "-o", str(saved)]) == 0
    assert cli.main([*told, "--redact"]) == 0
    of_captures = capsys.readouterr().out
    assert cli.main(["--from", str(saved), "--redact", "--format", "json"]) == 0
    assert of_captures == capsys.readouterr().out
    pods = re.findall(r"[a-z]+-[0-9a-f]{8,10}-[a-z0-9]{5}", (folder / "kube.json").read_text())
    assert pods
    assert [pod for pod in pods if pod in of_captures] == []


def test_differences_are_redacted_too(capsys, tmp_path):
    (tmp_path / "e.toml").write_text('must_not = ["path-blocked@node1>node2"]\nallow = ["dns-unanswered"]\n')

    assert cli.main([*PAIR, "--quiet", "--redact", "--expect", str(tmp_path / "e.toml")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(
        "vxlanalyze: not as expected: path-blocked@point1>point2 must not be found, and is: "
    )


def test_without_redact_the_captures_are_as_they_were(capsys, tmp_path):
    places = ["--annotate", str(tmp_path / "a"), "--decapsulate", str(tmp_path / "d")]

    assert cli.main([*PAIR, "--quiet", *places]) == 0
    assert sorted(os.listdir(tmp_path / "a")) == ["node1.pcapng", "node2.pcapng"]
    comments = tshark(tmp_path / "a" / "node1.pcapng", "-T", "fields", "-e", "frame.comment")
    assert comments.splitlines()[0].startswith("path-blocked")
    inside = tshark(
        tmp_path / "d" / "node1.pcapng", "-Y", "dns", "-T", "fields", "-e", "ip.src", "-e", "ip.dst"
    )
    assert inside.splitlines()[0].split() == ["10.233.64.10", "10.233.65.250"]


def test_two_kinds_of_captures_do_not_go_into_one_directory(capsys, tmp_path):
    places = ["--annotate", str(tmp_path / "a"), "--decapsulate", f"{tmp_path}/./a"]

    assert cli.main([*PAIR, "--quiet", *places]) == 2
    assert "both would write" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "output", ["--decapsulate {0}", "--annotate {0}", "--format json -o {0}/node2.pcapng"]
)
def test_a_capture_that_was_read_is_never_written_over(capsys, tmp_path, output):
    pcapng = tmp_path / "node2.pcapng"
    pcapng.write_bytes(gzip.decompress((CAPTURES / "kernel-drops-pcapng" / "node2.pcapng.gz").read_bytes()))
    before = pcapng.read_bytes()

    assert cli.main([PAIR[0], f"node2={pcapng}", "--quiet", *output.format(tmp_path).split()]) == 2
    assert f"{pcapng}: was read, and would be written over" in capsys.readouterr().err
    assert pcapng.read_bytes() == before
    assert os.listdir(tmp_path) == ["node2.pcapng"]
