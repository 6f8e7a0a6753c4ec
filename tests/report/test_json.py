"""The JSON report: as published, and back again."""

import copy
import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.fixed import HEALTHY, REPORT
from vxlanalyze.errors import UsageError
from vxlanalyze.report.formats.as_json import from_json, render, schema
from vxlanalyze.report.model import Report


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("report", [REPORT, HEALTHY], ids=["faulty", "healthy"])
def test_a_report_is_as_the_schema_says(report):
    jsonschema.Draft202012Validator(schema()).validate(json.loads(render(report)))


@pytest.mark.parametrize("report", [REPORT, HEALTHY], ids=["faulty", "healthy"])
def test_a_report_survives_json(report):
    assert from_json(render(report)) == report


def test_the_schema_names_every_field_of_the_report():
    # Hops within nodes stand among the others.
    assert set(schema()["properties"]) == set(Report.__dataclass_fields__) - {"inside"}


def test_the_text_is_ascii_so_that_no_locale_and_no_terminal_changes_it():
    assert render(REPORT).isascii()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "r.json, line 1, column 1: not JSON"),
        ('{"schema":', "r.json, line 1, column 11: not JSON"),
        ("[]", "its schema is null; 'vxlanalyze.report/1' can be read"),
        ('{"schema": "vxlanalyze.report/9"}', 'its schema is "vxlanalyze.report/9"'),
        ('{"schema": "vxlanalyze.report/1"}', "r.json: lacks 'tool'"),
        (
            '{"schema": "vxlanalyze.report/1", "tol": {}}',
            "r.json: lacks 'tool', and 'tol' is not a key of it",
        ),
        ("[" * 100_000, "not a report"),
    ],
)
def test_what_is_no_report_is_told_with_its_place(text, told):
    with pytest.raises(UsageError) as error:
        from_json(text, "r.json")

    assert told in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("hops", 0, "sent"), "many", "hops[0].sent is str, not int"),
        (("hops", 0, "sent"), True, "hops[0].sent is bool, not int"),
        (("hops", 1, "loss_ratio"), float("nan"), "hops[1].loss_ratio is nan, which is not a JSON number"),
        (("findings", 0, "frames", "node1"), [1, "2"], "findings[0].frames.node1[1] is str, not int"),
        (("captures", 0, "files", 0, "path"), None, "captures[0].files[0].path is NoneType, not str"),
        (("services",), {}, "services is dict, not list"),
        (
            ("findings", 0, "severity"),
            "critcal",
            "findings[0].severity: critcal is none; did you mean critical?",
        ),
    ],
)
def test_a_value_of_another_type_is_told_with_its_place(path, value, told):
    whole = json.loads(render(REPORT))
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    with pytest.raises(UsageError) as error:
        from_json(json.dumps(whole), "r.json")

    assert told in str(error.value)


def test_a_missing_key_is_named():
    whole = json.loads(render(REPORT))
    del whole["findings"][1]["severity"]

    with pytest.raises(UsageError, match=r"findings\[1\] lacks 'severity'"):
        from_json(json.dumps(whole))


def test_a_key_that_was_mistyped_is_named():
    whole = json.loads(render(REPORT))
    whole["findings"][1]["severty"] = whole["findings"][1].pop("severity")

    with pytest.raises(UsageError, match=r"findings\[1\] lacks 'severity', and 'severty' is not a key of it"):
        from_json(json.dumps(whole))


def test_keys_of_later_versions_are_passed_over():
    whole = json.loads(render(REPORT))
    whole["weather"] = "fine"
    whole["hops"][0]["colour"] = "blue"

    assert from_json(json.dumps(whole)).verdict == REPORT.verdict


@given(st.data())
def test_no_damaged_report_breaks_the_reader(data):
    whole = json.loads(render(REPORT))
    place = copy.deepcopy(whole)
    root = place
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(st.none() | st.integers() | st.text() | st.lists(st.integers()))
            break
        place = place[key]
    try:
        from_json(json.dumps(root))
    except UsageError:
        return


def test_hops_within_nodes_stand_behind_those_between_captures():
    """A saved report gives them back apart, so that the path is drawn from captures alone."""
    inside = [{**REPORT.hops[0], "from": "node2", "to": "node2/if4", "direction": "node2>node2/if4"}]
    report = replace(REPORT, inside=inside)
    listed = json.loads(render(report))["hops"]

    assert [hop["direction"] for hop in listed][-1] == "node2>node2/if4"
    assert from_json(render(report)) == report
