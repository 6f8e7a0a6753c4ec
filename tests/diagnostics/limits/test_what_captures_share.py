"""Whether two captures can be compared at all: time, content, tunnel, traffic."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.capture.model import File
from vxlanalyze.diagnostics.limits import (
    capture_loss,
    no_common_traffic,
    no_tunnel_traffic,
    same_capture,
    windows_disjoint,
)
from vxlanalyze.pairing.model import Comparison, Reason
from vxlanalyze.wire.model import Tunnel

HOUR_S = 3600.0
ELSEWHERE = Flow(outer_dst="172.26.50.209", dst="10.233.69.9")


def found(answers) -> Finding:
    (finding,) = answers
    assert isinstance(finding, Finding)
    assert finding.severity == Severity.CRITICAL
    return finding


def apart(gap_s: float) -> Comparison:
    """The second capture begins that long after the first ends, and shows other packets."""
    return comparison(
        [Traffic(unknown=True, unknown_reason=Reason.WINDOW, packets=100)],
        [Traffic(Flow().reverse(), unknown=True, unknown_reason=Reason.WINDOW, start_s=1 + gap_s)],
    )


def test_captures_one_after_the_other_have_no_time_in_common():
    finding = found(windows_disjoint.check(apart(60.0)))

    assert "node2 begins 60 s after node1 ends" in finding.summary
    assert finding.evidence["gap"].value == pytest.approx(60e9, abs=2e7)
    assert finding.direction is None


def test_peers_that_are_not_known_leave_it_open():
    pair = apart(60.0)
    (hop,) = pair.hops
    unclear = [
        replace(d, assessed=False, not_assessed_why="it is not known which peer it is")
        for d in hop.directions
    ]
    (answer,) = windows_disjoint.check(
        replace(pair, hops=(replace(hop, forward=unclear[0], backward=unclear[1]),))
    )

    assert isinstance(answer, NotAssessed)
    assert "not known which peer" in answer.reason


def test_a_common_packet_proves_a_common_time_whatever_the_clocks_say():
    pair = comparison([Traffic()], clock_offset_ns=[0, int(HOUR_S * 1e9)])

    assert windows_disjoint.check(pair) == []


def test_an_empty_capture_has_no_times():
    assert windows_disjoint.check(comparison([Traffic(lost=True)])) == []


def test_overlapping_captures_of_a_blocked_path_are_clear():
    pair = comparison([Traffic(lost=True)], [Traffic(Flow().reverse(), lost=True)])

    assert windows_disjoint.check(pair) == []


def test_only_the_hop_in_question_is_named():
    pair = comparison([Traffic(packets=3)], points=("a", "b", "c"))

    assert windows_disjoint.check(pair) == []


def twice(pair: Comparison, **changes) -> Comparison:
    """The same capture at both points."""
    second = replace(pair.points[0], name="node2", capture=1, **changes)
    return replace(pair, points=(pair.points[0], second))


def test_one_capture_given_twice_is_found():
    finding = found(same_capture.check(twice(comparison([Traffic(packets=50)]))))

    assert finding.evidence["same_frames"].value == finding.evidence["frames"].value == 50


def test_a_part_of_a_capture_is_the_same_capture():
    pair = comparison([Traffic(packets=50)])
    index = pair.points[0].index
    part = replace(index, **{n: getattr(index, n)[10:30] for n in index.__slots__})
    decoded = replace(pair.points[0].decoded, index=part)

    assert found(same_capture.check(twice(pair, decoded=decoded))).evidence["frames"].value == 20


def test_one_file_under_two_names_is_found_even_where_it_is_empty(tmp_path):
    (tmp_path / "a.pcap").write_bytes(b"")
    (tmp_path / "b.pcap").symlink_to(tmp_path / "a.pcap")
    files = {
        name: {"files": (File(str(tmp_path / f"{letter}.pcap"), 0, "pcap", None),)}
        for name, letter in (("node1", "a"), ("node2", "b"))
    }

    assert "the same file" in found(same_capture.check(comparison(facts=files))).summary


def test_well_set_clocks_and_a_short_way_are_not_one_capture():
    rng = np.random.default_rng(7)
    pair = comparison([Traffic(packets=200, delay_s=rng.uniform(1e-6, 5e-6, 200))])

    assert same_capture.check(pair) == []


def test_two_empty_captures_are_not_the_same():
    assert same_capture.check(comparison()) == []


def test_captures_without_any_tunnel_packet_are_useless():
    bare = Flow(tunnel=0)
    finding = found(no_tunnel_traffic.check(comparison([Traffic(bare, lost=True)])))

    assert "none of 100 frames is encapsulated" in finding.summary
    assert "--port" in finding.remedy


def test_captures_without_any_frame_are_useless_too():
    assert "no frame at all" in found(no_tunnel_traffic.check(comparison())).summary


def test_an_empty_capture_at_the_receiver_is_evidence_of_a_blocked_path():
    assert no_tunnel_traffic.check(comparison([Traffic(lost=True)])) == []


def test_a_receiver_that_sees_other_frames_only_is_evidence_too():
    other = Traffic(Flow(tunnel=0, src="10.0.0.1", dst="10.0.0.2"))

    assert no_tunnel_traffic.check(comparison([Traffic(lost=True)], seen_only={"node2": [other]})) == []


def test_bare_packets_that_match_are_compared_as_they_are():
    (finding,) = no_tunnel_traffic.check(comparison([Traffic()], bare=("node1", "node2")))

    assert isinstance(finding, Finding)
    assert finding.severity == Severity.INFO
    assert finding.evidence["matched"].value == 100


def test_what_is_encrypted_may_hide_a_tunnel():
    (answer,) = no_tunnel_traffic.check(comparison([Traffic(Flow(tunnel=0, encryption=2), lost=True)]))

    assert isinstance(answer, NotAssessed)


def test_a_sender_that_was_captured_at_the_wrong_place_is_found():
    other = Traffic(Flow(tunnel=0, src="10.0.0.1", dst="10.0.0.2"))
    pair = comparison([Traffic(unsent=True)], seen_only={"node1": [other]})

    assert "other side received 100 from there" in found(no_tunnel_traffic.check(pair)).summary


def test_captures_with_tunnel_packets_are_clear():
    assert no_tunnel_traffic.check(comparison([Traffic()])) == []


def strangers(**more) -> Comparison:
    """Two nodes that talk with others only."""
    away = {"unknown": True, "unknown_reason": Reason.OTHER_PEER}
    other = replace(ELSEWHERE, outer_src="172.26.50.201", src="10.233.65.20")
    own = {"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)}
    return comparison([Traffic(ELSEWHERE, **away)], [Traffic(other, **away)], addresses=own, **more)


def test_nodes_that_talk_with_others_only_have_nothing_in_common():
    finding = found(no_common_traffic.check(strangers()))

    assert finding.direction is None
    assert "172.26.50.209" in finding.explanation
    assert finding.evidence["node1 tunnel packets"].value == 100


def test_packets_to_the_other_node_that_never_arrive_are_common_traffic():
    pair = comparison([Traffic(lost=True)], [Traffic(Flow().reverse(), lost=True)])

    assert no_common_traffic.check(pair) == []


def test_an_empty_capture_leaves_it_open():
    away = {"unknown": True, "unknown_reason": Reason.OTHER_PEER}
    (answer,) = no_common_traffic.check(comparison([Traffic(ELSEWHERE, **away)]))

    assert isinstance(answer, NotAssessed)
    assert "node2 holds no packet from host to host" in answer.reason


def test_captures_without_a_tunnel_are_another_question():
    assert no_common_traffic.check(comparison()) == []


def test_a_little_common_traffic_is_enough():
    away = {"unknown": True, "unknown_reason": Reason.OTHER_PEER}

    assert no_common_traffic.check(comparison([Traffic(ELSEWHERE, **away), Traffic(packets=1)])) == []


def test_two_networks_with_the_same_addresses_have_nothing_in_common():
    """Each capture shows what both ends send, and no packet stands in both."""
    lacking = {"unknown": True, "unknown_reason": Reason.CAPTURE_LOSS}
    there, back = Flow(), Flow().reverse()
    pair = comparison(
        [Traffic(there, **lacking), Traffic(there, unsent=True)],
        [Traffic(back, **lacking), Traffic(back, unsent=True)],
    )
    finding = found(no_common_traffic.check(pair))

    assert "not one packet stands in both" in finding.explanation
    assert capture_loss.check(pair) == []


def test_nodes_whose_pods_talk_unencapsulated_have_that_in_common():
    pair = strangers()
    bare = Flow(tunnel=Tunnel.NONE)
    both = comparison(
        [Traffic(ELSEWHERE, unknown=True, unknown_reason=Reason.OTHER_PEER)],
        [Traffic(ELSEWHERE.reverse(), unknown=True, unknown_reason=Reason.OTHER_PEER)],
        seen_only={"node1": [Traffic(bare)], "node2": [Traffic(bare)]},
    )
    (answer,) = no_common_traffic.check(both)

    assert isinstance(answer, NotAssessed)
    assert "100 packets" in answer.reason
    assert isinstance(found(no_common_traffic.check(pair)), Finding)
