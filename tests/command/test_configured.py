"""Options and expectations that a project sets in its pyproject.toml."""

import gzip
import json
import re
from pathlib import Path

import pytest

from tests.command.conftest import SEED
from vxlanalyze.command import cli
from vxlanalyze.errors import UsageError
from vxlanalyze.report import expectation

PAIR = ("node1.pcap", "node2.pcap")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the seed's pair, in which the command runs; gives what writes its pyproject.toml."""
    for name in PAIR:
        (tmp_path / name).write_bytes(gzip.decompress((Path(SEED) / f"{name}.gz").read_bytes()))
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "pyproject.toml").write_text


def test_options_of_the_project_hold_and_are_said(project, capsys):
    project('[tool.vxlanalyze]\nfail-on = "warning"\nformat = "json"\nignore = ["dns-unanswered"]\n')

    status = cli.main(PAIR)

    out, err = capsys.readouterr()
    assert status == 1
    assert "dns-unanswered" not in {finding["code"] for finding in json.loads(out)["findings"]}
    assert "pyproject.toml sets --fail-on=warning --format=json --ignore=dns-unanswered" in err


def test_the_command_line_goes_before_the_project(project):
    project('[tool.vxlanalyze]\nfail-on = "warning"\n')

    assert cli.main([*PAIR, "--fail-on", "never", "--quiet"]) == 0


@pytest.mark.parametrize(("code", "status"), [("path-blocked", 0), ("mtu-blackhole", 1)])
def test_an_expectation_of_the_project_is_held_against_the_pair(project, code, status):
    project(f'[tool.vxlanalyze.expect]\nmust = ["{code}"]\nallow = ["path-blocked", "dns-unanswered"]\n')

    assert cli.main([*PAIR, "--quiet"]) == status


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('kubes = "a"', "kubes cannot be set there; did you mean kube?"),
        ('output = "/etc/passwd"', "output cannot be set there"),
        ("fail-on = true", "fail-on is to be a string"),
        ('redact = "yes"', "redact is to be true or false"),
        ('expect.musts = ["path-blocked"]', "no key musts"),
    ],
)
def test_what_makes_no_sense_is_said(project, capsys, written, said):
    project(f"[tool.vxlanalyze]\n{written}\n")

    assert cli.main(PAIR) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("written", ["[tool.other]\nport = 1\n", "no TOML [", "[project]\nname = 'x'\n"])
def test_projects_that_say_nothing_change_nothing(project, capsys, written):
    project(written)

    assert cli.main([*PAIR, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[tool]\nvxlanalyze = 3\n# [tool.vxlanalyze]\n", "tool.vxlanalyze is to be a table"),
        (f"[tool.vxlanalyze]\n{'a.' * 3000}b = 1\n", "line 2: 6,005 characters"),
    ],
)
def test_a_project_that_cannot_be_read_is_refused_by_every_reader(project, capsys, written, said):
    """For its options, and as a file of ``--expect``."""
    project(written)

    for options in ((), ("--expect", "pyproject.toml")):
        assert cli.main([*PAIR, *options]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(UsageError, match=re.escape(said)):
        expectation.parse(written, "pyproject.toml")
