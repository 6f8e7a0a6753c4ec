"""Plain loss is what nothing else explains; one packet is enough, but not at the edge of a capture."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import packet_loss
from vxlanalyze.pairing.model import Reason

RNG = np.random.default_rng(11)
SOME = RNG.random(1000) < 0.02
BACK = [Traffic(ping().reverse(), packets=200, every_s=0.06)]


def of(forward, backward=BACK, **more):
    return [
        a for a in packet_loss.check(comparison(forward, backward, **more)) if a.direction == "node1>node2"
    ]


def test_random_loss_is_found_with_an_interval():
    (finding,) = of([Traffic(packets=1000, lost=SOME)], [])
    lost = int(SOME.sum())

    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity) == ("packet-loss", Severity.WARNING)
    assert finding.summary.startswith(f"{lost} of 1,000 packets from node1 to node2 are lost (")
    assert finding.evidence["lost"].value == lost
    assert finding.evidence["judged"].value == 1000
    assert finding.evidence["loss_ratio"].value == lost / 1000
    assert finding.evidence["loss_ratio_low"].value < 0.02 < finding.evidence["loss_ratio_high"].value
    assert finding.evidence["runs"].value == pytest.approx(lost, abs=2)
    assert finding.evidence["heavier_for"].value is None
    assert finding.frames["node1"].tolist() == (np.flatnonzero(SOME) + 1).tolist()
    assert finding.frame_count == lost


def test_one_lost_packet_of_a_thousand_is_said():
    (finding,) = of([Traffic(packets=1000, lost=np.arange(1000) == 500)])
    assert finding.summary.startswith(
        "1 of 1,000 packets from node1 to node2 is lost (0.1 %, between 0.0177 %"
    )


def test_both_directions_are_told_apart():
    pair = comparison(
        [Traffic(packets=1000, lost=SOME)], [Traffic(Flow().reverse(), packets=1000, lost=SOME[::-1])]
    )
    assert [a.direction for a in packet_loss.check(pair)] == ["node1>node2", "node2>node1"]


def test_runs_of_losses_are_counted_and_widen_the_interval():
    lost = np.zeros(1000, bool)
    for at in (100, 300, 500, 700):
        lost[at : at + 5] = True
    (finding,) = of([Traffic(packets=1000, every_s=0.001, lost=lost)])
    assert finding.evidence["runs"].value == 4
    assert finding.evidence["longest_run"].value == 5
    assert "the longest run is 5 packets over 4 ms" in finding.explanation
    assert finding.evidence["loss_ratio_high"].value > 0.045


def test_loss_that_is_heavier_for_large_packets_is_said():
    sizes = np.where(np.arange(600) % 3 == 0, 1300, 100)
    lost = (sizes > 1000) & (np.random.default_rng(1).random(600) < 0.4)
    (finding,) = of([Traffic(packets=600, payload=sizes, lost=lost)])
    assert finding.evidence["heavier_for"].value == "packets above 778 bytes"
    assert "It is heavier for packets above 778 bytes" in finding.explanation


@pytest.mark.parametrize("seed", range(8))
def test_a_few_packets_that_lose_nothing_make_no_difference(seed):
    """Loss takes 3 % of everything; the few small packets, or the few of another service, lose none of 40."""
    lost = np.random.default_rng(seed).random(2500) < 0.03
    stream = Traffic(packets=2500, payload=900, every_s=0.004, lost=lost)
    (finding,) = of([stream, Traffic(Flow(dport=53), packets=40, payload=40, every_s=0.25)])
    assert finding.evidence["heavier_for"].value is None
    assert "does not depend on" not in finding.explanation  # 40 packets do not show that


def test_what_was_tested_and_does_not_decide_is_said():
    rng = np.random.default_rng(2)
    sizes = np.where(np.arange(3000) % 2, 1200, 100)
    streams = [
        Traffic(
            Flow(dport=5201 + n, sport=40000 + n),
            packets=3000,
            payload=sizes,
            every_s=0.02,
            lost=rng.random(3000) < 0.02,
        )
        for n in range(3)
    ]
    (finding,) = of(streams)
    assert "Loss does not depend on size, service and outer source port" in finding.explanation
    assert "protocol" not in finding.explanation.split("does not depend on")[1].split(":")[0]


def test_loss_that_is_heavier_for_a_service_is_said():
    lost = np.random.default_rng(1).random(200) < 0.5
    queries = Traffic(Flow(dport=53), packets=200, lost=lost)
    (finding,) = of([Traffic(packets=1000), queries])
    assert "UDP" in finding.evidence["heavier_for"].value


@pytest.mark.parametrize("lost", range(1, 12))
def test_a_service_that_loses_some_is_never_a_cause_by_itself(lost):
    """However likely it is that one service alone is concerned: that says where, not why."""
    gone = np.random.default_rng(lost).permutation(40) < lost
    queries = [
        Traffic(Flow(sport=53, dport=30000 + i), packets=1, start_s=i * 0.2, lost=bool(gone[i]))
        for i in range(40)
    ]
    (finding,) = of([Traffic(packets=900), *queries])
    assert finding.evidence["lost"].value == lost


def test_segments_that_were_sent_again_speak_for_real_loss():
    web = Flow(protocol=TCP, sport=40000, dport=8080)
    lost = np.arange(100) % 25 == 5
    seq = np.arange(100) * 1000
    again = Traffic(web, time_s=1.5 + 0.1 * np.arange(4), payload=1000, seq=seq[lost], tcp_flags=0x18)
    (finding,) = of([Traffic(web, packets=100, payload=1000, seq=seq, lost=lost), again])
    assert (finding.evidence["tcp_lost"].value, finding.evidence["tcp_sent_again"].value) == (4, 4)


@pytest.mark.parametrize(
    ("dropped", "says"),
    [
        (7, "states that it dropped 7 packets; as many of the missing ones count as unknown"),
        (0, "capture dropped none, so they were lost before it"),
        (None, "does not say whether it dropped packets"),
    ],
)
def test_what_the_capture_itself_dropped_is_set_against_it(dropped, says):
    (finding,) = of([Traffic(packets=1000, lost=SOME)], facts={"node2": {"dropped_by_kernel": dropped}})
    assert says in finding.explanation


def test_nothing_lost_is_clear():
    assert of([Traffic(packets=1000)]) == []


def test_unknown_packets_are_not_lost():
    assert of([Traffic(packets=1000, unknown=SOME)]) == []


def test_a_direction_that_cannot_be_judged_is_not_assessed():
    why = {"node1>node2": {"assessed": False, "not_assessed_why": "no"}}
    assert of([Traffic(lost=True)], directions=why) == [NotAssessed("packet-loss", "no", "node1>node2")]


@pytest.mark.parametrize("offset_s", [0, -7200, 3600])
def test_packets_behind_the_receivers_last_frame_may_only_be_unseen(offset_s):
    lost = np.arange(100) >= 98
    (answer,) = of(
        [Traffic(packets=100, lost=lost)],
        [Traffic(ping().reverse(), packets=5)],
        clock_offset_ns=[0, offset_s * 10**9],
    )
    assert isinstance(answer, NotAssessed)
    assert "2 packets not seen at node2" in answer.reason


def test_packets_before_the_receivers_first_frame_may_only_be_unseen():
    lost = np.arange(100) < 2
    (answer,) = of([Traffic(packets=100, lost=lost)], [Traffic(ping().reverse(), packets=5, start_s=0.5)])
    assert isinstance(answer, NotAssessed)


def test_the_edge_is_told_by_the_right_clock_in_the_other_direction():
    back = Traffic(Flow().reverse(), packets=100, lost=np.arange(100) >= 98)
    pair = comparison([Traffic(packets=20)], [back], clock_offset_ns=[0, 7200 * 10**9])
    (answer,) = packet_loss.check(pair)
    assert isinstance(answer, NotAssessed)


def test_what_other_findings_explain_is_not_counted():
    """A blocked service beside clean traffic."""
    blocked = Traffic(Flow(protocol=TCP, dport=8080), packets=12, every_s=1, payload=0, lost=True)
    assert of([Traffic(packets=1000), Traffic(ping(), packets=60, every_s=0.2), blocked]) == []


def test_two_lost_packets_of_two_are_loss_of_which_the_path_is_suspected():
    (finding,) = of([Traffic(ping(), packets=2, every_s=0.2, lost=True)])
    assert finding.summary.startswith("2 of 2 packets from node1 to node2 are lost (100 %")
    assert finding.summary.endswith("; perhaps the path is blocked")


def missed(pings=0, stream=0):
    """Pings of which every 25th was answered and not captured, and a stream; some of both are not seen."""
    gaps = {"unknown": np.arange(200) % 25 == 7, "unknown_reason": Reason.CAPTURE_LOSS}
    asked = Traffic(ping(), packets=200, every_s=0.05, lost=np.arange(200) % 25 < pings, **gaps)
    udp = Traffic(Flow(sport=9), packets=600, every_s=0.015, lost=RNG.permutation(600) < stream)
    return [asked, udp]


def test_what_the_capture_misses_of_all_kinds_alike_is_its_own_loss():
    (finding,) = of(missed(stream=20))

    assert finding.explained_by == ("capture-loss",)
    assert "lacks 8 of 200 packets (4 %) of the kind that is answered" in finding.explanation


@pytest.mark.parametrize("more", [{"stream": 120}, {"stream": 20, "pings": 1}])
def test_more_than_the_capture_misses_or_unanswered_beside_it_is_lost(more):
    (finding,) = of(missed(**more))
    assert finding.explained_by is None


def pausing(flows: int, *, go_on: bool) -> list[Traffic]:
    """Flows that work, pause for 90 s, and then lose everything, or go on."""
    times = [0, 1, 2, 100, 101, 103, 107]
    lost = np.array([False] * 3 + [not go_on] * 4)
    return [
        Traffic(Flow(protocol=TCP, sport=40000 + 7 * i + go_on, dport=5432), time_s=times, lost=lost)
        for i in range(flows)
    ]


STEADY = [
    Traffic(Flow(protocol=TCP, sport=50000 + 7 * i, dport=5432), packets=40, every_s=3) for i in range(20)
]


def test_flows_that_are_lost_since_a_silence_are_forgotten_ones():
    (finding,) = of([*pausing(6, go_on=False), *STEADY])

    assert isinstance(finding, Finding)
    assert "only 6 flows that had been silent for 98 s or more" in finding.summary
    assert "tcp_keepalive_time" in finding.remedy


def test_flows_that_pause_as_long_and_go_on_deny_it():
    found = of([*pausing(6, go_on=False), *pausing(6, go_on=True), *STEADY])
    assert all("silent" not in finding.summary for finding in found)


def test_super_packets_that_are_lost_as_a_whole_are_not_segmented():
    sizes = {"packets": 6, "every_s": 1, "payload": 14_000, "segment_bytes": 1400}
    bulk = Traffic(Flow(protocol=TCP, sport=40000, dport=9000), lost=True, **sizes)
    single = Traffic(bulk.flow, packets=60, every_s=0.1, start_s=0.05, payload=1400, seq=np.arange(60) * 1400)
    (finding,) = of([bulk, single])

    assert isinstance(finding, Finding)
    assert "in frames for its card to segment" in finding.summary
    assert "node1# ethtool -K NIC tx-udp_tnl-segmentation off" in finding.remedy
