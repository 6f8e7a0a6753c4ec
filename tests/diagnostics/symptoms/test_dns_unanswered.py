"""DNS queries without an answer: how many of how many, where they died, and what that looks like."""

import dpkt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.diagnostics.frames import in_vxlan, udp
from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.analysis.requests.dns_names import name_of
from vxlanalyze.diagnostics.symptoms.dns_unanswered import check
from vxlanalyze.kubernetes.model import Cluster, Node, Pod, Service
from vxlanalyze.pairing.model import Comparison

QUERY, RESPONSE = 0x0100, 0x8180
CLIENT, NEAR, FAR = "10.233.64.10", "10.233.64.125", "10.233.65.250"
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=60)
COREDNS = Cluster(
    nodes=(
        Node("node1", ("172.26.50.200",), ("10.233.64.0/24",)),
        Node("node2", ("172.26.50.201",), ("10.233.65.0/24",)),
    ),
    pods=(
        Pod("coredns-d7pjv", "kube-system", "node1", (NEAR,)),
        Pod("coredns-nz2tt", "kube-system", "node2", (FAR,)),
    ),
    services=(
        Service("coredns", "kube-system", ("10.233.0.3",), (("udp", 53),), (f"{NEAR}:53", f"{FAR}:53")),
    ),
)


def resolver(server: str = FAR) -> Flow:
    return Flow(src=CLIENT, dst=server, sport=41000, dport=53)


def queries(count: int, server: str = FAR, **more) -> Traffic:
    return Traffic(
        resolver(server), packets=count, seq=[i << 16 | QUERY for i in range(1, count + 1)], **more
    )


def responses(*numbers: int, server: str = FAR, **more) -> Traffic:
    times = [0.01 * (n - 1) + 0.002 for n in numbers]
    seq = [n << 16 | RESPONSE for n in numbers]
    return Traffic(resolver(server).reverse(), time_s=times, seq=seq, **more)


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_a_server_that_answers_nothing_is_found_with_its_numbers():
    finding = found(comparison([queries(6, lost=True), LATER]))

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert finding.summary == "10.233.65.250 answered none of 6 DNS queries from 10.233.64.10"
    assert finding.evidence["unanswered"].value == finding.evidence["lost"].value == 6
    assert finding.frames["node1"].tolist() == [1, 2, 3, 4, 5, 6]


def test_queries_that_arrive_and_are_not_answered_are_the_pod_s_own_fault():
    finding = found(comparison([queries(8), LATER], [responses(2, 4, 6, 8)]))

    assert finding.summary == "10.233.65.250 left 4 of 8 DNS queries from 10.233.64.10 unanswered"
    assert finding.evidence["silent"].value == 4
    assert "packet-loss" in {r.code for r in finding.ruled_out}
    assert finding.explained_by is not None
    assert "packet-loss" not in finding.explained_by
    assert "not-answered" in finding.explained_by


def test_answers_that_are_lost_on_their_way_back_are_told_as_such():
    finding = found(comparison([queries(4), LATER], [responses(1, 2, 3, 4, lost=True)]))

    assert finding.direction == "node2>node1"
    assert finding.evidence["answer_lost"].value == 4
    assert finding.explained_by is None


def test_one_pod_always_answers_and_the_other_never_is_said_in_these_words():
    """Both pods seen in one capture, as with -i any: here both behind the tunnel."""
    pair = comparison(
        [queries(6, lost=True), queries(6, server=NEAR), LATER],
        [responses(*range(1, 7), server=NEAR)],
        cluster=COREDNS,
    )

    assert found(pair).summary == (
        "One DNS pod always answers, the other never: 10.233.65.250 (kube-system/coredns-nz2tt) answered "
        "none of 6 DNS queries, 10.233.64.125 (kube-system/coredns-d7pjv) all 6"
    )


def test_a_pod_of_the_client_s_own_node_is_named_though_unseen():
    finding = found(comparison([queries(6, lost=True), LATER], cluster=COREDNS))

    assert "10.233.64.125 (kube-system/coredns-d7pjv), on the client's own node" in finding.explanation
    assert "do not enter the tunnel" in finding.explanation


def test_the_names_that_are_asked_for_are_told():
    message = bytes(dpkt.dns.DNS(id=1, qd=[dpkt.dns.DNS.Q(name="web.default.svc")]))
    frames = [in_vxlan(udp(message, CLIENT, FAR))] * 4
    finding = found(comparison([queries(4, lost=True, raw=frames), LATER]))

    assert "web.default.svc" in finding.explanation


@pytest.mark.parametrize("always", [True, False], ids=["never", "now and then"])
def test_names_that_are_never_answered_beside_all_others_are_upstreams(always):
    """Odd queries are for a name of the cluster; of the even ones, none or the first two are answered."""
    numbers = range(1, 25)
    asked = {n: "web.default.svc.cluster.local" if n % 2 else "api.example.com" for n in numbers}
    frames = [
        in_vxlan(udp(bytes(dpkt.dns.DNS(id=n, qd=[dpkt.dns.DNS.Q(name=name)])), CLIENT, FAR))
        for n, name in asked.items()
    ]
    answered = [n for n in numbers if n % 2 or (not always and n <= 4)]
    finding = found(comparison([queries(24, raw=frames), LATER], [responses(*answered)]))

    assert ("none of the queries for api.example.com, and all others" in finding.summary) is always
    assert ("dig @10.233.65.250 api.example.com" in finding.remedy) is always
    assert ("networkpolicies" not in finding.remedy) is always


def escaped(name):
    written = "".join(c if c.isprintable() and c != " " else f"\\{ord(c):03d}" for c in name)
    return written if len(written) <= 100 else written[:99] + "…"


def test_names_are_bytes_of_strangers_and_made_harmless():
    label = b"\x1b[31m\nx"
    message = bytes.fromhex("000101000001000000000000") + bytes([len(label)]) + label + bytes(5)

    assert name_of(message) == "\\027[31m\\010x"
    assert all(name_of(message[:cut]) is None for cut in range(len(message) - 4))


@given(st.lists(st.text(min_size=1, max_size=15), max_size=5))
def test_names_are_read_as_dpkt_reads_them(labels):
    encoded = [label.encode() for label in labels]
    question = b"".join(bytes([len(label)]) + label for label in encoded) + bytes(5)
    message = bytes.fromhex("000101000001000000000000") + question

    assert name_of(message) == escaped(dpkt.dns.DNS(message).qd[0].name)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_name_or_none(content):
    """No label is longer than 63 octets and no name than 255; of no question there is none."""
    question = bytes.fromhex("000101000001000000000000")

    assert name_of(content) is None or isinstance(name_of(content), str)
    assert name_of(question + b"\x40" + bytes(80)) is None
    assert name_of(question + (b"\x3f" + b"a" * 63) * 4 + bytes(5)) is None
    assert name_of(question[:4] + bytes(8) + b"\x01a" + bytes(5)) is None


def test_answered_queries_are_clear():
    assert check(comparison([queries(6), LATER], [responses(*range(1, 7))])) == []


def test_a_query_at_the_end_of_the_capture_is_not_held_against_the_server():
    assert check(comparison([queries(6)], [responses(*range(1, 6))])) == []


def test_one_silent_query_of_many_is_clear():
    assert check(comparison([queries(50), LATER], [responses(*range(2, 51))])) == []


def test_one_unanswered_query_alone_is_too_few_to_tell():
    (answer,) = check(comparison([queries(1), LATER]))

    assert isinstance(answer, NotAssessed)
    assert "1 of 1 query" in answer.reason


def test_a_query_sent_three_times_in_vain_is_enough():
    again = Traffic(resolver(), time_s=[0, 5, 10], seq=7 << 16 | QUERY, lost=True)
    finding = found(comparison([again, LATER]))

    assert finding.evidence["queries"].value == finding.evidence["lost"].value == 3
    assert finding.evidence["sent_again"].value == 2


def test_servers_are_told_in_one_finding_a_direction():
    finding = found(comparison([queries(6, lost=True), queries(4, server=NEAR, lost=True), LATER]))

    assert "1 more client-server pair" in finding.summary
    assert finding.evidence["queries"].value == 10


def test_a_capture_alone_tells_what_its_client_saw():
    finding = found(comparison([queries(6), LATER], points=("node1",)))

    assert finding.direction is None
    assert finding.evidence["unknown"].value == 6


def test_late_answers_are_answers():
    slow = Traffic(resolver().reverse(), time_s=[4.0] * 6, seq=[i << 16 | RESPONSE for i in range(1, 7)])

    assert check(comparison([queries(6), LATER], [slow])) == []


def test_a_server_silent_once_in_a_hundred_times_gives_no_alarm():
    alarms = 0
    for seed in range(100):
        answered = 1 + np.flatnonzero(np.random.default_rng(seed).random(200) > 0.01)
        alarms += bool(check(comparison([queries(200), LATER], [responses(*answered)])))

    assert alarms == 0


def pairs_of_queries(count: int) -> Traffic:
    """A and AAAA from one socket, every second."""
    times = [i // 2 + (i % 2) * 0.0001 for i in range(2 * count)]
    return Traffic(resolver(), time_s=times, seq=[i << 16 | QUERY for i in range(1, 2 * count + 1)])


def answered_pairs(count: int, *without: int) -> Traffic:
    numbers = [i for i in range(1, 2 * count + 1) if i not in without]
    times = [(i - 1) // 2 + 0.002 for i in numbers]
    return Traffic(resolver().reverse(), time_s=times, seq=[n << 16 | RESPONSE for n in numbers])


def test_the_second_query_of_pairs_that_dies_is_a_race():
    finding = found(comparison([pairs_of_queries(20), LATER], [answered_pairs(20, *range(2, 40, 4))]))

    assert finding.evidence["second_of_pair_unanswered"].value == 10
    assert finding.evidence["first_of_pair_unanswered"].value == 0
    assert "node2# conntrack" in finding.remedy
    assert "insert_failed" in finding.remedy
    assert "single-request-reopen" in finding.remedy


def test_queries_of_pairs_that_die_at_random_are_no_race():
    finding = found(comparison([pairs_of_queries(20), LATER], [answered_pairs(20, 1, 4, 9, 12, 17, 20)]))

    assert "insert_failed" not in finding.remedy


def test_a_query_that_is_answered_when_sent_again_was_unanswered_before():
    again = Traffic(
        resolver(),
        time_s=[t + 20 * i for i in range(5) for t in (0, 5)],
        seq=[i << 16 | QUERY for i in range(1, 6) for _ in (0, 1)],
    )
    late = Traffic(
        resolver().reverse(),
        time_s=[5.002 + 20 * i for i in range(5)],
        seq=[i << 16 | RESPONSE for i in range(1, 6)],
    )
    finding = found(comparison([again, Traffic(Flow(sport=1, dport=2), packets=1, start_s=200)], [late]))

    assert finding.evidence["queries"].value == 10
    assert finding.evidence["unanswered"].value == finding.evidence["silent"].value == 5


def test_never_is_not_said_of_one_query():
    pair = comparison(
        [Traffic(resolver(), time_s=[0, 5], seq=1 << 16 | QUERY, lost=True), queries(6, server=NEAR), LATER],
        [responses(*range(1, 7), server=NEAR)],
    )

    assert "never" not in found(pair).summary


def test_a_socket_that_asks_a_pod_that_is_gone_is_freed():
    finding = found(comparison([queries(6, server="10.233.65.77"), LATER], cluster=COREDNS))

    assert "Nothing in the cluster (--kube) has 10.233.65.77" in finding.explanation
    assert "conntrack -D -p udp --reply-src 10.233.65.77 --reply-port-src 53" in finding.remedy
    assert "kubectl logs" not in finding.remedy


def test_answers_that_a_filter_hides_are_not_missing():
    web = Flow(src=CLIENT, dst=FAR, protocol=6, sport=40000, dport=80)
    handshake = Traffic(web, packets=3, tcp_flags=[0x02, 0x10, 0x18], ack=[0, 101, 101], payload=[0, 0, 50])
    assert check(comparison([queries(6), handshake, LATER])) == []
    assert [type(a) for a in check(comparison([queries(6), LATER]))] == [Finding]
