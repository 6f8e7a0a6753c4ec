"""An outage is a time in which nothing arrives between times in which everything does."""

import numpy as np
import pytest

from tests.diagnostics import workload as net
from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import burst_outage

EVERY_S = 0.005


def stream(*dead, seconds=6.0, flow=None, every_s=EVERY_S):
    """A stream of which everything is lost between given seconds."""
    time_s = np.arange(0, seconds, every_s)
    lost = np.zeros(len(time_s), bool)
    for first, last in dead:
        lost |= (time_s >= first) & (time_s < last)
    return Traffic(flow or Flow(), time_s=time_s, lost=lost, payload=850)


def of(*forward):
    return [a for a in burst_outage.check(comparison(forward)) if a.direction == "node1>node2"]


def test_an_outage_is_found_with_its_edges():
    (finding,) = of(stream((2.0, 3.1)), stream((2.0, 3.1), flow=ping(), every_s=0.08))

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("burst-outage", Severity.CRITICAL)
    assert finding.evidence["outages"].value == 1
    assert finding.evidence["from"].value == "2023-11-14T22:13:22.000Z"
    assert finding.evidence["until"].value == "2023-11-14T22:13:23.095Z"
    assert finding.evidence["lasted"].value == 1_095_000_000
    assert finding.evidence["lost"].value == 234
    assert finding.summary.startswith("Nothing from node1 to node2 arrives from 2023-11-14T22:13:22.000Z")
    assert finding.frame_count == 234
    assert {r.code for r in finding.ruled_out} >= {"path-blocked", "packet-loss"}


def test_two_outages_are_one_finding_that_counts_them():
    (finding,) = of(stream((1.0, 1.6), (3.0, 3.8)))
    assert finding.evidence["outages"].value == 2
    assert finding.summary.startswith("2 times nothing from node1 to node2 arrives: 1.39 s and 280 packets")


def test_short_outages_that_come_again_prove_each_other():
    """One of 100 ms could be chance with this traffic; four of them cannot."""
    one, four = of(stream((0.5, 0.6))), of(stream(*((k, k + 0.1) for k in (0.5, 1.4, 2.3, 3.2))))

    assert one == []
    (finding,) = four
    assert finding.evidence["outages"].value == 4


def test_a_path_that_is_dead_at_first_is_an_outage_from_the_beginning():
    (finding,) = of(stream((0.0, 1.5)))
    assert "arrives from the beginning until" in finding.summary
    assert "none was seen to arrive before" in finding.explanation


def test_random_loss_beside_it_does_not_hide_it():
    rng = np.random.default_rng(4)
    both = stream((2.0, 3.0))
    lost = np.asarray(both.lost) | (rng.random(both.size) < 0.03)
    (finding,) = of(Traffic(time_s=both.time_s, lost=lost))
    assert finding.evidence["lost"].value == pytest.approx(200, abs=6)


def test_nothing_lost_is_clear():
    assert of(stream()) == []


def test_a_direction_that_cannot_be_judged_is_not_assessed():
    pair = comparison([stream()], directions={"node1>node2": {"assessed": False, "not_assessed_why": "no"}})
    assert burst_outage.check(pair)[0] == NotAssessed("burst-outage", "no", "node1>node2")


def test_two_lost_pings_in_a_row_prove_nothing():
    lost = np.isin(np.arange(50), (20, 21))
    assert of(Traffic(ping(), packets=50, every_s=0.2, lost=lost)) == []


def test_a_full_queue_of_some_milliseconds_is_no_outage():
    assert of(stream((2.0, 2.05))) == []


def test_a_path_that_stays_dead_is_no_outage():
    assert of(stream((2.0, 9.0))) == []


def test_a_blocked_service_alone_on_the_wire_is_no_outage():
    """Steps one after the other: queries, pages that are blocked, pings."""
    pages = Traffic(Flow(protocol=TCP, dport=8080), packets=12, start_s=10, every_s=1, payload=0, lost=True)
    queries = Traffic(Flow(dport=53), packets=30, every_s=0.3)
    assert of(queries, pages, Traffic(ping(), packets=30, start_s=25, every_s=0.2)) == []


@pytest.mark.parametrize("seed", range(25))
def test_bursts_of_ten_milliseconds_are_clear(seed):
    rule = net.in_bursts(np.random.default_rng(seed), 0.03, 0.01)
    time_s = np.arange(0, 10, 0.004)
    lost = np.array([rule(Flow(), t, 900) for t in time_s])
    assert of(Traffic(time_s=time_s, lost=lost)) == []
