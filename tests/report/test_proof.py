"""Captures that show nothing to be healthy pass nobody's judgement: those that share no time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.hostile import frames as hostile_frames
from benchmarks.hostile import traffic as hostile_traffic
from tests.report.fixed import HEALTHY, capture, finding, hop
from vxlanalyze.command import cli
from vxlanalyze.report import proof
from vxlanalyze.report.expectation import differences, parse
from vxlanalyze.report.judging import judging
from vxlanalyze.report.model import Report
from vxlanalyze.report.verdict import verdict

EARLY = capture("node1", 10, first="2026-11-23T10:00:00.000000000Z", last="2026-11-23T10:00:09.000000000Z")
LATE = capture("node2", 10, first="2026-11-23T11:00:00.000000000Z", last="2026-11-23T11:00:09.000000000Z")
UNKNOWN = {"delivered": 0, "sent": 9, "unknown": 9, "unknown_reasons": {"window": 9}, "loss_ratio": None}
HOPS = [hop("node1", "node2", **UNKNOWN), hop("node2", "node1", **UNKNOWN)]
APART = replace(HEALTHY, captures=[EARLY, LATE], hops=HOPS, findings=[], not_assessed=[])
SENTENCE = "by their time stamps node2 begins after node1 ends, so nothing can be compared"


def told(text: str, report: Report = APART) -> tuple[str, ...]:
    return differences(parse(text, "e"), report)


@pytest.mark.parametrize("order", [[EARLY, LATE], [LATE, EARLY]])
def test_neighbours_that_share_no_time_are_named(order):
    assert [gap.sentence for gap in proof.without_common_time(order, HOPS)] == [SENTENCE]


def test_a_common_packet_proves_a_common_time():
    hops = [HOPS[0], hop("node2", "node1")]

    assert not [*proof.without_common_time([EARLY, LATE], hops)]


def test_captures_that_overlap_share_a_time():
    assert not [*proof.without_common_time([EARLY, {**LATE, "first": EARLY["last"]}], HOPS)]


def test_what_nothing_got_as_far_as_is_left_to_the_hops_before():
    nothing = {**UNKNOWN, "unknown_reasons": {"other-peer": 9}}
    hops = [hop("node0", "node1"), hop("node1", "node2", **nothing), hop("node2", "node1", **nothing)]

    assert not [*proof.without_common_time([capture("node0", 9), EARLY, LATE], hops)]


def test_it_never_passes_fail_on():
    assert judging("critical")(APART).differences == (SENTENCE,)
    assert judging("never")(APART).differences == ()


def test_a_finding_that_fails_already_is_not_said_twice():
    said = finding("windows-disjoint", "critical")
    judgement = judging("critical")(replace(APART, findings=[said]))

    assert judgement.failing == {"windows-disjoint"}
    assert judgement.differences == ()


@pytest.mark.parametrize("allowed", ["windows-disjoint", "node1", "node2"])
def test_it_passes_an_expectation_only_where_allowed(allowed):
    assert told("") == (
        f'{SENTENCE}; where that is meant, allow_unassessed = ["windows-disjoint"] allows it',
    )
    assert told(f'allow_unassessed = ["{allowed}"]') == ()


def test_an_expectation_of_disjoint_windows_holds():
    found = replace(APART, findings=[finding("windows-disjoint", "critical")])

    assert told('must = ["windows-disjoint"]', found) == ()


def test_the_verdict_says_so():
    assert verdict([EARLY, LATE], HOPS, [], []) == f"Not determined: {SENTENCE}."


def an_hour_later(frames: int) -> Iterator[hostile_frames.Sight]:
    for sight in hostile_traffic.port_scan(frames):
        yield sight._replace(time_us=sight.time_us + 3_600_000_000)


@pytest.mark.parametrize("options", [(), ("--ignore", "windows-disjoint"), ("--select", "mtu-blackhole")])
@pytest.mark.parametrize("gate", ["", 'must_not = ["packet-loss"]', None])
def test_the_command_never_passes_them(options, gate, tmp_path: Path, capsys):
    """An expectation without entries, one of `must_not` only, and --fail-on; whichever diagnostics run."""
    (tmp_path / "later").mkdir()
    first, _ = hostile_frames.write(hostile_traffic.one_flow, 300, tmp_path)
    _, second = hostile_frames.write(an_hour_later, 300, tmp_path / "later")
    expectation = tmp_path / "e.toml"
    expectation.write_text(gate or "")
    judged = ("--fail-on", "critical") if gate is None else ("--expect", str(expectation))

    assert cli.main([str(first), str(second), *judged, *options]) == 1
    assert "can be compared" in " ".join(capsys.readouterr().out.split()).split(".")[0]
