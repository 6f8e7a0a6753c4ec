"""``--diff BEFORE.json AFTER.json``: is it fixed?"""

from pathlib import Path

import pytest

from vxlanalyze.command import cli

CAPTURES = Path(__file__).parents[1] / "captures"


def saved(name: str, folder: Path, *more: str) -> str:
    files = [str(CAPTURES / name / f"node{n}.pcap.gz") for n in (1, 2)]
    path = folder / f"{name}.json"
    assert cli.main([*files, "--quiet", "-o", str(path), *more]) == 0
    return str(path)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("window-upload", "window-upload-twin", "window-limited"),
        ("server-thinks-once", "server-thinks-once-twin", "slow-answer"),
        ("reader-stops", "reader-stops-twin", "zero-window"),
    ],
)
def test_a_limit_that_is_gone_is_fixed_and_one_that_came_is_new(
    capsys, tmp_path, before: str, after: str, code: str
):
    reports = [saved(name, tmp_path) for name in (before, after)]

    assert cli.main(["--diff", *reports]) == 0
    there = capsys.readouterr().out
    assert cli.main(["--diff", *reports[::-1]]) == 0
    back = capsys.readouterr().out

    assert code in there
    assert "fixed" in there.lower()
    assert "new" in back.lower()
    assert len(there.splitlines()) <= 50


def test_the_same_report_has_no_change(capsys, tmp_path):
    report = saved("window-upload", tmp_path)

    assert cli.main(["--diff", report, report]) == 0
    assert "not fixed" in capsys.readouterr().out.lower()


def test_throughput_and_think_time_are_compared(capsys, tmp_path):
    window = [saved(name, tmp_path) for name in ("window-upload", "window-upload-twin")]
    server = [saved(name, tmp_path) for name in ("server-thinks-once", "server-thinks-once-twin")]

    cli.main(["--diff", *window])
    assert "throughput" in capsys.readouterr().out
    cli.main(["--diff", *server])
    assert "slowest median answer of the server" in capsys.readouterr().out


@pytest.mark.parametrize("option", [["--format", "json"], ["-o", "x.html"]])
def test_it_writes_text_and_nothing_else(capsys, tmp_path, option: list[str]):
    report = saved("server-thinks-once", tmp_path)

    assert cli.main(["--diff", report, report, *option]) == 2
    assert "--diff writes text to standard output" in capsys.readouterr().err


def test_redacted_reports_are_compared_and_others_are_refused(capsys, tmp_path):
    plain = saved("server-thinks-once", tmp_path)
    assert cli.main(["--diff", plain, plain, "--redact"]) == 2
    assert "saved with --redact" in capsys.readouterr().err

    hidden = saved("server-thinks-once", tmp_path, "--redact")
    assert cli.main(["--diff", hidden, hidden]) == 0
    assert "10.42." not in capsys.readouterr().out


@pytest.mark.parametrize(("text", "error"), [("{}", "r.json"), ("no json", "r.json")])
def test_what_is_no_report_is_one_line(capsys, tmp_path, text: str, error: str):
    (tmp_path / "r.json").write_text(text)

    assert cli.main(["--diff", str(tmp_path / "r.json"), str(tmp_path / "r.json")]) == 2
    told = capsys.readouterr().err
    assert error in told
    assert len(told.splitlines()) == 1
