"""Two ends that send at a steady pace are a call; where one follows the other at once, they are requests."""

import numpy as np

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure

VOICE = Flow(protocol=17, sport=16384, dport=16386)
TIMES = 1.0 + 0.02 * np.arange(60)


def datagram_requests(forward, backward=()):
    return int(
        sum((r.kind == RequestKind.UDP).sum() for r in measure(comparison(forward, backward)).of_point)
    )


def test_a_call_holds_no_requests():
    there, back = Traffic(VOICE, time_s=TIMES), Traffic(VOICE.reverse(), time_s=TIMES + 0.009)
    assert datagram_requests([there], [back]) == 0


def test_an_echo_at_a_steady_pace_holds_requests():
    there, back = Traffic(VOICE, time_s=TIMES), Traffic(VOICE.reverse(), time_s=TIMES + 0.001)
    assert datagram_requests([there], [back]) > 0


def test_requests_at_an_uneven_pace_are_no_call():
    uneven = 1.0 + np.cumsum(np.random.default_rng(3).exponential(0.02, 60))
    there, back = Traffic(VOICE, time_s=uneven), Traffic(VOICE.reverse(), time_s=uneven + 0.009)
    assert datagram_requests([there], [back]) > 0


def test_what_goes_on_for_long_without_an_answer_is_a_stream_though_it_is_lost():
    long = 1.0 + 0.02 * np.arange(150)
    assert datagram_requests([Traffic(VOICE, time_s=long, lost=True)]) == 0
    assert datagram_requests([Traffic(VOICE, time_s=TIMES, lost=True)]) > 0
