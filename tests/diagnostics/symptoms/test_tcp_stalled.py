"""Connections that stop: sent again and again, never acknowledged."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic, comparison
from tests.simulated_tables import FIRST_KEPT, REASSEMBLED
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.analysis.tcp.tcp_streams import sent
from vxlanalyze.diagnostics import diagnose
from vxlanalyze.diagnostics.symptoms.tcp_stalled import check
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Anomaly

ACK, SYN, SYN_ACK, RST, FIN_ACK = 0x10, 0x02, 0x12, 0x04, 0x11
DATA = Flow(protocol=TCP, sport=40000, dport=8080)
BACK_OFF_S = [1.0, 1.2, 1.6, 2.4, 4.0]


def handshake(flow: Flow = DATA) -> tuple[Traffic, Traffic]:
    return (
        Traffic(flow, time_s=[0.0, 0.02], seq=[999, 1000], ack=[0, 501], tcp_flags=[SYN, ACK], payload=0),
        Traffic(flow.reverse(), time_s=[0.01], seq=500, ack=1000, tcp_flags=SYN_ACK, payload=0),
    )


def stuck(times: list[float] = BACK_OFF_S, flow: Flow = DATA, size: int = 1400, **more) -> Traffic:
    return Traffic(flow, time_s=times, seq=1000, payload=size, **{"lost": True, **more})


def acks(*pairs: tuple[float, int], flow: Flow = DATA, flags: int = ACK) -> Traffic:
    times, numbers = [t for t, _ in pairs], [n for _, n in pairs]
    return Traffic(flow.reverse(), time_s=times, ack=numbers, tcp_flags=flags, payload=0)


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_data_sent_five_times_in_vain_is_a_stalled_connection():
    syn, syn_ack = handshake()
    finding = found(comparison([syn, stuck()], [syn_ack]))

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert "1 connection of 1 stopped: the same data went out up to 5 times in 3 s" in finding.summary
    assert "10.233.64.10 to 10.233.65.20 port 8080" in finding.summary
    assert finding.evidence["most_copies"].value == 5
    assert finding.evidence["opened"].value == 1
    assert "lost on the path" in finding.explanation


def test_copies_that_arrive_die_at_the_receiver():
    syn, syn_ack = handshake()
    finding = found(comparison([syn, stuck(lost=False)], [syn_ack]))

    assert "dropped at the receiver" in finding.explanation


def test_copies_of_which_one_fragment_is_seen_may_have_lost_the_others():
    syn, syn_ack = handshake()
    pair = comparison([syn, stuck(lost=False, pieces=FIRST_KEPT)], [syn_ack])

    assert "only the first fragment is seen" in found(pair).explanation
    stalled = next(f for f in diagnose(pair).findings if f.code == "tcp-stalled")
    assert stalled.because == "outer-fragmentation@node1>node2"


def test_fragments_that_arrive_whole_stop_nothing():
    syn, syn_ack = handshake()
    pair = comparison([syn, stuck(lost=False, pieces=REASSEMBLED)], [syn_ack])

    assert "dropped at the receiver" in found(pair).explanation
    stalled = next(f for f in diagnose(pair).findings if f.code == "tcp-stalled")
    assert stalled.because is None


def test_a_stream_that_gives_up_with_a_reset_stays_stalled():
    syn, syn_ack = handshake()
    reset = Traffic(DATA, time_s=[5.0], seq=2400, tcp_flags=RST, payload=0)
    finding = found(comparison([syn, stuck(), reset], [syn_ack]))

    assert finding.evidence["reset"].value == 1


def test_a_peer_that_closes_without_having_read_does_not_make_it_arrive():
    syn, syn_ack = handshake()
    closing = acks((3.0, 1000), flags=FIN_ACK)

    assert found(comparison([syn, stuck()], [syn_ack, closing])).evidence["stalled"].value == 1


def test_the_server_s_data_is_followed_too():
    syn, syn_ack = handshake()
    answer = Traffic(DATA.reverse(), time_s=BACK_OFF_S, seq=501, payload=1400, lost=True)
    finding = found(comparison([syn], [syn_ack, answer]))

    assert finding.direction == "node2>node1"
    assert "10.233.65.20 port 8080 to 10.233.64.10" in finding.summary


def test_data_that_is_acknowledged_in_the_end_did_not_stall():
    syn, syn_ack = handshake()

    assert check(comparison([syn, stuck()], [syn_ack, acks((4.1, 2400))])) == []


def test_a_retransmission_or_two_are_ordinary_loss():
    syn, syn_ack = handshake()

    assert check(comparison([syn, stuck([1.0, 1.2, 2.4])], [syn_ack])) == []


def test_copies_in_quick_succession_are_not_yet_a_stall():
    syn, syn_ack = handshake()

    assert check(comparison([syn, stuck([1.0, 1.01, 1.02, 1.03, 1.04])], [syn_ack])) == []


def test_probes_of_a_closed_window_are_answered_and_no_stall():
    syn, syn_ack = handshake()
    probes = stuck([1.0, 2.0, 4.0, 8.0, 16.0], size=1, lost=False)
    answers = acks(*((t + 0.001, 1000) for t in (1.0, 2.0, 4.0, 8.0, 16.0)))

    assert check(comparison([syn, probes], [syn_ack, answers])) == []


def test_one_byte_that_nobody_answers_is_a_stall():
    syn, syn_ack = handshake()

    assert found(comparison([syn, stuck(size=1)], [syn_ack])).evidence["most_copies"].value == 5


def test_keep_alive_probes_are_no_stall():
    """They repeat the byte before the next one (RFC 9293 section 3.8.4)."""
    syn, syn_ack = handshake()
    probes = Traffic(DATA, time_s=[10, 20, 30, 40, 50], seq=999, payload=1)

    assert check(comparison([syn, probes], [syn_ack])) == []


def test_cut_headers_are_not_assessed():
    cut = Traffic(DATA, packets=10, anomalies=Anomaly.HEADER_CUT)
    (answer,) = check(comparison([cut]))

    assert isinstance(answer, NotAssessed)


def test_a_lossy_path_stalls_nothing():
    """Streams whose every packet is lost one time in fifty, sent again until acknowledged."""
    for seed in range(50):
        random = np.random.default_rng(seed)
        times, numbers = [], []
        for segment in range(100):
            copies = 1 + int(random.geometric(0.98)) - 1
            times += [segment * 0.05 + 0.2 * c for c in range(copies)]
            numbers += [1000 + 100 * segment] * copies
        data = Traffic(DATA, time_s=times, seq=numbers, payload=100)
        done = acks(*((t + 0.001, n + 100) for t, n in zip(times, numbers, strict=True)))
        syn, syn_ack = handshake()

        assert check(comparison([syn, data], [syn_ack, done])) == []


def test_figures_count_what_became_of_the_streams():
    syn, syn_ack = handshake()
    forward, backward = sent(comparison([syn, stuck()], [syn_ack]))

    assert (forward.figures.streams, forward.figures.opened, forward.figures.stalled) == (1, 1, 1)
    assert (forward.figures.segments, forward.figures.resent) == (5, 4)
    assert backward.figures.streams == 1


def repeated(n: int, *, said: int, more_lost: bool = False) -> Comparison:
    """`n` connections that send a segment twice; the receiver says `said` twice between the copies."""
    there, back = [], []
    for i in range(n):
        flow = Flow(protocol=TCP, sport=41000 + i, dport=8080)
        there.append(
            Traffic(flow, time_s=[i + 1.0, i + 1.05], seq=1000, payload=1400, lost=[more_lost, False])
        )
        back.append(acks((i + 1.002, said), (i + 1.003, said), (i + 1.06, 2400), flow=flow))
    return comparison(there, back)


def test_segments_that_arrive_and_are_still_lacking_are_dropped_inside_the_node():
    finding = found(repeated(6, said=1000))

    assert finding.summary.startswith("At least 6 of 6 TCP segments from node1 reached node2's network card")
    assert finding.evidence["discarded"].value == 6
    assert "node2# ethtool -K NIC gro off" in finding.remedy


def test_segments_sent_again_in_spite_of_their_acknowledgement_are_not_dropped():
    assert check(repeated(6, said=2400)) == []


def test_segments_of_which_the_first_copy_is_lost_on_the_path_are_not_dropped_inside():
    assert check(repeated(6, said=1000, more_lost=True)) == []


def test_few_discarded_segments_are_left_alone():
    assert check(repeated(4, said=1000)) == []
