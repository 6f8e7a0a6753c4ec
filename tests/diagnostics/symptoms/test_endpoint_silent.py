"""One endpoint says nothing while others of its node answer."""

from tests.simulate import NODE1, NODE2, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.symptoms.endpoint_silent import check
from vxlanalyze.kubernetes.model import Cluster, Pod
from vxlanalyze.pairing.model import Comparison

SYN, SYN_ACK, RST_ACK = 0x02, 0x12, 0x14
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=60)


def connections(count: int, port: int, **more) -> list[Traffic]:
    return [
        Traffic(
            Flow(protocol=6, sport=40000 + i, dport=port),
            **{"time_s": [i, i + 1], "seq": 1000, "tcp_flags": SYN, "payload": 0, **more},
        )
        for i in range(count)
    ]


def accepted(count: int, port: int, flags: int = SYN_ACK, **more) -> list[Traffic]:
    return [
        Traffic(
            Flow(protocol=6, sport=40000 + i, dport=port).reverse(),
            **{"time_s": [i + 0.001], "ack": 1001, "tcp_flags": flags, "payload": 0, **more},
        )
        for i in range(count)
    ]


def echoes(count: int, dst: str = "10.233.65.20", **more) -> Traffic:
    return Traffic(ping(dst=dst), packets=count, **more)


def replies(count: int, dst: str = "10.233.65.20") -> Traffic:
    return Traffic(ping(dst=dst).reverse(), packets=count, start_s=0.001)


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_a_silent_pod_beside_a_working_one_is_found():
    cluster = Cluster(pods=(Pod("db-0", "default", "node2", ("10.233.65.9",)),))
    pair = comparison([echoes(20), echoes(10, "10.233.65.9"), LATER], [replies(20)], cluster=cluster)
    finding = found(pair)

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert finding.summary == (
        "echo to 10.233.65.9 (default/db-0) answered none of 10 requests that reached node2, "
        "while other endpoints there answered 20"
    )
    assert finding.evidence["unanswered_packets"].value == 10
    assert finding.frame_count == 10


def test_every_copy_of_a_syn_counts_as_unanswered():
    pair = comparison([*connections(4, 8080), echoes(30), LATER], [replies(30)])
    finding = found(pair)

    assert finding.evidence["requests"].value == 4
    assert finding.evidence["unanswered_packets"].value == 8
    assert "10.233.65.20 itself is alive" in finding.explanation


def test_the_other_way_is_looked_at_too():
    silent = Traffic(ping().reverse(sport=0x0800), packets=10)
    working = Traffic(ping(src="10.233.64.11").reverse(sport=0x0800), packets=30)
    answers = Traffic(working.flow.reverse(), packets=30, start_s=0.001)
    finding = found(comparison([answers], [silent, working, LATER]))

    assert finding.direction == "node2>node1"


def test_working_endpoints_are_clear():
    assert check(comparison([echoes(20), *connections(2, 80), LATER], [replies(20), *accepted(2, 80)])) == []


def test_a_refusing_endpoint_is_not_silent():
    pair = comparison(
        [echoes(30), *connections(6, 80, time_s=[0]), LATER],
        [replies(30), *accepted(6, 80, RST_ACK)],
    )

    assert check(pair) == []


def test_requests_that_were_lost_on_their_way_do_not_speak_against_the_endpoint():
    assert check(comparison([echoes(20), echoes(10, "10.233.65.9", lost=True), LATER], [replies(20)])) == []


def test_answers_that_are_lost_on_their_way_back_are_answers():
    lost = Traffic(ping(dst="10.233.65.9").reverse(), packets=10, start_s=0.001, lost=True)
    pair = comparison([echoes(20), echoes(10, "10.233.65.9"), LATER], [replies(20), lost])

    assert check(pair) == []


def test_where_nobody_answers_it_is_another_question():
    (answer,) = check(comparison([echoes(20), LATER]))

    assert isinstance(answer, NotAssessed)
    assert "not-answered" in answer.reason


def test_a_single_unanswered_packet_is_too_few_to_tell():
    (answer,) = check(comparison([echoes(20), echoes(1, "10.233.65.9"), LATER], [replies(20)]))

    assert isinstance(answer, NotAssessed)
    assert "1 unanswered packet" in answer.reason


def test_a_node_that_is_often_silent_makes_silence_less_telling():
    """Half of the others' echoes stay unanswered, so six more say nothing."""
    half = Traffic(
        ping().reverse(), time_s=[0.02 * i + 0.001 for i in range(10)], seq=[2 * i for i in range(10)]
    )
    (answer,) = check(comparison([echoes(20), echoes(6, "10.233.65.9"), LATER], [half]))

    assert isinstance(answer, Finding)
    assert "10.233.65.9" not in answer.summary


def test_an_endpoint_that_ignores_a_part_is_found():
    half = Traffic(
        ping().reverse(), time_s=[0.02 * i + 0.001 for i in range(10)], seq=[2 * i for i in range(10)]
    )
    (answer,) = check(comparison([echoes(20), LATER], [half]))

    assert answer.summary.startswith("10 of 20 (50 %) requests (echo to 10.233.65.2")
    assert answer.evidence["in_bursts"].value == "no"


def test_an_endpoint_that_ignores_one_of_many_is_clear():
    most = Traffic(ping().reverse(), time_s=[0.02 * i + 0.001 for i in range(49)], seq=list(range(49)))
    assert check(comparison([echoes(50), LATER], [most])) == []


def test_a_silent_dns_server_is_left_to_its_own_question():
    queries = Traffic(
        Flow(dst="10.233.65.250", dport=53), packets=10, seq=[i << 16 | 0x100 for i in range(1, 11)]
    )

    assert check(comparison([echoes(20), queries, LATER], [replies(20)])) == []


def test_one_capture_alone_is_not_asked():
    assert check(comparison([echoes(20)], points=("node1",))) == []


def test_an_endpoint_that_falls_silent_is_found_with_the_moment():
    finding = found(comparison([echoes(50, every_s=0.1), LATER], [replies_every(0.1, 20)]))

    assert finding.severity == Severity.WARNING
    assert finding.summary == (
        "echo to 10.233.65.20 answered until 2023-11-14T22:13:21.900Z, and none of 30 requests that reached "
        "node2 afterwards"
    )
    assert "it may be the node" in finding.explanation
    assert finding.frame_count == 30


def test_an_endpoint_that_appears_behind_a_third_node_moved_there():
    there = Traffic(ping().reverse(outer_src="172.26.50.209"), packets=1, start_s=2.5)
    asked = [echoes(50, every_s=0.1), LATER]
    pair = comparison(asked, [replies_every(0.1, 20)], seen_only={"node2": [there]})
    for point in pair.points:  # the simulation takes every sender that a point shows for its node's
        object.__setattr__(point, "addresses", (NODE1 if point.name == "node1" else NODE2,))
    finding = found(pair)

    assert "now appears behind 172.26.50.209" in finding.summary
    assert "node1# bridge fdb show | grep -i 0e:00" in finding.remedy


def replies_every(every_s: float, count: int, dst: str = "10.233.65.20") -> Traffic:
    return Traffic(ping(dst=dst).reverse(), packets=count, every_s=every_s, start_s=0.001)


def test_others_that_answer_meanwhile_clear_the_node():
    other = "10.233.65.9"
    pair = comparison(
        [echoes(50, every_s=0.1), echoes(50, other, every_s=0.1), LATER],
        [replies_every(0.1, 20), replies_every(0.1, 50, other)],
    )
    assert "Other endpoints of node2 answered 30 requests meanwhile" in found(pair).explanation


def test_a_silence_of_less_than_a_second_or_of_few_requests_is_clear():
    assert check(comparison([echoes(30, every_s=0.02), LATER], [replies_every(0.02, 10)])) == []
    assert check(comparison([echoes(12, every_s=1), LATER], [replies_every(1, 10)])) == []


def test_who_answers_again_did_not_fall_silent():
    again = Traffic(ping().reverse(), packets=5, every_s=0.1, start_s=4.501, seq=range(45, 50))
    pair = comparison([echoes(50, every_s=0.1), LATER], [replies_every(0.1, 20), again])
    assert check(pair) == []


def test_requests_that_are_lost_on_their_way_say_nothing_of_the_end():
    lost = [i >= 20 for i in range(50)]
    assert check(comparison([echoes(50, every_s=0.1, lost=lost), LATER], [replies_every(0.1, 20)])) == []


def test_a_vni_that_the_node_has_no_device_for_is_named():
    other = Traffic(ping(dst="10.0.9.7", vni=4097), packets=10)
    finding = found(comparison([echoes(20), other, LATER], [replies(20)]))

    assert "VNI 4,097" in finding.explanation
    assert "only with VNI 1." in finding.explanation
    assert "ip -d link show type vxlan" in finding.remedy
    assert finding.evidence["vni"].value == "4097"


def test_vnis_that_say_who_sends_are_not_named():
    """With Cilium requests carry the client's identity, answers the server's."""
    asks = [Traffic(ping(vni=300), packets=20), Traffic(ping(dst="10.233.65.9", vni=301), packets=10), LATER]
    answers = [Traffic(ping(vni=500).reverse(), packets=20, start_s=0.001)]

    assert "VNI" not in found(comparison(asks, answers)).explanation
