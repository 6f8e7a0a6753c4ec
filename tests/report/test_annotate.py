"""Annotated captures open in tshark, say what is wrong with each frame, and where its partner is."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.report.recorded import paths, run
from tests.report.test_html import HOSTILE
from tests.tools import tshark
from vxlanalyze.errors import OutputError
from vxlanalyze.export.annotate import annotate

LOSSY = "random-loss"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("annotated")
    found = run(LOSSY)
    annotate(found.comparison, found.diagnosis.findings, made)
    return made


def fields(capture: Path, *names: str) -> list[list[str]]:
    """Fields of every frame, as tshark reads them."""
    wanted = [argument for name in names for argument in ("-e", name)]
    lines = tshark(capture, "-T", "fields", "-E", "separator=\x1f", *wanted).splitlines()
    return [line.split("\x1f") for line in lines]


def test_each_capture_gets_a_file_with_the_frames_of_the_findings(directory: Path):
    found = run(LOSSY)

    assert sorted(p.name for p in directory.iterdir()) == ["node1.pcapng", "node2.pcapng"]
    for name in ("node1", "node2"):
        shown = set().union(*(f.frames.get(name, []) for f in found.diagnosis.findings))
        assert len(fields(directory / f"{name}.pcapng", "frame.number")) == len(shown)


def test_frames_are_those_of_the_capture_to_the_byte_and_nanosecond(directory: Path):
    numbers = [
        int(re.search(r"Frame (\d+) of", row[0])[1])
        for row in fields(directory / "node1.pcapng", "frame.comment")
    ]
    wanted = ("frame.time_epoch", "frame.len", "frame.cap_len", "ip.id", "udp.checksum")

    copied = fields(directory / "node1.pcapng", *wanted)

    whole = fields(paths(LOSSY)[0], *wanted)
    assert copied == [whole[number - 1] for number in numbers]


def test_a_lost_frame_says_what_it_shows_and_that_it_never_arrived(directory: Path):
    finding = next(f for f in run(LOSSY).diagnosis.findings if f.direction == "node1>node2")

    comments = [row[0] for row in fields(directory / "node1.pcapng", "frame.comment")]

    about = [c for c in comments if c.startswith(f"{finding.code} [warning] node1>node2: {finding.summary}")]
    assert len(about) == len(finding.frames["node1"])
    assert all("it never reached node2" in c or "wire packets never reached node2" in c for c in about)


def test_a_frame_that_arrived_names_its_partner(tmp_path: Path):
    found = run(LOSSY)
    direction = found.comparison.directions[0]
    arrived = np.flatnonzero(direction.delivered)[:1]
    sent, received = int(direction.sent_row[arrived[0]]) + 1, int(direction.received_row[arrived[0]]) + 1
    finding = found.diagnosis.findings[0]
    shown = type(finding)(
        code=finding.code,
        severity=finding.severity,
        summary="tried",
        explanation="",
        remedy="",
        frames={"node1": np.array([sent]), "node2": np.array([received])},
    )

    annotate(found.comparison, [shown], tmp_path)

    (there,) = fields(tmp_path / "node1.pcapng", "frame.comment")
    (back,) = fields(tmp_path / "node2.pcapng", "frame.comment")
    assert re.search(rf"Frame {sent} of node1\. Reached node2 as frame {received}, .* later\.", there[0])
    assert re.search(rf"Frame {received} of node2\. Left node1 as frame {sent}, .* earlier\.", back[0])


def test_a_capture_without_findings_gets_an_empty_file(tmp_path: Path):
    annotate(run(LOSSY).comparison, (), tmp_path)

    assert tshark(tmp_path / "node1.pcapng") == ""


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(OutputError, match=r"missing/node1\.pcapng: cannot be written"):
        annotate(run(LOSSY).comparison, (), tmp_path / "missing")


def test_hostile_names_are_harmless_in_comments(tmp_path: Path):
    found = run(LOSSY)
    frames = {"node1": np.array([1])}
    said = [
        replace(found.diagnosis.findings[0], summary=f"asks for {name}", frames=frames) for name in HOSTILE
    ]

    annotate(found.comparison, said, tmp_path)

    listed = tshark(tmp_path / "node1.pcapng", "-T", "fields", "-E", "aggregator=\n", "-e", "frame.comment")
    lines = listed.splitlines()
    assert len(lines) == len(HOSTILE) + 1
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 1000


@pytest.mark.parametrize(
    "name", ["random-loss", "mtu-icmp", "port-mismatch", "dns-server-silent", "blackhole-ipv6-underlay"]
)
def test_display_filters_paste_into_wireshark_and_show_the_frames(name: str):
    found = run(name)

    for finding in found.diagnosis.findings:
        if not finding.display_filter:
            continue
        for capture, path in zip(found.comparison.captures, paths(name), strict=True):
            frames = set(finding.frames.get(capture.name, np.empty(0)).tolist())
            if frames:
                shown = tshark(path, "-Y", finding.display_filter, "-T", "fields", "-e", "frame.number")
                assert frames <= set(map(int, shown.split())), finding.code
