"""Expectation files: what must be found, must not, may, and between which bounds."""

from dataclasses import replace

import pytest

from tests.report.fixed import HEALTHY, REPORT
from vxlanalyze.errors import UsageError
from vxlanalyze.report.expectation import FIGURES, differences, parse

MUST_ALL = 'must = ["mtu-blackhole@node1>node2"]\nallow = ["tcp-stalled", "dns-unanswered"]\n'


def told(text, report=REPORT):
    return differences(parse(text, "e.toml"), report)


def refused(text, report=REPORT):
    with pytest.raises(UsageError) as error:
        told(text, report)
    return str(error.value)


def test_what_holds_has_no_differences():
    bounds = '[bounds."node1>node2"]\nlost = {min = 68, max = 68}\n"delay_ns.p99" = {max = 5_000_000}\n'

    assert told(MUST_ALL + bounds) == ()


def test_a_code_without_direction_stands_for_all_of_them():
    assert told('must = ["mtu-blackhole", "tcp-stalled", "dns-unanswered"]') == ()


def test_what_must_be_found_and_is_not():
    assert told(MUST_ALL.replace("[", '["burst-outage", ', 1))[0] == "burst-outage must be found, and is not"


def test_what_must_be_found_and_was_not_assessed_is_told_with_the_reason():
    line = told(MUST_ALL.replace("[", '["packet-loss@node2>node1", ', 1))[0]

    assert line == "packet-loss@node2>node1 must be found, and is not (not assessed: nothing was sent)"


def test_the_right_code_in_the_wrong_direction_is_not_found():
    assert told('must = ["mtu-blackhole@node2>node1"]')[0].startswith(
        "mtu-blackhole@node2>node1 must be found"
    )


def test_what_must_not_be_found_and_is():
    line = told('must_not = ["mtu-blackhole"]\nallow = ["tcp-stalled", "dns-unanswered"]')

    assert line == (f"mtu-blackhole@node1>node2 must not be found, and is: {REPORT.findings[0]['summary']}",)


def test_a_warning_that_nobody_named_is_a_difference_and_an_info_is_not():
    lines = told('must = ["mtu-blackhole"]\nallow = ["dns-unanswered"]')

    assert [line.split(" is not expected")[0] for line in lines] == ["tcp-stalled@node1>node2 (warning)"]


@pytest.mark.parametrize(
    ("bound", "line"),
    [
        ("loss_ratio = {max = 0.01}", "node1>node2: loss_ratio is 0.0568086883876, more than 0.01"),
        ("delivered = {min = 1200}", "node1>node2: delivered is 1,129, less than 1,200"),
        ("delay_ns.p99 = {max = 1}", "node1>node2: delay_ns.p99 is 1,200,000, more than 1"),
        ('"delay_ns.min" = {max = 1}', "node1>node2: delay_ns.min is 250,000, more than 1"),
        ("delay_ns.min = {max = 1}", "node1>node2: delay_ns.min is 250,000, more than 1"),
    ],
)
def test_a_figure_out_of_bounds(bound, line):
    assert told(f'{MUST_ALL}[bounds."node1>node2"]\n{bound}') == (line,)


def test_a_figure_that_was_not_measured_is_a_difference():
    line = told(f'{MUST_ALL}[bounds."node2>node1"]\n"delay_ns.p50" = {{max = 1}}')

    assert line == ("node2>node1: delay_ns.p50 was not measured",)


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_of_a_hop_can_be_bounded(figure):
    assert told(f'[bounds."pod>node1"]\n"{figure}" = {{min = -1}}', HEALTHY) in (
        (),
        (f"pod>node1: {figure} was not measured",),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("must = [", "e.toml: no TOML"),
        ('musst = ["packet-loss"]', "e.toml: no key musst; did you mean must?"),
        (
            'must = ["paket-loss"]',
            "must: no diagnostic is called paket-loss; did you mean packet-loss?",
        ),
        ('must = "packet-loss"', "e.toml: must is to be a list of codes"),
        ('allow = ["packet-loss@node1>nod2"]', "e.toml: no direction node1>nod2; did you mean node1>node2?"),
        ('[bounds."node1>nod2"]\nlost = {max = 0}', "no direction node1>nod2; did you mean node1>node2?"),
        ('[bounds."node1>node2"]\nloss_rate = {max = 0}', "no figure loss_rate; did you mean loss_ratio?"),
        ('[bounds."node1>node2"]\nlost = {maximum = 0}', "lost: no limit maximum"),
        ('[bounds."node1>node2"]\nlost = {max = "0"}', "lost: max is to be a number"),
        ('[bounds."node1>node2"]\nlost = {max = nan}', "lost: max is to be a number"),
        ('[bounds."node1>node2"]\nlost = 0', "lost is to be a table"),
        ("bounds = 3", "bounds is to be a table"),
    ],
)
def test_what_makes_no_sense_is_named_with_the_nearest_that_does(text, message):
    assert message in refused(text)


def test_a_line_that_no_expectation_has_is_refused_at_once():
    """Of dotted keys, Python's parser takes time by the square: 27 s for 60 kB."""
    with pytest.raises(UsageError, match=r"e\.toml, line 2: .* characters"):
        parse("must = []\n" + ".".join("a" * 20_000) + " = 1\n", "e.toml")


def emptied(name):
    captures = [{**c, "packets": 0} if c["name"] == name else c for c in HEALTHY.captures]
    return replace(HEALTHY, captures=captures)


def test_a_capture_without_frames_is_no_proof():
    name = HEALTHY.captures[1]["name"]

    assert any(f"{name} holds no frame" in told for told in differences(parse("", "e"), emptied(name)))
    assert differences(parse(f'allow_unassessed = ["{name}"]', "e"), emptied(name)) == ()


@pytest.mark.parametrize(("allowed", "told"), [("", 1), ('allow_unassessed = ["mtu-blackhole"]', 0)])
def test_what_was_not_assessed_is_not_excluded(allowed, told):
    open_ = {"code": "mtu-blackhole", "direction": None, "reason": "no packet arrives"}
    report = replace(HEALTHY, not_assessed=[*HEALTHY.not_assessed, open_])
    expected = parse(f'must_not = ["mtu-blackhole"]\n{allowed}', "e")

    assert len(differences(expected, report)) == told
