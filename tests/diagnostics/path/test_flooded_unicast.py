"""One frame to several endpoints is flooding, unless it is meant for all or each packet goes to one."""

import numpy as np

from tests.simulate import NODE2, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import NotAssessed, Severity
from vxlanalyze.diagnostics.path import flooded_unicast

NODE3 = "172.26.50.202"
THERE, COPY = Flow(), Flow(outer_dst=NODE3)
IDS = np.arange(500, 540)


def sent(*flows, packets=40, ip_id=IDS, **changes):
    return comparison([Traffic(f, packets=packets, ip_id=ip_id[:packets], **changes) for f in flows])


def test_frames_that_go_to_two_endpoints_are_found():
    (finding,) = flooded_unicast.check(sent(THERE, COPY))

    assert (finding.code, finding.severity) == ("flooded-unicast", Severity.WARNING)
    assert finding.evidence["frames"].value == 40
    assert finding.evidence["endpoints"].value == f"{NODE2}, {NODE3}"
    assert finding.evidence["sends_from"].value == "nowhere"
    assert finding.frame_count >= 80


def test_unicast_to_a_group_is_found():
    (finding,) = flooded_unicast.check(sent(Flow(outer_dst="239.1.1.1")))
    assert "the group 239.1.1.1" in finding.summary


def test_what_goes_to_one_endpoint_is_clear():
    assert flooded_unicast.check(sent(THERE)) == []


def test_a_few_frames_until_an_answer_teaches_are_clear():
    assert flooded_unicast.check(sent(THERE, COPY, packets=4)) == []


def test_broadcasts_are_meant_for_all():
    everyone = 0xFFFFFFFFFFFF
    flows = Flow(inner_dst_mac=everyone), Flow(inner_dst_mac=everyone, outer_dst=NODE3)
    assert flooded_unicast.check(sent(*flows)) == []


def test_a_conversation_that_goes_to_a_new_place_is_no_flood():
    pair = comparison(
        [
            Traffic(THERE, packets=40, ip_id=IDS),
            Traffic(COPY, packets=40, ip_id=IDS + 40, start_s=1),
        ]
    )
    assert flooded_unicast.check(pair) == []


def test_captures_without_tunnels_cannot_tell():
    pair = comparison([Traffic(THERE)], bare=("node1", "node2"))
    assert [type(a) for a in flooded_unicast.check(pair)] == [NotAssessed]
