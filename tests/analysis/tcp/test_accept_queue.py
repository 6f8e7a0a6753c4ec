"""A full accept queue is known by SYNs that the kernel ignores, or SYN ACKs that it repeats."""

from tests.recorded import recording, reported
from vxlanalyze.analysis.tcp import accept_queue
from vxlanalyze.analysis.tcp.late_answers import LateAnswer, late_answers, noticed
from vxlanalyze.pairing.model import Comparison


def late(pair: Comparison) -> list[LateAnswer]:
    return noticed(pair, late_answers(pair))


def test_ignored_syns_of_a_real_kernel_are_counted():
    """Two connections fill the queue; the SYNs of the others are ignored until the server accepts."""
    waited = late(recording("accept-queue-full"))

    assert accept_queue.ignored_last_acks(waited) == 0
    assert accept_queue.ignored_syns(waited) >= 3
    assert "ignored the first SYNs" in accept_queue.explain(0, 4)


def test_repeated_syn_acks_are_counted():
    waited = late(reported("listen-queue-full"))

    assert accept_queue.ignored_last_acks(waited) + accept_queue.ignored_syns(waited) > 0


def test_a_server_that_thinks_has_no_full_queue():
    waited = late(reported("server-thinks"))

    assert waited
    assert accept_queue.ignored_last_acks(waited) == accept_queue.ignored_syns(waited) == 0
