"""What goes to a group is lost, and unicast passes: that is the group, and no firewall."""

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import group_blocked, path_blocked

GROUP = "239.3.2.1"
FLOODED = Flow(outer_dst=GROUP, dst="10.233.65.77", sport=9)
WEB = Flow(protocol=TCP, dport=8080)


def groups(lost=True, **how):
    return Traffic(FLOODED, packets=20, every_s=0.2, lost=lost, **how)


def of(pair, module=group_blocked):
    return [a for a in module.check(pair) if a.direction == "node1>node2"]


def test_a_group_that_is_not_carried_is_found():
    pair = comparison([Traffic(WEB), groups()], [Traffic(WEB.reverse())])
    (finding,) = of(pair)

    assert (finding.code, finding.severity) == ("group-blocked", Severity.CRITICAL)
    assert GROUP in finding.summary
    assert finding.evidence["lost"].value == 20
    assert finding.evidence["unicast_delivered"].value == 100
    assert "bridge fdb append 00:00:00:00:00:00 dev DEVICE dst" in finding.remedy
    assert of(pair, path_blocked) == []


def test_a_direction_of_groups_alone_is_the_group_too():
    pair = comparison([groups()], [Traffic(ping().reverse(), packets=30)])
    (finding,) = of(pair)
    assert isinstance(finding, Finding)
    assert finding.evidence["unicast_returned"].value == 30


def test_a_group_that_is_carried_is_clear():
    assert of(comparison([Traffic(WEB), groups(lost=False)])) == []


def test_a_blocked_path_loses_unicast_too():
    pair = comparison([Traffic(WEB, every_s=0.05, lost=True), groups()], [Traffic(WEB.reverse())])
    assert of(pair) == []
    assert [f.code for f in of(pair, path_blocked)] == ["path-blocked"]


def test_a_direction_that_cannot_be_judged_cannot_tell():
    pair = comparison([groups()], directions={"node1>node2": {"assessed": False, "not_assessed_why": "cut"}})
    assert [type(a) for a in of(pair)] == [NotAssessed]
