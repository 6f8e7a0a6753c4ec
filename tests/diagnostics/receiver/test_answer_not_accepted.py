"""Answers that arrive and are asked for again."""

from dataclasses import replace

from tests.simulate import POD1, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.diagnostics.receiver.answer_not_accepted import check
from vxlanalyze.pairing.model import Comparison

SYN, SYN_ACK, RST = 0x02, 0x12, 0x04
QUERY, RESPONSE, SERVFAIL = 0x0100, 0x8180, 0x8182
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=200)


def resolver(i: int) -> Flow:
    return Flow(sport=41000 + i, dport=53)


def lookups(count: int, tries: int = 1, start: float = 0, flags: int = RESPONSE, **more):
    """Queries from sockets of their own; each try is answered after 2 ms."""
    asked, said = [], []
    for i in range(count):
        times = [start + i + 5 * n for n in range(tries)]
        asked.append(Traffic(resolver(int(start) + i), time_s=times, seq=7 << 16 | QUERY, digest=i))
        back = [t + 0.002 for t in times]
        said.append(Traffic(resolver(int(start) + i).reverse(), time_s=back, seq=7 << 16 | flags, **more))
    return asked, said


def played(*talks) -> Comparison:
    return comparison([t for a, _ in talks for t in a] + [LATER], [t for _, s in talks for t in s])


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_queries_that_are_sent_again_after_their_answer_are_found():
    finding = found(played(lookups(20), lookups(4, tries=3, start=100)))

    assert finding.severity == Severity.CRITICAL
    assert finding.direction == "node2>node1"
    assert finding.evidence["asked_again"].value == 8
    assert f"{POD1} did not take them" in finding.summary
    assert "node1# conntrack" in finding.remedy


def syns(count: int, times: tuple[float, ...], **more) -> list[Traffic]:
    return [
        Traffic(
            Flow(protocol=6, sport=42000 + i, dport=8080),
            **{"time_s": [10 * i + t for t in times], "seq": 1000, "tcp_flags": SYN, "payload": 0, **more},
        )
        for i in range(count)
    ]


def syn_acks(count: int, times: tuple[float, ...], **more) -> list[Traffic]:
    return [
        Traffic(
            Flow(protocol=6, sport=42000 + i, dport=8080).reverse(),
            **{
                "time_s": [10 * i + t for t in times],
                "ack": 1001,
                "seq": 5,
                "tcp_flags": SYN_ACK,
                "payload": 0,
                **more,
            },
        )
        for i in range(count)
    ]


def test_syns_that_are_repeated_after_their_syn_ack_are_found():
    pair = comparison([*syns(4, (0, 1, 3)), LATER], syn_acks(4, (0.001, 1.001, 3.001)))
    finding = found(pair)

    assert finding.evidence["connections"].value == 4
    assert finding.evidence["asked_again"].value == 8


def test_a_reset_of_the_syn_ack_is_said():
    resets = syns(4, (0.002,), seq=1001, tcp_flags=RST)
    pair = comparison([*syns(4, (0, 1, 3)), *resets, LATER], syn_acks(4, (0.001, 1.001, 3.001)))

    assert found(pair).evidence["reset_by_asker"].value == 4


def test_the_other_way_is_looked_at_too():
    asked, _ = lookups(4, tries=3)
    there = [
        Traffic(t.flow.reverse(sport=t.flow.sport, dport=53), time_s=t.time_s, seq=t.seq, digest=1)
        for t in asked
    ]
    back = [
        Traffic(t.flow.reverse(), time_s=[x + 0.002 for x in t.time_s], seq=7 << 16 | RESPONSE) for t in there
    ]

    assert found(comparison(back, [*there, LATER])).direction == "node1>node2"


def test_answers_that_are_taken_are_clear():
    assert check(played(lookups(20))) == []


def test_answers_that_are_lost_on_the_path_are_no_matter_of_the_asker():
    assert check(played(lookups(20), lookups(4, tries=3, start=100, lost=True))) == []


def test_one_repeated_query_decides_nothing():
    assert check(played(lookups(60), lookups(1, tries=2, start=100))) == []


def test_a_partner_without_an_answer_makes_resolvers_send_both_again():
    flow = [Flow(sport=41000 + i, dport=53) for i in range(6)]
    asked = [
        Traffic(f, time_s=[i, i + 0.0001, i + 5, i + 5.0001], seq=[n << 16 | QUERY for n in (7, 8, 7, 8)])
        for i, f in enumerate(flow)
    ]
    said = [
        Traffic(
            f.reverse(), time_s=[i + 0.002, i + 5.002, i + 5.003], seq=[n << 16 | RESPONSE for n in (7, 7, 8)]
        )
        for i, f in enumerate(flow)
    ]

    assert check(comparison([*asked, LATER], said)) == []


def test_an_error_is_asked_again():
    assert check(played(lookups(20), lookups(4, tries=3, start=100, flags=SERVFAIL))) == []


def test_a_half_open_check_sends_no_second_syn():
    resets = syns(8, (0.002,), seq=1001, tcp_flags=RST)

    assert check(comparison([*syns(8, (0,)), *resets, LATER], syn_acks(8, (0.001,)))) == []


def test_copies_of_a_syn_that_leave_late_are_no_repetition():
    assert check(comparison([*syns(6, (0, 0.0005, 0.001)), LATER], syn_acks(6, (0.0007,)))) == []


def test_with_one_capture_nothing_is_said_of_the_path():
    assert check(comparison([*syns(2, (0,)), LATER], points=("node1",))) == []


def test_a_second_query_that_left_only_with_the_repetition_is_named():
    alone, answered = lookups(6, tries=2)
    seconds = [
        Traffic(resolver(i), time_s=[i + 5.0001], seq=9 << 16 | QUERY, digest=50 + i) for i in range(6)
    ]
    said = [Traffic(resolver(i).reverse(), time_s=[i + 5.003], seq=9 << 16 | RESPONSE) for i in range(6)]

    finding = found(comparison([*alone, *seconds, LATER], [*answered, *said]))

    assert finding.evidence["second_query_unsent"].value == 6
    assert "had not left node1" in finding.summary
    assert "single-request-reopen" in finding.remedy


def test_clients_with_too_few_repetitions_each_are_judged_together():
    def client(n: int) -> tuple[list[Traffic], list[Traffic]]:
        asked, said = lookups(12, start=20 * n)
        again = [replace(t, time_s=[*t.time_s, t.time_s[0] + 5]) for t in asked[:3]]
        back = [replace(t, time_s=[*t.time_s, t.time_s[0] + 5]) for t in said[:3]]
        return (
            [replace(t, flow=replace(t.flow, src=f"10.9.0.{n + 1}")) for t in [*again, *asked[3:]]],
            [replace(t, flow=replace(t.flow, dst=f"10.9.0.{n + 1}")) for t in [*back, *said[3:]]],
        )

    assert found(played(client(0), client(1), client(2))).evidence["asked_again"].value == 9
    assert check(played(client(0))) == []
