"""Whom each connection waits for."""

import numpy as np
import pytest

from tests.diagnostics.performance.streams import ACK, WEB, handshake, rounds
from tests.simulate import Traffic, comparison
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import connections
from vxlanalyze.analysis.tcp.division import WAITED_FOR, Division, division, round_trips, think_times
from vxlanalyze.pairing.model import Comparison

MS = 1_000_000


def divided(pair: Comparison) -> tuple[Division, dict[str, float]]:
    found = division(pair)
    assert found is not None
    assert len(found.waited_ns) == 1
    return found, dict(zip(WAITED_FOR, (found.waited_ns[0] / MS).tolist(), strict=True))


def one_request(path_s: float = 0.02, think_s: float = 0.3, **more) -> Comparison:
    there, back = handshake(one_way_s=path_s)
    ask = Traffic(WEB, time_s=[0.1], seq=1000, ack=5000, payload=100, delay_s=path_s)
    say = Traffic(
        WEB.reverse(), time_s=[0.1 + path_s + think_s], seq=5000, ack=1100, payload=500, delay_s=path_s
    )
    done = Traffic(
        WEB, time_s=[0.1 + 2 * path_s + think_s], seq=1100, ack=5500, payload=0, tcp_flags=ACK, delay_s=path_s
    )
    return comparison([*there, ask, done], [*back, say], **more)


@pytest.mark.parametrize("offset_ns", [0, 7_000_000_000, -90_000_000])
def test_a_request_divides_into_client_path_and_server(offset_ns: int):
    found, waited = divided(one_request(clock_offset_ns=[0, offset_ns]))

    assert waited["server"] == pytest.approx(300, abs=0.01)
    assert waited["path"] == pytest.approx(80, abs=0.01)  # SYN, SYN ACK, request and answer
    assert waited["client"] == pytest.approx(60, abs=0.01)  # from the SYN ACK on
    assert found.limit(0) == "server"
    assert think_times(found.connections, int(found.connections.server[0])).p50 == 300 * MS
    assert round_trips(found.connections, 0).min == 40 * MS


def test_all_time_is_charged_to_somebody():
    found, _ = divided(one_request())
    figures = found.connections.figures
    life = int(figures[:, at.END_NS].max() - figures[:, at.FIRST_NS].min())

    assert int(found.active_ns[0] + found.idle_ns[0]) == life


def test_room_in_the_window_leaves_the_congestion_window():
    there, back = handshake()
    data, acks = rounds(20, 10, 60_000 >> 7)
    found, waited = divided(comparison([*there, data], [*back, acks]))

    assert waited["congestion"] > 1500
    assert waited["window"] == 0
    assert found.limit(0) == "congestion"


def test_delay_over_its_floor_is_a_queue():
    there, back = handshake()
    data, acks = rounds(20, 1, 60_000 >> 7)
    late = np.where(np.arange(20) % 2, 0.09, 0.05)
    queued = Traffic(
        WEB, time_s=data.time_s, seq=data.seq, ack=5000, payload=1000, delay_s=late, tcp_flags=ACK
    )
    _, waited = divided(comparison([*there, queued], [*back, acks]))

    assert waited["queue"] > 100


def test_lost_data_is_recovered():
    there, back = handshake(one_way_s=0.01)
    data = Traffic(WEB, time_s=[0.1], seq=1000, ack=5000, payload=1000, lost=True)
    again = Traffic(WEB, time_s=[0.4], seq=1000, ack=5000, payload=1000, delay_s=0.01)
    acked = Traffic(WEB.reverse(), time_s=[0.41], seq=5000, ack=2000, payload=0, tcp_flags=ACK, delay_s=0.01)
    found, waited = divided(comparison([*there, data, again], [*back, acked]))

    assert waited["recovery"] == pytest.approx(300, abs=1)
    assert int(found.connections.figures[:, at.RESENT].sum()) == 1


def test_a_keep_alive_is_no_progress():
    there, back = handshake(one_way_s=0.001)
    alive = Traffic(WEB, time_s=[5, 10, 15], seq=999, ack=5000, payload=0, tcp_flags=ACK)
    heard = Traffic(WEB.reverse(), time_s=[5.01, 10.01, 15.01], seq=5000, ack=1000, payload=0, tcp_flags=ACK)
    found, _ = divided(comparison([*there, alive], [*back, heard]))

    assert int(found.active_ns[0]) < 10 * MS
    assert int(found.idle_ns[0]) > 14_000 * MS


def test_a_copy_of_the_syn_changes_nothing():
    there, back = handshake(one_way_s=0.001)
    copy = Traffic(WEB, time_s=[0.2], seq=999, tcp_flags=2, payload=0)
    ask = Traffic(WEB, time_s=[0.1], seq=1000, ack=5000, payload=100)
    _, waited = divided(comparison([*there, ask, copy], back))

    assert waited["recovery"] < 101


def test_one_capture_shows_a_connection_by_itself():
    pair = one_request()
    near = Comparison(pair.captures[:1], pair.points[:1], ())
    found = connections(near)

    assert found is not None
    assert found.only.tolist() == [0]


def test_without_tcp_there_is_nothing_to_divide():
    assert division(comparison([Traffic()])) is None
