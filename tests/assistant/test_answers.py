"""Answers stay within their size, and say what they leave out."""

import json

import pytest

from vxlanalyze.assistant import answers
from vxlanalyze.assistant.root import Root
from vxlanalyze.errors import UsageError


def test_lists_give_way_until_the_answer_fits():
    rows = [{"text": "x" * 100} for _ in range(10_000)]
    answer = json.loads(answers.written({"verdict": "v", "rows": rows}, ("rows",)))

    assert len(json.dumps(answer)) < 2 * answers.MOST_BYTES
    assert answer["rows_left_out"] + len(answer["rows"]) == 10_000


def test_what_cannot_be_shortened_is_an_error():
    assert "too long" in answers.written({"verdict": "v" * 2 * answers.MOST_BYTES}, ("rows",))


def test_paths_are_shown_relative_to_the_root(tmp_path):
    assert Root(tmp_path).shown(f"{tmp_path}/a/b.pcap: no capture") == "a/b.pcap: no capture"


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such directory"):
        Root(tmp_path / "missing")
