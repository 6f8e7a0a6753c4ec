"""Findings are told root causes first, and consequences name what explains them."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Diagnostic, Finding, NotAssessed, Severity
from vxlanalyze.diagnostics import DIAGNOSTICS, causes, diagnose
from vxlanalyze.diagnostics.path import flow_blocked, packet_loss

PAIR = comparison([Traffic()], [Traffic(Flow().reverse())], points=("a", "b", "c"))


def finding(code, direction=None, severity=Severity.WARNING, frames=None, explained_by=None):
    return Finding(
        code, severity, "", "", "", direction=direction, frames=frames or {}, explained_by=explained_by
    )


def diagnostic(code, *explained_by, round_trip=False, check=lambda pair: []):
    return Diagnostic(code, check, explained_by, round_trip)


def ordered(findings, diagnostics, pair=PAIR):
    return [(f.key, f.because) for f in causes.order(findings, diagnostics, pair)]


ROOT, LATER = diagnostic("root"), diagnostic("later", "root")


def test_a_cause_in_the_same_direction_explains():
    told = ordered([finding("later", "a>b"), finding("root", "a>b")], (ROOT, LATER))
    assert told == [("root@a>b", None), ("later@a>b", "root@a>b")]


def test_a_cause_without_a_direction_explains():
    assert ordered([finding("later", "a>b"), finding("root")], (ROOT, LATER))[1] == ("later@a>b", "root")


def test_a_consequence_without_a_direction_is_explained_by_any():
    assert ordered([finding("later"), finding("root", "b>c")], (ROOT, LATER))[1] == ("later", "root@b>c")


def test_a_cause_in_another_direction_does_not_explain_what_goes_one_way():
    told = ordered([finding("later", "a>b"), finding("root", "b>a")], (ROOT, LATER))
    assert dict(told) == {"root@b>a": None, "later@a>b": None}


def test_a_question_is_explained_by_a_fault_on_the_way_back_or_on_the_next_hop():
    asks = diagnostic("asks", "root", round_trip=True)
    for label in ("b>a", "b>c", "c>b"):
        told = ordered([finding("asks", "a>b"), finding("root", label)], (ROOT, asks))
        assert told[1] == ("asks@a>b", f"root@{label}")


def test_the_own_direction_is_preferred():
    asks = diagnostic("asks", "root", round_trip=True)
    told = ordered([finding("root", "b>a"), finding("root", "a>b"), finding("asks", "a>b")], (ROOT, asks))
    assert told[-1] == ("asks@a>b", "root@a>b")


def test_a_finding_that_knows_its_causes_overrules_its_diagnostic():
    told = ordered([finding("root", "a>b"), finding("later", "a>b", explained_by=())], (ROOT, LATER))
    assert dict(told)["later@a>b"] is None


def test_root_causes_come_first_then_severity_then_the_registered_order():
    one, two = diagnostic("one"), diagnostic("two")
    findings = [
        finding("later", "a>b", Severity.CRITICAL),
        finding("two", "a>b", Severity.CRITICAL),
        finding("one", "a>b", Severity.CRITICAL),
        finding("root", "a>b", Severity.INFO),
    ]
    told = ordered(findings, (ROOT, LATER, one, two))
    assert [key for key, _ in told] == ["one@a>b", "two@a>b", "root@a>b", "later@a>b"]


def test_what_is_only_worth_knowing_stands_at_the_end():
    note = diagnostic("note")
    findings = [
        finding("note", severity=Severity.INFO),
        finding("root", "a>b", Severity.CRITICAL),
        finding("later", "a>b", Severity.WARNING),
    ]
    told = ordered(findings, (ROOT, LATER, note))
    assert [key for key, _ in told] == ["root@a>b", "later@a>b", "note"]


def test_directions_stand_in_the_order_of_the_path():
    told = ordered([finding("root", d) for d in ("b>c", "b>a", "a>b")], (ROOT,))
    assert [key for key, _ in told] == ["root@a>b", "root@b>a", "root@b>c"]


def test_two_that_explain_each_other_make_no_circle():
    first, second = diagnostic("first", "second"), diagnostic("second", "first")
    told = ordered([finding("second", "a>b"), finding("first", "a>b")], (first, second))
    assert told == [("first@a>b", None), ("second@a>b", "first@a>b")]


def blocked_web_and_lost_queries():
    """Port 8080 is blocked; queries are lost at random, one by one."""
    web = [
        Traffic(Flow(protocol=TCP, sport=40000 + i, dport=8080), packets=3, every_s=1, lost=True)
        for i in range(5)
    ]
    lost = np.isin(np.arange(60), (10, 33))
    return comparison([*web, Traffic(Flow(dport=53), packets=60, every_s=0.3, lost=lost), Traffic(ping())])


def test_a_blocked_service_explains_only_what_lost_packets_to_it():
    pair = blocked_web_and_lost_queries()
    answers = [*flow_blocked.check(pair), *packet_loss.check(pair)]
    found = [a for a in answers if isinstance(a, Finding)]
    index = pair.points[0].index
    queries = np.flatnonzero(pair.points[0].flows.dport[index.flow] == 53) + 1
    symptom = finding("dns", "node1>node2", frames={"node1": queries})
    dns = diagnostic("dns", "flow-blocked", "packet-loss")
    told = ordered([*found, symptom], (flow_blocked.DIAGNOSTIC, packet_loss.DIAGNOSTIC, dns), pair)
    assert dict(told)["dns@node1>node2"] == "packet-loss@node1>node2"


def test_a_diagnostic_that_raises_is_told_and_the_others_run():
    def breaks(pair):
        raise ZeroDivisionError("no")

    works = diagnostic("works", check=lambda pair: [finding("works"), NotAssessed("works", "why")])
    told = diagnose(PAIR, diagnostics=(diagnostic("breaks", check=breaks), works))

    assert [(b.code, b.error) for b in told.broken] == [("breaks", "ZeroDivisionError: no")]
    assert [f.code for f in told.findings] == ["works"]
    assert told.not_assessed == (NotAssessed("works", "why"),)
    assert told.ran == ("breaks", "works")


def test_what_is_selected_and_not_ignored_is_asked():
    three = tuple(diagnostic(c) for c in ("x", "y", "z"))
    assert diagnose(PAIR, select=("x", "y"), ignore=("y",), diagnostics=three).ran == ("x",)


def test_one_cause_is_told_once_in_a_whole_diagnosis():
    """A blocked service, asked of all diagnostics: nothing else claims its packets."""
    web = [
        Traffic(Flow(protocol=TCP, sport=40000 + i, dport=8080), packets=3, every_s=1, lost=True)
        for i in range(5)
    ]
    pair = comparison(
        [*web, Traffic(ping(), packets=60)], [Traffic(ping().reverse(), packets=60, start_s=0.001)]
    )
    told = diagnose(pair, diagnostics=DIAGNOSTICS)
    assert told.broken == ()
    assert told.findings[0].key == "flow-blocked@node1>node2"
    roots = [f.code for f in told.findings if f.because is None and f.severity > Severity.INFO]
    assert roots == ["flow-blocked"]


def test_loss_while_the_other_way_is_interrupted_is_a_consequence():
    """A burst of acknowledgements is lost in the second in which the stream to the other node is lost."""
    down = np.arange(600) // 100 == 3
    stream = Traffic(packets=600, every_s=0.01, lost=down)
    back = np.concatenate([np.arange(0, 3, 0.03), 3.4 + np.arange(20) * 0.001, np.arange(4.1, 6, 0.03)])
    for inside, because in ((back, "burst-outage@node1>node2"), (back + 0.8, None)):
        lost = (back > 3.3) & (back < 3.5)
        answers = Traffic(Flow().reverse(), time_s=inside, packets=len(inside), lost=lost)
        found = {f.key: f.because for f in diagnose(comparison([stream], [answers])).findings}
        assert found["burst-outage@node1>node2"] is None
        assert found["packet-loss@node2>node1"] == because
