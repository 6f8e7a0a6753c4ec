"""Probes of an ICMP traceroute are no requests that their target leaves unanswered."""

import numpy as np
import pytest

from tests.diagnostics import headers
from tests.diagnostics.path.test_ttl_exceeded import in_tunnel
from tests.simulate import NODE1, NODE2, POD1, POD2, Traffic, comparison, ping
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.diagnostics.symptoms import endpoint_silent
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Anomaly

ROUTER = "10.233.65.1"
PROBES = 40


def traced(ttl: int, errors: bool = True) -> Comparison:
    """Echo requests of one client: every second one with a TTL of `ttl` that the router discards."""
    numbers = np.arange(PROBES)
    short = numbers % 2 == 0
    packets = [
        headers.ipv4(POD1, POD2, 1, bytes(8), ip_id=100 + n, ttl=ttl if short[n] else 64) for n in numbers
    ]
    there = Traffic(
        ping(), time_s=numbers * 0.25, seq=numbers, ip_id=100 + numbers, raw=[in_tunnel(p) for p in packets]
    )
    replies = Traffic(ping().reverse(), time_s=numbers[~short] * 0.25 + 0.001, seq=numbers[~short])
    says = [
        headers.ipv4(ROUTER, POD1, 1, headers.icmp(11, 0, packets[n][:28])) for n in numbers[short].tolist()
    ]
    back = Traffic(
        ping().reverse(src=ROUTER, sport=11 << 8, dport=0),
        time_s=numbers[short] * 0.25 + 0.001,
        raw=[in_tunnel(p, NODE2, NODE1) for p in says],
        anomalies=Anomaly.ICMP_ERROR.value,
    )
    return comparison([there], [replies, back] if errors else [replies])


def unanswered(pair: Comparison) -> int:
    return int(measure(pair).of_point[-1].unanswered.sum())


def test_probes_that_a_router_answers_are_left_open():
    pair = traced(ttl=1)

    assert unanswered(pair) == 0
    assert endpoint_silent.check(pair) == []


@pytest.mark.parametrize(("ttl", "errors"), [(1, False), (64, True)], ids=["no-errors", "usual-ttl"])
def test_what_no_traceroute_sends_stays_unanswered(ttl: int, errors: bool):
    assert unanswered(traced(ttl, errors)) > PROBES // 4
