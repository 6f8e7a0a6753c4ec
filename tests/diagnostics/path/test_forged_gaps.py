"""How many packets of a sort a capture may lack by accident."""

import numpy as np
import pytest

from tests.diagnostics.path.test_foreign_reset import (
    ECHOES,
    FORGED,
    LATER,
    REPLIES,
    SYN_ACK,
    found,
    resets,
    syns,
    web,
)
from tests.simulate import Traffic, comparison, ping
from vxlanalyze.analysis.finding import NotAssessed
from vxlanalyze.analysis.requests.capture_gaps import Gaps, close_together
from vxlanalyze.diagnostics.path.foreign_reset import check


def syn_acks(first: int, last: int, **more) -> list[Traffic]:
    return [
        Traffic(
            web(i).reverse(), time_s=[i + 0.002], seq=7000, ack=1001, tcp_flags=SYN_ACK, payload=0, **more
        )
        for i in range(first, last)
    ]


def test_a_few_of_many_are_gaps_where_others_are_missing_too():
    gaps = Gaps(missing=25, matched=975)

    assert gaps.against(3, 3) > 9  # these three and no other
    assert gaps.against(3, 51) < 2
    assert gaps.against(51, 51) > 100


def test_stated_drops_count_where_nothing_else_shows_them():
    assert Gaps(0, 1000, dropped=50, frames=950).rate == pytest.approx(0.05)
    assert Gaps(0, 1000).rate == pytest.approx(1 / 1002)


def test_times_within_a_burst_are_counted():
    assert close_together(np.array([5_000_000_000, 0, 1_000_000])) == (2, 1)
    assert close_together(np.array([], np.int64)) == (0, 0)


def test_three_of_fifty_syn_acks_are_gaps():
    lost = Traffic(ping(dst="10.233.65.77").reverse(), packets=2, start_s=0.001, every_s=9, **FORGED)
    back = [*syn_acks(0, 3, **FORGED), *syn_acks(3, 50), REPLIES, lost]
    (answer,) = check(comparison([*syns(50), ECHOES, LATER], back))

    assert isinstance(answer, NotAssessed)
    assert "may have lost them" in answer.reason


def test_all_of_a_sort_are_no_gaps():
    lost = Traffic(ping(dst="10.233.65.77").reverse(), packets=2, start_s=0.001, every_s=9, **FORGED)
    finding = found(
        comparison([*syns(50), ECHOES, LATER], [*resets(6, **FORGED), *syn_acks(6, 50), REPLIES, lost])
    )

    assert finding.evidence["reset"].value == 6


def test_a_syn_ack_whose_numbers_the_server_goes_on_with_was_its_own():
    data = [
        Traffic(web(i).reverse(), time_s=[i + 0.01], seq=7001, ack=1001, tcp_flags=0x10, payload=90)
        for i in range(6)
    ]
    pair = comparison([*syns(6), ECHOES, LATER], [*syn_acks(0, 6, **FORGED), *data, REPLIES])

    assert check(pair) == []
