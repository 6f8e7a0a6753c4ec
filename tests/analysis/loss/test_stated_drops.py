"""What a capture states that it dropped is not counted as lost, up to that number and without a rule."""

import numpy as np
import pytest

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.loss import stated_drops
from vxlanalyze.diagnostics.limits import capture_loss
from vxlanalyze.diagnostics.path import packet_loss
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.pairing.model import Comparison, Direction, Outcome, Reason
from vxlanalyze.report.figures import loss_interval

LOST = np.random.default_rng(5).random(1000) < 0.03
GONE = int(LOST.sum())


def dropped(number: int | None, forward=None, **more) -> Comparison:
    facts = {"node2": {"dropped_by_kernel": number}}
    pair = comparison(forward or [Traffic(packets=1000, lost=LOST)], facts=facts, **more)
    return stated_drops.credited(pair)


def forward(pair: Comparison) -> Direction:
    return pair.hops[0].forward


def test_what_the_capture_dropped_is_unknown():
    direction = forward(dropped(GONE))

    assert not direction.lost.any()
    assert (direction.reason[direction.outcome == Outcome.UNKNOWN] == Reason.CAPTURE_LOSS).all()
    assert direction.maybe_lost == GONE
    assert not [a for a in packet_loss.check(dropped(GONE)) if isinstance(a, Finding)]


def test_the_interval_begins_at_zero_and_holds_the_worst_case():
    low, high = loss_interval(forward(dropped(GONE + 5)))

    assert low == 0
    assert high > GONE / 1000


def test_what_is_missing_beyond_that_number_is_lost():
    direction = forward(dropped(GONE - 4))

    assert (int(direction.lost.sum()), direction.maybe_lost) == (4, GONE - 4)


@pytest.mark.parametrize("number", [None, 0])
def test_a_capture_that_states_no_drops_changes_nothing(number):
    assert int(forward(dropped(number)).lost.sum()) == GONE


def test_a_blocked_service_is_not_laid_on_the_capture():
    dead = Traffic(Flow(dport=9999), packets=60, every_s=0.1, lost=True)
    direction = forward(dropped(500, [Traffic(packets=600), dead]))

    assert int(direction.lost.sum()) == 60


def test_tcpdump_s_closing_lines_count_as_well():
    row = {"captured": "970", "received_by_filter": "1000", "dropped_by_kernel": str(GONE)}
    cluster = Cluster(facts=(Fact("node2", "tcpdump-summary", "log", (row,)),))

    assert not forward(dropped(None, cluster=cluster)).lost.any()


def test_packets_that_are_proved_to_be_missing_use_up_the_number():
    answered = Traffic(Flow(dport=7), packets=30, unknown=True, unknown_reason=Reason.CAPTURE_LOSS)
    direction = forward(dropped(30, [Traffic(packets=1000, lost=LOST), answered]))

    assert int(direction.lost.sum()) == GONE


def test_one_finding_says_it_all():
    (finding,) = [a for a in capture_loss.check(dropped(GONE)) if isinstance(a, Finding)]

    assert f"{GONE} missing packets node1>node2 (between 0 and {GONE / 10:.3g} % loss)" in finding.explanation
    assert "packet-loss" not in [r.code for r in finding.ruled_out]
