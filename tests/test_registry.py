"""A diagnostic cannot be registered half done: its kinds of test, its manual and its recording exist."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from tests.findings_to_act_on import QUOTED, hidden_commands, shortcomings, unreadable
from tests.lab import __main__ as lab
from vxlanalyze import diagnostics

TESTS = Path(__file__).parent
# How a test shows its kind: by what it asserts.
KINDS = {
    "found": re.compile(r"\bfound\w*\(|\(finding,?\)|\bfindings?\b|\.summary|\.severity|\.evidence"),
    "clear": re.compile(r"== \[\]|== \(\)|== set\(\)|not in |is None|not any\(|not \w+(\.\w+)?\(|== 0"),
    "cannot tell": re.compile(r"NotAssessed|[Rr]eason|not_assessed|unassessed|unsure"),
}
# Shown by unit tests alone: damaged files, files given twice, and notes of pairs that are about other codes.
WITHOUT_PAIR = {"same-capture", "capture-damaged", "clock-offset", "mirrored-capture"}

SPEAKING = sorted(
    path
    for room in ("diagnostics", "analysis")
    for path in (TESTS.parent / "vxlanalyze" / room).rglob("*.py")
)
each_diagnostic = pytest.mark.parametrize("diagnostic", diagnostics.DIAGNOSTICS, ids=lambda d: d.code)


@cache
def sources() -> tuple[tuple[Path, str], ...]:
    return tuple(
        (path, path.read_text()) for path in sorted(TESTS.rglob("test_*.py")) if path.name != __file__
    )


def bodies_about(code: str) -> list[str]:
    """Sources of the test functions that are about a diagnostic: in its own file, or naming it."""
    name = code.replace("-", "_")
    found = []
    for path, source in sources():
        own = path.stem.startswith(f"test_{name}")
        if not own and name not in source and code not in source:
            continue
        functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
        bodies = [ast.get_source_segment(source, f) or "" for f in functions if f.name.startswith("test_")]
        found += [body for body in bodies if own or name in body or code in body]
    return found


@each_diagnostic
def test_a_diagnostic_has_its_kinds_of_test(diagnostic):
    """Found, clear, not fooled (a second clear one), and cannot tell where its module has that answer."""
    module = importlib.import_module(diagnostic.check.__module__)
    bodies = bodies_about(diagnostic.code)
    count = {kind: sum(bool(shows.search(body)) for body in bodies) for kind, shows in KINDS.items()}
    wanted = {"found": 1, "clear": 2}
    if "NotAssessed(" in Path(module.__file__ or "").read_text():
        wanted["cannot tell"] = 1
    missing = [kind for kind, least in wanted.items() if count[kind] < least]

    assert not missing, f"write tests of {diagnostic.code} in tests/diagnostics/: {missing}"


@each_diagnostic
def test_a_finding_is_made_with_all_that_it_needs(diagnostic):
    """A check that finds nothing is none; a finding names its remedy, evidence and explanation."""
    module = importlib.import_module(diagnostic.check.__module__)
    calls = [node for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text())) if _makes(node)]

    for call in calls:
        given = {keyword.arg for keyword in call.keywords}
        assert {"explanation", "remedy", "evidence"} <= given, f"line {call.lineno}"


def _makes(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) == "Finding"


def test_every_code_is_shown_by_a_pair_of_captures():
    """A recording in tests/captures or sample_pcaps, or a pair in tests/reported/pairs."""
    shown = "".join((folder / "truth.json").read_text() for _, folder in lab.recordings())
    shown += "".join(path.read_text() for path in sorted((TESTS / "reported" / "pairs").glob("*.py")))
    missing = {d.code for d in diagnostics.DIAGNOSTICS if d.code not in shown}

    assert missing == WITHOUT_PAIR


def test_a_check_that_always_finds_nothing_is_noticed():
    """Its test of the kind "found" asserts something about a finding, so it fails."""
    assert KINDS["found"].search("(finding,) = check(pair)")
    assert not KINDS["found"].search("assert check(pair) == []")


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.stem)
def test_commands_stand_on_lines_of_their_own(path: Path):
    """Never quoted in a sentence: `vxlanalyze.text.commands.on` writes them with the node they run on."""
    manual = ast.get_docstring(ast.parse(path.read_text())) or ""
    quoted = [match[0] for match in QUOTED.finditer(path.read_text()) if match[0] not in manual]

    assert not quoted, f"write each by on(node, ...) or anywhere(...): {quoted}"


def test_commands_in_sentences_are_noticed():
    assert hidden_commands("Look at `ip -s link` there.\nss -lntu\nn1# ss -lntu") == [
        "`ip -s link`",
        "ss -lntu",
    ]
    assert hidden_commands("ip is fine, `tunnelPort` too\nshow what it has") == []


def test_findings_that_cannot_be_acted_on_are_noticed():
    bare = {"code": "path-blocked", "remedy": "", "evidence": {}, "frame_count": 0}
    broken = {**bare, "remedy": "Do it:\nnode1# iptables -A 'x", "evidence": {"a": 1}, "frame_count": 1}

    assert len(shortcomings({"findings": [bare]})) == 3
    assert shortcomings({"findings": [broken]}) == ["bash cannot parse: iptables -A 'x"]
    assert unreadable(["ping -c 3 192.0.2.1", "ip link show | grep vxlan"]) == []
