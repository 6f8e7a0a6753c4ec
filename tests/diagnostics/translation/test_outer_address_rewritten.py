"""What the network rewrites in the outer header is told from matched packets, and is no fault by itself."""

from dataclasses import replace

import numpy as np

from tests.simulate import NODE1, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import NotAssessed, Severity
from vxlanalyze.analysis.underlay import rewriting
from vxlanalyze.diagnostics.translation import outer_address_rewritten

GATEWAY = "172.26.50.9"


def translated(flow=None, **changes):
    flow = flow or Flow()
    return {"flow": flow, "received_flow": replace(flow, **{"outer_src": GATEWAY, **changes})}


def assess(forward, **more):
    answers = outer_address_rewritten.check(comparison(forward, **more))
    return [a for a in answers if a.direction == "node1>node2"]


def test_a_rewritten_source_address_is_found():
    (finding,) = assess([Traffic(packets=40, **translated())])

    assert finding.severity is Severity.INFO
    assert finding.evidence["rewritten"].value == 40
    assert finding.evidence["source_before"].value == NODE1
    assert finding.evidence["source_after"].value == GATEWAY
    assert finding.frames["node1"].tolist() == finding.frames["node2"].tolist() == list(range(1, 41))
    assert f"ip.src == {GATEWAY}" in finding.display_filter


def test_a_rewritten_destination_address_is_found():
    traffic = Traffic(Flow(), received_flow=Flow(outer_dst="10.0.0.5"))
    (finding,) = assess([traffic])
    assert "outer destination address 172.26.50.201 arrives as 10.0.0.5" in finding.summary


def test_rewritten_source_ports_are_mentioned():
    (finding,) = assess([Traffic(**translated(outer_sport=1025))])
    assert "source port is rewritten too" in finding.explanation


def test_it_says_whether_requests_get_through():
    pair = comparison([Traffic(**translated(ping()))], [Traffic(ping().reverse())])
    assert "answered through it" in outer_address_rewritten.check(pair)[0].explanation


def test_only_what_was_rewritten_is_shown():
    pair = comparison([Traffic(packets=10), Traffic(packets=10, **translated(Flow(sport=2)))])
    (change,) = rewriting.rewritten(pair.hops[0].forward)
    assert np.flatnonzero(change.packets).tolist() == list(range(1, 20, 2))


def test_equal_addresses_are_clear():
    assert assess([Traffic()]) == []


def test_packets_like_others_may_be_paired_crosswise_and_prove_nothing():
    assert assess([Traffic(ambiguous=True, **translated())]) == []


def test_nothing_delivered_cannot_tell():
    (answer,) = assess([Traffic(lost=True)])
    assert isinstance(answer, NotAssessed)


def test_bare_points_have_no_outer_address():
    assert assess([Traffic()], bare=("node2",)) == []
