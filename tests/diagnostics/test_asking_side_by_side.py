"""Questions asked on two threads are answered as in turn, and what they share is measured once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze import diagnostics
from vxlanalyze.analysis.finding import Diagnostic, NotAssessed
from vxlanalyze.analysis.once import once

PAIR = comparison([Traffic()], [Traffic(Flow().reverse())])


def breaks(_):
    raise ValueError("broken")


@pytest.mark.parametrize("too_many", [0, 1 << 60], ids=["in-turn", "on-two-threads"])
def test_answers_stand_in_the_order_of_the_questions(monkeypatch, too_many):
    names = [f"code-{number}" for number in range(9)]
    asked = [Diagnostic(name, lambda _, name=name: [NotAssessed(name, "why")]) for name in names]
    asked.insert(4, Diagnostic("breaks", breaks))
    in_turn = diagnostics.diagnose(PAIR, diagnostics=tuple(asked))
    monkeypatch.setattr(diagnostics, "_MANY_PACKETS", 0)
    monkeypatch.setattr(diagnostics, "_TOO_MANY_PACKETS", too_many)
    at_once = diagnostics.diagnose(PAIR, diagnostics=tuple(asked))

    assert at_once == in_turn
    assert [told.code for told in at_once.not_assessed] == names
    assert [told.code for told in at_once.broken] == ["breaks"]


def test_a_full_memory_ends_it(monkeypatch):
    def full(_):
        raise MemoryError

    monkeypatch.setattr(diagnostics, "_MANY_PACKETS", 0)
    with pytest.raises(MemoryError):
        diagnostics.diagnose(PAIR, diagnostics=(Diagnostic("full", full),))


def test_threads_that_ask_at_once_share_one_measurement():
    measured, together = [], Barrier(2)

    @once
    def measure(pair):
        measured.append(pair)
        return object()

    def ask(_):
        together.wait()
        return measure(PAIR)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(ask, range(2))

    assert first is second
    assert measured == [PAIR]
