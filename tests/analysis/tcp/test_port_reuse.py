"""A SYN from a port just used meets the old connection, which answers with an acknowledgement."""

from tests.recorded import recording
from tests.simulate import TCP, Flow, Traffic, comparison
from vxlanalyze.analysis.tcp import port_reuse
from vxlanalyze.analysis.tcp.late_answers import late_answers

WEB = Flow(protocol=TCP, sport=41000, dport=8080)
SYN, RST, ACK = 0x02, 0x04, 0x10
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=9)


def packet(flow: Flow, at_s: float, flags: int, **fields: int) -> Traffic:
    return Traffic(flow, packets=1, start_s=at_s, payload=0, tcp_flags=flags, **fields)


def exchange(*, acknowledged: bool) -> int:
    """A SYN, perhaps an acknowledgement of the old connection and a reset, and the SYN again."""
    there = [packet(WEB, 0.0, SYN, seq=1000), packet(WEB, 1.1, SYN, seq=1000)]
    back = [packet(WEB.reverse(), 1.103, SYN | ACK, seq=500, ack=1001)]
    if acknowledged:
        there.append(packet(WEB, 0.006, RST, seq=7))
        back.append(packet(WEB.reverse(), 0.003, ACK, seq=77, ack=7))
    return port_reuse.answered_by_old(late_answers(comparison([*there, LATER], back)))


def test_a_syn_that_the_old_connection_answered_is_counted():
    assert exchange(acknowledged=True) == 1


def test_a_syn_that_is_only_sent_again_is_not():
    assert exchange(acknowledged=False) == 0


def test_a_real_kernel_that_takes_the_port_again_and_a_full_queue_are_not():
    """Linux tells a new connection from the old one by its time stamps, and takes it at once."""
    assert port_reuse.answered_by_old(late_answers(recording("port-used-again"))) == 0
    assert port_reuse.answered_by_old(late_answers(recording("accept-queue-full"))) == 0
