"""Against an earlier report only what is new or worse counts."""

from dataclasses import replace

import pytest

from tests.report.fixed import HEALTHY, REPORT, finding, hop
from vxlanalyze.errors import UsageError
from vxlanalyze.report.baseline import compare
from vxlanalyze.report.formats import as_json
from vxlanalyze.report.judging import judging

DIRECTION = "node1>node2"


def with_loss(lost, sent, low, high, severity="warning"):
    direction = hop("node1", "node2", sent=sent, lost=lost, delivered=sent - lost, low=low, high=high)
    return replace(HEALTHY, hops=[direction], findings=[finding("packet-loss", severity, DIRECTION)])


def counting(before, after):
    return [found["code"] for found in compare(before, after)[0]]


def test_the_same_report_changes_nothing():
    assert compare(REPORT, REPORT) == ([], ())


def test_a_finding_that_was_not_there_is_new():
    before = replace(REPORT, findings=REPORT.findings[1:])
    found, told = compare(before, REPORT)

    assert [f["code"] for f in found] == ["mtu-blackhole"]
    assert told[0].startswith("new: critical mtu-blackhole@node1>node2: ")


def test_the_same_code_in_another_direction_is_new():
    before = replace(HEALTHY, findings=[finding("packet-loss", "warning", "node2>node1")])
    after = replace(HEALTHY, findings=[finding("packet-loss", "warning", DIRECTION)])

    assert counting(before, after) == ["packet-loss"]


def test_a_higher_severity_is_worse_and_a_lower_one_better():
    mild, grave = with_loss(5, 1000, 0.002, 0.012), with_loss(5, 1000, 0.002, 0.012, "critical")

    assert counting(mild, grave) == ["packet-loss"]
    found, told = compare(grave, mild)
    assert found == []
    assert told[0].startswith("better: packet-loss")


def test_more_loss_than_chance_explains_is_worse():
    assert counting(with_loss(5, 1000, 0.002, 0.012), with_loss(50, 1000, 0.038, 0.065)) == ["packet-loss"]


def test_loss_within_what_chance_explains_is_the_same():
    assert counting(with_loss(5, 1000, 0.002, 0.012), with_loss(9, 1000, 0.005, 0.017)) == []


def test_more_reordering_than_chance_explains_is_worse():
    def reordered(packets):
        direction = hop("node1", "node2", reordered=packets)
        return replace(HEALTHY, hops=[direction], findings=[finding("reordering", "warning", DIRECTION)])

    assert counting(reordered(5), reordered(200)) == ["reordering"]
    assert counting(reordered(5), reordered(8)) == []


def test_what_is_gone_is_told_and_what_cannot_be_looked_for_is_told_so():
    codes = ("packet-loss", "reordering", "duplication")
    before = replace(HEALTHY, findings=[finding(code, "warning", DIRECTION) for code in codes])
    after = replace(
        HEALTHY,
        diagnostics=["packet-loss", "reordering"],
        not_assessed=[{"code": "reordering", "direction": DIRECTION, "reason": "one packet only"}],
    )
    _, told = compare(before, after)

    assert told[0].startswith("gone: packet-loss@node1>node2: ")
    assert told[1].endswith("(now not assessed: one packet only)")
    assert told[2].endswith("(not checked now)")


def test_fail_on_counts_from_its_severity_upwards():
    assert judging("never")(REPORT).failing == frozenset()
    assert judging("critical")(REPORT).failing == {"mtu-blackhole@node1>node2"}
    assert len(judging("warning")(REPORT).failing) == 3
    assert len(judging("info")(REPORT).failing) == 4


def test_a_code_that_nobody_knows_is_named_with_the_nearest(tmp_path):
    known = finding("packet-loss", "warning", DIRECTION)
    path = tmp_path / "before.json"
    path.write_text(as_json.render(replace(HEALTHY, findings=[{**known, "code": "paket-loss"}])))

    with pytest.raises(
        UsageError, match=r"before.json: no diagnostic is called paket-loss; did you mean packet-loss"
    ):
        judging(baseline=str(path))
