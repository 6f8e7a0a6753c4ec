"""Series are right in their sums, on one time axis, and bounded whatever the captures hold."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.report.broken_pair import HOUR_NS, LARGEST, WEB, broken, findings
from tests.simulate import START_NS, UDP, Flow, Traffic, comparison
from vxlanalyze.report.series import delays, ladders, listing, sequences, series, sizes, timeline
from vxlanalyze.report.series.model import Plots
from vxlanalyze.report.series.packed import is_sound, pack, unpack
from vxlanalyze.report.series.timebase import nice_at_least, timebase, to_first_clock
from vxlanalyze.report.shape import demand


def test_all_series_have_their_declared_shape_and_survive_json():
    pair = broken()

    made = series(pair, findings(pair))

    demand(made, Plots, "plots")
    assert json.loads(json.dumps(made)) == made


def test_a_single_capture_has_empty_series():
    made = series(comparison(points=("node1",)))

    demand(made, Plots, "plots")
    assert made["timeline"]["directions"] == []
    assert made["sequence"] is None
    assert made["flows"] == {"total": 0, "table": {"rows": 0, "texts": [], "columns": {}}}


def test_captures_without_a_frame_give_series_without_counts():
    made = series(comparison())

    demand(made, Plots, "plots")
    assert [sum(d["delivered"]) for d in made["timeline"]["directions"]] == [0, 0]


def test_bins_of_time_hold_every_packet_once():
    pair = broken()

    made = series(pair)

    for counts, direction in zip(made["timeline"]["directions"], pair.directions, strict=True):
        assert sum(counts["delivered"]) == np.count_nonzero(direction.delivered)
        assert sum(counts["lost"]) == np.count_nonzero(direction.lost)
        assert sum(counts["unknown"]) == 0


def test_both_directions_stand_on_the_first_clock():
    """The answer is sent 1 ms after the request, by a clock that is an hour ahead."""
    request = Traffic(WEB, packets=1)
    answer = Traffic(WEB.reverse(), packets=1, start_s=0.001)
    pair = comparison(forward=[request], backward=[answer], clock_offset_ns=[0, HOUR_NS])

    base = timebase(pair, 100)
    sent = [base.since_start_ns(d.sender, d.time_ns).tolist() for d in pair.directions]

    assert sent == [[0], [1_000_000]]


def test_times_go_back_through_every_clock_of_the_path():
    pair = broken(points=("a", "b", "c", "d"))
    last = pair.hops[-1].forward.receiver

    told = to_first_clock(pair, last, np.array([START_NS + 3 * HOUR_NS]))

    assert told.tolist() == [START_NS]


def test_drift_is_taken_out_to_the_nanosecond():
    pair = comparison(forward=[Traffic(WEB)], clock_offset_ns=[0, HOUR_NS])
    hop = pair.hops[0]
    piece = replace(hop.clock.pieces[0], drift_ppm=200.0)
    pair = replace(pair, hops=(replace(hop, clock=replace(hop.clock, pieces=(piece,))),))
    true_ns = START_NS + np.array([0, 3_600_000_000_000])
    shown_ns = true_ns + pair.hops[0].clock.offset_at(true_ns)

    assert to_first_clock(pair, hop.forward.receiver, shown_ns).tolist() == true_ns.tolist()


@pytest.mark.parametrize(("value", "nice"), [(0.0, 1), (1, 1), (1.5, 2), (3, 5), (50, 50), (51, 100)])
def test_bins_have_round_widths(value: float, nice: int):
    assert nice_at_least(value) == nice


def test_the_size_limit_is_exact_though_lengths_are_binned():
    pair = broken()

    counts = sizes.sizes(pair)[0]

    assert counts["largest_delivered"] == LARGEST
    assert counts["smallest_lost"] == LARGEST + 160
    assert counts["lost_longer"] == sum(counts["lost"]) == np.count_nonzero(pair.directions[0].lost)


def test_delays_leave_out_pairs_that_may_be_crossed():
    crossed = np.arange(100) == 50
    traffic = Traffic(Flow(), ambiguous=crossed, delay_s=np.where(crossed, 5.0, 0.001))
    pair = comparison(forward=[traffic])

    bands = delays.delays(pair, timebase(pair, 100))["directions"][0]

    assert max(bands["max"]) == 1_000_000


def test_delay_bands_are_quantiles_of_their_bin():
    pair = comparison(forward=[Traffic(Flow(), packets=100, every_s=0, delay_s=np.arange(1, 101) / 1000)])

    bands = delays.delays(pair, timebase(pair, 100))["directions"][0]

    assert bands["bin"] == [0]
    got = [bands[name][0] / 1e6 for name in ("min", "p50", "max")]
    assert got == pytest.approx([1.0, 50.5, 100.0])


def test_a_stream_goes_on_rising_where_its_sequence_numbers_wrap():
    start = 2**32 - 5_000
    traffic = Traffic(WEB, packets=10, payload=1000, seq=(start + 1000 * np.arange(10)) % 2**32)
    pair = comparison(forward=[traffic])

    drawn = sequences.sequence(pair.directions[0], 0, timebase(pair, 100))

    rising = np.array(drawn["delivered"]["position"]) * drawn["cell_units"]
    assert rising.tolist() == sorted(rising.tolist())
    assert rising[-1] == 9_000


@pytest.mark.parametrize("packets", [1, 20])
def test_a_short_flow_stands_late_where_it_was_sent_late(packets: int):
    early = Traffic(WEB, packets=1)
    late = Traffic(Flow(protocol=UDP, sport=7), packets=packets, start_s=7200.0, every_s=1e-6)
    pair = comparison(forward=[early, late])

    drawn = sequences.sequence(pair.directions[0], 1, timebase(pair, 100))

    seconds = np.array(drawn["delivered"]["time"]) * drawn["cell_ns"] / 1e9
    assert len(seconds) == packets
    assert seconds == pytest.approx(7200.0, abs=1e-4)


def test_the_worst_flow_is_the_one_that_lost_most():
    quiet = Traffic(Flow(sport=1), packets=500)
    losing = Traffic(Flow(sport=2), packets=50, lost=np.arange(50) < 5)
    pair = comparison(forward=[quiet, losing])

    direction, row = sequences.worst_flow(pair)

    assert direction.sender.flows.sport[row] == 2


def test_a_ladder_follows_a_lost_packet_to_the_last_point_that_saw_it():
    pair = broken(points=("pod", "node1", "node2"))

    ladder = ladders.ladders(pair, findings(pair), timebase(pair, 100))[0]

    assert ladder["finding"] == "mtu-blackhole@node1>node2"
    assert ladder["points"] == ["pod", "node1", "node2"]
    packet = ladder["packets"][0]
    assert packet["fate"] == "lost"
    assert packet["way"] == "forward"
    frames = [sight["frame"] if sight else None for sight in packet["seen"]]
    rows = [pair.hops[0].forward.sent_row, pair.hops[1].forward.sent_row]
    first = int(np.flatnonzero(pair.hops[1].forward.lost)[0])
    assert frames == [rows[0][first] + 1, rows[1][first] + 1, None]


def test_a_ladder_shows_a_packet_of_each_frame_before_a_second_one():
    """One super-packet of many segments would fill the picture and say one thing only."""
    pair = broken()
    direction = pair.directions[0]
    losing = np.flatnonzero(direction.lost)[:30]
    rows = direction.sent_row.copy()
    rows[losing[:25]] = rows[losing[0]]
    torn = replace(direction, sent_row=rows)
    pair = replace(pair, hops=(replace(pair.hops[0], forward=torn),))

    ladder = ladders.ladders(pair, findings(pair), timebase(pair, 100))[0]

    frames = [packet["seen"][0]["frame"] for packet in ladder["packets"]]
    assert len(frames) == len(set(frames)) == ladders.MOST_PACKETS


def test_a_ladder_of_a_flow_shows_its_answers_too():
    pair = broken()

    ladder = ladders.flow_ladder(pair, pair.directions[0], 0, timebase(pair, 100))

    ways = [packet["way"] for packet in ladder["packets"]]
    assert ways[:4] == ["forward", "backward"] * 2
    times = [min(s["time_ns"] for s in p["seen"] if s) for p in ladder["packets"]]
    assert times == sorted(times)


def test_flows_are_listed_by_what_they_lost():
    listed = listing.flow_list(broken())

    rows = unpack(listed["table"])
    assert listed["total"] == len(rows) == 4
    worst = rows[0]
    assert (worst["direction"], worst["protocol"], worst["dport"]) == ("node1>node2", "TCP", 8080)
    assert worst["lost"] > 0
    assert worst["sent"] == worst["delivered"] + worst["lost"] + worst["unknown"]
    assert [row["lost"] for row in rows[1:]] == [0, 0, 0]
    assert worst["first_lost_frame"] > worst["first_frame"]


def test_outer_ports_and_interfaces_do_not_split_a_flow():
    traffic = [Traffic(Flow(outer_sport=port, if_index=port), packets=5) for port in (40001, 40002)]

    listed = listing.flow_list(comparison(forward=traffic))

    assert [row["sent"] for row in unpack(listed["table"])] == [10]


def test_lost_packets_are_shared_out_among_directions(monkeypatch):
    monkeypatch.setattr(listing, "MOST_LOST", 500)
    lossy = [Traffic(Flow(), packets=2000, lost=True)], [Traffic(Flow().reverse(), packets=2000, lost=True)]
    pair = comparison(forward=lossy[0], backward=lossy[1])

    listed = listing.lost_list(pair, timebase(pair, timeline.MOST_BINS))

    assert listed["total"] == 4000
    directions = [row["direction"] for row in unpack(listed["table"])]
    assert directions == ["node1>node2"] * 250 + ["node2>node1"] * 250


def test_series_stay_small_whatever_was_sent():
    """Many flows, many sizes, long streams: the same size of series."""
    random = np.random.default_rng(3)
    many = [Traffic(Flow(protocol=UDP, sport=1000 + i), packets=3, lost=i % 2) for i in range(2000)]
    stream = Traffic(
        WEB,
        packets=60_000,
        every_s=0.0001,
        payload=random.integers(0, 8000, 60_000),
        lost=random.random(60_000) < 0.2,
    )
    pair = comparison(forward=[*many, stream])

    made = series(pair, findings(pair))

    tables = [made.pop(name)["table"] for name in ("flows", "lost_packets")]
    assert [table["rows"] for table in tables] == [2001, pair.directions[0].lost.sum()]
    assert len(json.dumps(tables)) < 100 * sum(table["rows"] for table in tables)
    assert len(json.dumps(made)) < 300_000
    assert len(made["timeline"]["directions"][0]["lost"]) <= timeline.MOST_BINS
    assert len(made["sequence"]["delivered"]["time"]) <= sequences.MOST_CELLS
    assert len(made["sequence"]["lost_cells"]["time"]) <= sequences.MOST_CELLS
    assert len(made["sizes"][0]["from_bytes"]) <= sizes.MOST_BINS + 1


def test_icmp_has_no_ports():
    ping = Flow(protocol=1, sport=0x0800, dport=77)

    (row,) = unpack(listing.flow_list(comparison(forward=[Traffic(ping)]))["table"])

    assert (row["protocol"], row["sport"], row["dport"]) == ("ICMP", None, None)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"src": [], "lost": []},
        {"src": [None], "lost": [None]},
        {"src": ["a", None, "a", "b"], "sport": [1, None, -3, 4], "delay": [0.5, 1e-20, None, -2e30]},
    ],
)
def test_what_is_packed_comes_out_again(columns):
    packed = pack(columns)

    rows = unpack(packed)
    assert is_sound(packed)
    assert {name: [row[name] for row in rows] for name in columns} == columns


@pytest.mark.parametrize(
    "columns", [{"lost": "1,2", "sent": "1"}, {"lost": "1,x"}, {"lost": "<script>,"}, {"lost": "1,--2"}]
)
def test_packed_tables_of_another_shape_are_noticed(columns):
    assert not is_sound({"rows": 2, "texts": [], "columns": columns})


def test_flags_are_written_as_letters():
    assert [listing.tcp_flags(bits) for bits in (0x02, 0x12, 0x18, 0)] == ["S", "SA", "PA", "-"]
