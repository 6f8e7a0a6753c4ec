"""Where the time of each request went."""

import numpy as np
import pytest

from tests.analysis.tcp.test_division import one_request
from tests.simulate import TCP, UDP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.tcp.exchanges import UNKNOWN, exchanges, one_clock
from vxlanalyze.report.service_times import service_times

MS = 1_000_000
ASK = Flow(protocol=UDP, sport=40001, dport=53)


def echoes(number: int = 4, there_s: float = 0.003, server_s: float = 0.001, back_s: float = 0.003, **more):
    flow = ping()
    times = 0.1 * np.arange(number)
    ids = 1 + np.arange(number)
    there = Traffic(flow, time_s=times, seq=ids, delay_s=there_s)
    back = Traffic(flow.reverse(), time_s=times + there_s + server_s, seq=ids, delay_s=back_s)
    return comparison([there], [back], **more)


@pytest.mark.parametrize("offset_ns", [0, 5_000_000_000])
def test_a_ping_divides_into_path_there_host_and_path_back(offset_ns: int):
    found = exchanges(echoes(clock_offset_ns=[0, offset_ns]))

    assert found is not None
    assert len(found) == 4
    assert found.forward_ns.tolist() == pytest.approx([3 * MS] * 4, abs=1000)
    assert found.server_ns.tolist() == pytest.approx([MS] * 4, abs=1000)
    assert found.reverse_ns.tolist() == pytest.approx([3 * MS] * 4, abs=1000)
    assert found.latency_ns.tolist() == pytest.approx([7 * MS] * 4, abs=1000)
    assert not found.opens.any()


def test_data_over_tcp_divides_by_turns_and_its_syn_apart():
    pair = one_request()
    found = exchanges(pair)

    assert found is not None
    data = ~found.opens
    assert data.sum() == 1
    assert found.server_ns[data].tolist() == pytest.approx([300 * MS], abs=1000)
    assert found.latency_ns[data].tolist() == pytest.approx([340 * MS], abs=1000)
    assert found.connection[found.opens].tolist() == [UNKNOWN]


def test_services_count_data_and_not_the_handshake():
    pair = one_request()
    (divided,) = service_times(pair).values()

    assert divided["exchanges"] == 1
    assert divided["server"]["p50"] == pytest.approx(300 * MS, abs=1000)
    assert divided["transfer"] == {"p50": 0, "p99": 0}


def test_a_request_sent_twice_is_left_out():
    flow = ping()
    there = Traffic(flow, time_s=[0.0, 0.5], seq=[1, 1], lost=[True, False])
    back = Traffic(flow.reverse(), time_s=[0.51], seq=1)
    found = exchanges(comparison([there], [back]))

    assert found is not None
    assert len(found) == 0


def test_one_capture_divides_nothing():
    pair = echoes(points=("node1",))

    assert exchanges(pair) is None
    assert service_times(pair) == {}


def test_paths_are_not_told_apart_without_the_clocks():
    pair = echoes(relative_clock=True)

    assert not one_clock(pair)
    for divided in service_times(pair).values():
        assert divided["forward"] == divided["reverse"] == {"p50": None, "p99": None}


def test_pairs_name_who_was_asked():
    pair = one_request()
    found = exchanges(pair)

    assert found is not None
    assert {pairs(pair).port[each] for each in found.pair.tolist()} == {8080}
    assert pairs(pair).kind.tolist() == [3]
    assert TCP == 6
