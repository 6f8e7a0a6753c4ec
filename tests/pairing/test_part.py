"""A part of the traffic is cut out after matching: fates stay, whatever lies outside."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate import START_NS, TCP, Flow, Traffic, comparison, ping
from vxlanalyze.errors import UsageError
from vxlanalyze.pairing.part import Moment, Part, narrow, parse_moment, parse_term

SECOND_NS = 10**9
WEB = Flow(protocol=TCP, sport=40000, dport=8080, vni=2)
V6 = Flow(src="fd00::1", dst="fd00::2", sport=7, dport=7, outer_src="2001:db8::1", outer_dst="2001:db8::2")


def part(since=None, until=None, only=()):
    since, until = (None if moment is None else parse_moment(moment) for moment in (since, until))
    return Part(since, until, tuple(parse_term(term) for term in only))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0", Moment(0, True)),
        ("1.5", Moment(1_500_000_000, True)),
        ("0.000000001", Moment(1, True)),
        ("2023-11-14T22:13:20Z", Moment(START_NS, False)),
        ("2023-11-14t22:13:20.000000001z", Moment(START_NS + 1, False)),
        ("2023-11-15 07:13:20.5+09:00", Moment(START_NS + SECOND_NS // 2, False)),
    ],
)
def test_times_are_rfc_3339_or_seconds(text, moment):
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", ["", "-1", "1e3", "noon", "2023-11-14", "2023-13-01T00:00:00Z", "25:13:20"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="not a time"):
        parse_moment(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host=",
        "host=10.0.0.0/24",
        "host=web",
        "net=x",
        "port=65536",
        "port=-1",
        "proto=xyz",
        "vni=99999999",
    ],
)
def test_what_is_no_term_is_refused(text):
    with pytest.raises(UsageError):
        parse_term(text)


def test_everything_is_kept_where_nothing_is_asked():
    pair = comparison([Traffic()])

    assert narrow(pair, Part()) is pair


def test_from_a_time_to_a_time_both_ends_included():
    pair = narrow(comparison([Traffic(packets=100)]), part("0.2", "0.5"))
    forward = pair.hops[0].forward

    assert ((forward.time_ns - START_NS) // 10_000_000).tolist() == list(range(20, 51))
    assert forward.window_ns == (START_NS + SECOND_NS // 5, START_NS + SECOND_NS // 2)


def test_times_are_by_the_first_captures_clock_at_every_point():
    """The second node's clock is an hour ahead, the third's three: each is asked by its own."""
    back = Traffic(Flow().reverse(), packets=100)
    hours = [0, 3600 * SECOND_NS, 3 * 3600 * SECOND_NS]
    whole = comparison([Traffic(packets=100)], [back], points=("a", "b", "c"), clock_offset_ns=hours)
    pair = narrow(whole, part("0.199", "0.505"))

    assert [len(d) for d in pair.directions] == [31, 31, 31, 31]
    assert [len(point.rows) for point in pair.points] == [62, 62, 62]


def test_a_packet_whose_partner_is_outside_stays_delivered():
    """Sent before the end, received behind it."""
    forward = narrow(comparison([Traffic(packets=100, delay_s=0.4)]), part(until="0.5")).hops[0].forward

    assert forward.delivered.all()
    assert len(forward) == 51


def test_unsent_packets_are_chosen_by_when_they_were_received():
    pair = narrow(comparison([Traffic(Flow(sport=1)), Traffic(packets=100, unsent=True)]), part("0.2", "0.5"))

    assert 29 <= len(pair.hops[0].forward.unsent_row) <= 31


@pytest.mark.parametrize(
    ("terms", "packets"),
    [
        (["proto=tcp"], 20),
        (["proto=6"], 20),
        (["proto=icmp"], 30),
        (["port=8080"], 20),
        (["port=5201"], 10),
        (["port=2048"], 0),  # a ping's type and code are no port
        (["vni=2"], 20),
        (["host=10.233.64.10"], 60),
        (["host=172.26.50.201"], 60),
        (["host=fd00::1"], 40),
        (["net=2001:db8::/32"], 40),
        (["net=10.233.65.0/24"], 60),
        (["net=0.0.0.0/0"], 60),
        (["host=10.0.0.1"], 0),
        (["host=10.233.64.10", "proto=icmp"], 30),
    ],
)
def test_all_terms_must_hold(terms, packets):
    traffic = [
        Traffic(packets=10),
        Traffic(WEB, packets=20),
        Traffic(ping(), packets=30),
        Traffic(V6, packets=40),
    ]
    pair = narrow(comparison(traffic), part(only=terms))

    assert len(pair.hops[0].forward) == packets
    assert len(pair.points[0].rows) == packets


def test_directions_point_at_the_narrowed_points():
    pair = narrow(comparison([Traffic()], points=("a", "b", "c")), part(only=["port=5201"]))

    assert all(any(d.sender is p for p in pair.points) for d in pair.directions)
    assert pair.clock_of(pair.hops[0].forward) is pair.hops[0].clock


def test_columns_stay_in_step():
    whole = comparison([Traffic(packets=50, lost=np.arange(50) % 2 == 0, payload=np.arange(50))])
    forward = narrow(whole, part("0.1", "0.2")).hops[0].forward

    assert forward.lost.tolist() == [n % 2 == 0 for n in range(10, 21)]
    assert forward.payload_length.tolist() == list(range(10, 21))


def test_seconds_need_a_first_frame_to_count_from():
    with pytest.raises(UsageError, match="no frame to count seconds from"):
        narrow(comparison(), part("1"))


def test_stamps_at_the_ends_of_what_they_can_say():
    """The moment that is meant, or the same by the next clock, is more than 64 bits hold."""
    whole = comparison([Traffic(packets=10)])
    first, *others = whole.captures
    pair = replace(whole, captures=(replace(first, first_ns=np.iinfo(np.int64).max - 5), *others))

    assert len(narrow(pair, part(until="1")).hops[0].forward) == 10
    assert len(narrow(pair, part(since="0.000000004")).hops[0].forward) == 0
