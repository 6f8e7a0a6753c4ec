"""Each diagnostic has its four kinds of test: shown by breaking it and running its tests until enough fail.

Where its findings are withheld, a test of the kind "found" fails; where what it could not assess is withheld,
one of the kind "cannot tell"; where it finds something everywhere, two: nothing wrong, and a lookalike.
"""

import importlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vxlanalyze import diagnostics
from vxlanalyze.analysis.finding import Diagnostic, DiagnosticResult, Finding, NotAssessed, Quantity, Severity

TESTS = Path(__file__).parent
Check = Callable[..., list[DiagnosticResult]]


def _no_findings(check: Check, code: str) -> Check:
    return lambda *given, **named: [r for r in check(*given, **named) if not isinstance(r, Finding)]


def _all_assessed(check: Check, code: str) -> Check:
    return lambda *given, **named: [r for r in check(*given, **named) if not isinstance(r, NotAssessed)]


def _finds_everywhere(check: Check, code: str) -> Check:
    invented = [
        Finding(code, Severity.CRITICAL, "Invented.", "Invented.", "", direction, {"a": Quantity(1)})
        for direction in ("node1>node2", "node2>node1", None)
    ]
    return lambda *given, **named: [*check(*given, **named), *invented]


def _cases() -> Iterator[Any]:
    for diagnostic in diagnostics.DIAGNOSTICS:
        yield pytest.param(diagnostic, _no_findings, 1, "found", id=f"{diagnostic.code}-no-findings")
        yield pytest.param(
            diagnostic,
            _finds_everywhere,
            2,
            "nothing wrong, and not fooled by what looks like it",
            id=f"{diagnostic.code}-finds-everywhere",
        )
        if "NotAssessed(" in inspect.getsource(importlib.import_module(diagnostic.check.__module__)):
            yield pytest.param(
                diagnostic, _all_assessed, 1, "cannot tell", id=f"{diagnostic.code}-all-assessed"
            )


@pytest.mark.parametrize(("diagnostic", "broken", "least", "kinds"), list(_cases()))
def test_tests_fail_when_a_diagnostic_is_broken(
    diagnostic: Diagnostic, broken: Callable[[Check, str], Check], least: int, kinds: str, monkeypatch: Any
) -> None:
    module = importlib.import_module(diagnostic.check.__module__)
    mutant = broken(diagnostic.check, diagnostic.code)
    for holder in (module, *_test_modules(diagnostic.code)):
        if getattr(holder, "check", None) is diagnostic.check:
            monkeypatch.setattr(holder, "check", mutant)
    entries = (replace(d, check=mutant) if d is diagnostic else d for d in diagnostics.DIAGNOSTICS)
    monkeypatch.setattr(diagnostics, "DIAGNOSTICS", tuple(entries))
    failed = itertools.islice((name for name, run in _tests_of(diagnostic.code) if not _passes(run)), least)

    assert len(list(failed)) == least, f"write tests of {diagnostic.code} in tests/diagnostics/: {kinds}"


def _passes(run: Callable[[], None]) -> bool:
    try:
        run()
    except (AssertionError, ValueError, IndexError, KeyError, TypeError, AttributeError, StopIteration):
        return False
    return True


def _tests_of(code: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Tests that need no fixtures: of its own file first, then of files that name it."""
    for module in _test_modules(code):
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and test.__module__ == module.__name__:
                yield from ((name, run) for run in _runs(test))


def _test_modules(code: str) -> Iterator[ModuleType]:
    for path in _files(code.replace("-", "_")):
        yield importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))


def _runs(test: Callable[..., None]) -> Iterator[Callable[[], None]]:
    """A test once for each set of its parameters; never where it needs a fixture."""
    marks = [m for m in getattr(test, "pytestmark", []) if m.name == "parametrize"]
    choices = []
    for mark in marks:
        names = (
            mark.args[0].replace(" ", "").split(",") if isinstance(mark.args[0], str) else list(mark.args[0])
        )
        values = [getattr(v, "values", None) or (v if len(names) > 1 else (v,)) for v in mark.args[1]]
        choices.append([dict(zip(names, value, strict=False)) for value in values])
    for chosen in itertools.product(*choices):
        given = {k: v for one in chosen for k, v in one.items()}
        if set(inspect.signature(test).parameters) <= set(given):
            yield lambda given=given: test(**given)


@cache
def _sources() -> tuple[tuple[Path, str], ...]:
    return tuple((p, p.read_text()) for p in sorted((TESTS / "diagnostics").rglob("test_*.py")))


def _files(name: str) -> list[Path]:
    named = [(path, source) for path, source in _sources() if name in source or path.stem == f"test_{name}"]
    return [path for path, _ in sorted(named, key=lambda entry: not entry[0].stem.startswith(f"test_{name}"))]
