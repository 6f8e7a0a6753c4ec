"""A diagnostic is not registered half done: its findings can be acted on, and a pair of captures shows it."""

import ast
import importlib
import json
from pathlib import Path

import pytest

from tests.findings_to_act_on import QUOTED, hidden_commands, shortcomings, unreadable
from tests.lab import __main__ as lab
from tests.reported.registry import discover
from vxlanalyze import diagnostics

TESTS = Path(__file__).parent
# Shown by tests of files alone: damaged ones, one given twice, of other times or clusters; and notes.
WITHOUT_PAIR = {
    "same-capture",
    "capture-damaged",
    "no-common-traffic",
    "windows-disjoint",
    "clock-offset",
    "mirrored-capture",
}

SPEAKING = sorted(
    path
    for room in ("diagnostics", "analysis")
    for path in (TESTS.parent / "vxlanalyze" / room).rglob("*.py")
)
each_diagnostic = pytest.mark.parametrize("diagnostic", diagnostics.DIAGNOSTICS, ids=lambda d: d.code)


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
    """It is required of a recording (tests/captures, sample_pcaps) or of a pair (tests/reported/pairs)."""
    truths = [json.loads((folder / "truth.json").read_text()) for _, folder in lab.recordings()]
    wanted = [(truth["root"], truth["must"]) for truth in truths]
    wanted += [(built.root, built.must) for built in discover().values()]
    shown = {code.partition("@")[0] for _, must in wanted for code in must}
    shown |= {root for root, _ in wanted if isinstance(root, str)}
    missing = {d.code for d in diagnostics.DIAGNOSTICS} - shown

    assert missing == WITHOUT_PAIR, "let a pair show it, and name the code in its `must` or as its `root`"


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
