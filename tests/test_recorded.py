"""On every recorded scenario: the cause first, what must be found, each lost packet, the clock."""

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import vxlanalyze as vx
from tests.contradictions import contradictions
from tests.findings_to_act_on import shortcomings
from tests.lab import __main__ as lab

# What limits a capture is no fault of the network.
LIMITS = {"truncated-capture", "clock-step"}
LEAST_UNCERTAINTY_NS, MOST_UNCERTAINTY_NS = 200_000, 5_000_000
DRIFT_TOLERANCE_PPM = 60.0
IDENTITY = {"direction": "", "src": "", "dst": "", "sport": 0, "dport": 0, "protocol": 0, "ip_id": -1}

SAMPLES = [folder for _, folder in lab.recordings() if folder.parent.name == "sample_pcaps"]

Packet = tuple[Any, ...]


@cache
def truth_of(folder: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return truth


def each(holds: Callable[[dict[str, Any]], object] = bool) -> pytest.MarkDecorator:
    """Run a test on every recording whose truth has what the test asks about."""
    folders = [folder for _, folder in lab.recordings() if holds(truth_of(folder))]
    return pytest.mark.parametrize("folder", folders, ids=lambda folder: folder.name)


@cache
def analysed(folder: Path) -> tuple[vx.Findings, list[Any], Counter[Packet], dict[str, Any]]:
    """Return the findings of a recording, its clocks, its lost packets and the whole report."""
    truth = truth_of(folder)
    captures = [folder / point["path"] for point in truth["captures"]]
    result = vx.compare(*captures, kube=folder / "kube.json" if truth["kube"] else None)
    lost = result.packets[result.packets["outcome"] == "lost"]
    columns = [
        lost[name].astype(object).where(lost[name].notna(), absent) for name, absent in IDENTITY.items()
    ]
    report = json.loads(result.to_json())
    return result.findings, result.clock, Counter(zip(*columns, strict=True)), report


def written(folder: Path, key: str) -> str:
    """Write a finding or direction of a truth as the program does: ``ab`` is first capture to last."""
    names = [point["name"] for point in truth_of(folder)["captures"]]
    code, at, direction = key.rpartition("@")
    ends = {"ab": f"{names[0]}>{names[-1]}", "ba": f"{names[-1]}>{names[0]}"}
    return code + at + ends.get(direction, direction)


@each(lambda truth: truth["root"] is not None)
def test_the_first_finding_is_the_cause(folder: Path):
    root = truth_of(folder)["root"]
    assert analysed(folder)[0][0].code in (root if isinstance(root, list) else [root])


@each(lambda truth: truth["root"] is None)
def test_where_nothing_is_wrong_nothing_is_above_info(folder: Path):
    known = LIMITS | {must.partition("@")[0] for must in truth_of(folder)["must"]}
    assert [f for f in analysed(folder)[0] if f.severity != "info" and f.code not in known] == []


@each()
def test_what_must_be_found_is_found(folder: Path):
    findings = analysed(folder)[0]
    assert [must for must in truth_of(folder)["must"] if written(folder, must) not in findings] == []


@each()
def test_what_must_not_be_found_is_not(folder: Path):
    findings = analysed(folder)[0]
    assert [wrong for wrong in truth_of(folder)["mustnot"] if written(folder, wrong) in findings] == []


@each(lambda truth: truth["lost"] is not None)
def test_every_lost_packet_is_named_and_no_other(folder: Path):
    lost = Counter((written(folder, row[0]), *row[1:]) for row in truth_of(folder)["lost"])
    assert analysed(folder)[2] == lost


@each(lambda truth: truth["clock"])
def test_the_clock_is_told_within_its_uncertainty(folder: Path):
    truth, clock = truth_of(folder)["clock"], analysed(folder)[1][0]
    assert clock["uncertainty_ns"] <= MOST_UNCERTAINTY_NS
    error_ns = abs(clock["offset_ns"] - truth["offset_ns"])
    assert error_ns <= max(clock["uncertainty_ns"], LEAST_UNCERTAINTY_NS)
    assert abs(clock["drift_ppm"] - truth["drift_ppm"]) <= DRIFT_TOLERANCE_PPM


@each()
def test_every_frame_is_accounted_for_and_the_verdict_agrees_with_the_tables(folder: Path):
    assert contradictions(analysed(folder)[3]) == []


@each()
def test_each_finding_can_be_acted_on(folder: Path):
    """It has a remedy whose commands bash can parse, evidence, and frames."""
    assert shortcomings(analysed(folder)[3]) == []


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.name)
def test_samples_hold_what_their_expectation_says(folder: Path):
    result = vx.compare(*sorted(folder.glob("*.pcap.gz")))
    vx.check(result, folder / "expect.toml")
