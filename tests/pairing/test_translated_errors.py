"""ICMP errors about translated packets are one at both points, though their ends and quotations differ."""

import numpy as np

from tests.simulate import ICMP, UDP, Flow
from tests.simulated_tables import flows_of
from vxlanalyze.pairing import translated_errors

CLIENT, SERVICE, BACKEND, ROUTER = "10.1.0.5", "10.96.0.7", "10.2.0.9", "10.3.0.1"
UNREACHABLE, EXCEEDED = 3 << 8 | 3, 11 << 8
REQUEST = Flow(src=CLIENT, dst=SERVICE, protocol=UDP, sport=40000, dport=53)
TRANSLATED = Flow(src=CLIENT, dst=BACKEND, protocol=UDP, sport=40000, dport=5353)


def error(src: str, kind: int = UNREACHABLE, dst: str = CLIENT) -> Flow:
    return Flow(src=src, dst=dst, protocol=ICMP, sport=kind, dport=0)


def found(near: list[Flow], far: list[Flow]) -> dict[int, int]:
    """Pair them, where the first flow of each side is known to be one; far ones are numbered from 100 on."""
    sites = [
        (flows_of(side), {first + n: n for n in range(len(side))}) for first, side in ((0, near), (100, far))
    ]
    return translated_errors.counterparts(*sites, {0: 100})


def test_an_error_from_the_translated_backend_is_paired():
    assert found([REQUEST, error(SERVICE)], [TRANSLATED, error(BACKEND)]) == {1: 101}


def test_errors_of_other_kinds_and_ends_are_not():
    far = [TRANSLATED, error(BACKEND, EXCEEDED), error(ROUTER), error(BACKEND, dst="10.1.0.6")]
    assert found([REQUEST, error(SERVICE)], far) == {}


def test_what_is_no_error_is_left_alone():
    echo = Flow(src=SERVICE, dst=CLIENT, protocol=ICMP, sport=0, dport=7)
    assert found([REQUEST, echo], [TRANSLATED, echo]) == {}


def test_two_that_fit_decide_nothing():
    both = [TRANSLATED, error(BACKEND), error(SERVICE)]
    assert found([REQUEST, error(SERVICE)], both) == {}


def test_the_quotation_of_errors_alone_loses_its_digest():
    from tests.pairing.translated_world import TranslatedWorld

    pod, _ = TranslatedWorld(1).play()
    assert translated_errors.without_quotations(pod) is pod
    pod.index.anomalies[0] |= 1 << 14
    changed = translated_errors.without_quotations(pod)
    assert (changed.index.digest[0], changed.index.digest_length[0]) == (0, 0)
    assert np.array_equal(changed.index.digest[1:], pod.index.digest[1:])
