"""Data that was acknowledged and never seen is missing from the capture; nothing else is."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, checks, comparison
from vxlanalyze.analysis.tcp.tcp_holes import Missing
from vxlanalyze.analysis.tcp.tcp_streams import seen
from vxlanalyze.wire.model import Anomaly, Checksum

ACK, SYN = 0x10, 0x02
DATA = Flow(protocol=TCP, sport=40000, dport=8080)


def missing(sent: Traffic, acknowledged: Traffic) -> Missing:
    return seen(comparison([sent], [acknowledged]))[0].missing


def data(*starts: int, start: int = 1000, **more) -> Traffic:
    """Segments of 100 bytes at the given places, 10 ms apart."""
    return Traffic(DATA, packets=len(starts), seq=[(start + s) % 2**32 for s in starts], payload=100, **more)


def acks(*ends: int, start: int = 1000, start_s: float = 1.0) -> Traffic:
    ack = [(start + e) % 2**32 for e in ends]
    return Traffic(DATA.reverse(), packets=len(ends), ack=ack, tcp_flags=ACK, payload=0, start_s=start_s)


def total(found: Missing) -> tuple[int, int]:
    return int(found.octets.sum()), int(found.holes.sum())


def test_an_acknowledged_hole_is_missing():
    assert total(missing(data(0, 100, 300), acks(100, 200, 400))) == (100, 1)


def test_what_is_acknowledged_beyond_the_last_byte_is_missing():
    assert total(missing(data(0, 100), acks(200, 500))) == (300, 1)


def test_a_hole_that_is_not_acknowledged_was_lost_and_not_missed():
    assert total(missing(data(0, 100, 300), acks(100, 200))) == (0, 0)


def test_a_hole_that_is_filled_later_is_none():
    assert total(missing(data(0, 100, 300, 200), acks(400))) == (0, 0)


def test_data_recorded_behind_its_acknowledgement_is_not_missing():
    """Several queues of a NIC are captured one after the other."""
    assert total(missing(data(0, 100, 300, 200), acks(400, start_s=0.025))) == (0, 0)


def test_holes_are_filled_piece_by_piece():
    assert total(missing(data(0, 500, 100, 400, 200, 300), acks(600))) == (0, 0)


def test_what_is_left_of_a_hole_is_counted():
    assert total(missing(data(0, 500, 200), acks(600))) == (300, 2)


@pytest.mark.parametrize("start", [2**32 - 150, 2**32 - 250, 2**32 - 1])
def test_sequence_numbers_wrap(start):
    assert total(missing(data(0, 100, 300, start=start), acks(400, start=start))) == (100, 1)


def test_a_capture_that_began_late_misses_nothing_before():
    assert total(missing(data(5000, 5100), acks(4000, 5200))) == (0, 0)


def test_the_end_of_a_connection_takes_one_number():
    assert total(missing(data(0, 100), acks(200, 201))) == (0, 0)


def test_acknowledgements_of_data_that_goes_another_way_prove_nothing():
    only_acks = seen(comparison([], [acks(100, 5000)]))[0].missing

    assert total(only_acks) == (0, 0)


def test_a_new_connection_of_the_same_ports_starts_anew():
    syn = Traffic(DATA, time_s=[0.5], seq=90_000, tcp_flags=SYN, payload=0)
    found = seen(comparison([data(0, 100), syn, data(89_001, start_s=0.6)], [acks(89_101)]))[0].missing

    assert total(found) == (0, 0)


def test_cut_headers_leave_it_untold():
    sent = data(0, 100, 300, anomalies=[0, Anomaly.HEADER_CUT.value, 0])

    assert total(missing(sent, acks(400))) == (0, 0)


def test_a_damaged_sequence_number_is_not_believed():
    bad = checks(inner_l4=Checksum.BAD)
    sent = data(0, 100, 900_000, 200, sent_checks=[checks(), checks(), bad, checks()])

    assert total(missing(sent, acks(300))) == (0, 0)


def test_a_packet_with_a_wrong_checksum_was_captured_all_the_same():
    bad = checks(inner_l4=Checksum.BAD)
    sent = data(0, 100, 200, sent_checks=[checks(), bad, checks()])

    assert total(missing(sent, acks(300))) == (0, 0)


def test_a_damaged_acknowledgement_is_not_believed():
    wrong = Traffic(
        DATA.reverse(),
        time_s=[0.5],
        ack=900_000,
        tcp_flags=ACK,
        payload=0,
        received_checks=checks(inner_l4=Checksum.BAD),
    )
    found = seen(comparison([data(0, 100)], [acks(200), wrong]))[0].missing

    assert total(found) == (0, 0)


def test_super_packets_hold_all_their_bytes():
    sent = Traffic(DATA, packets=3, payload=3000, segment_bytes=1400, seq=[0, 3000, 6000])
    back = Traffic(DATA.reverse(), packets=1, start_s=1, ack=9000, tcp_flags=ACK, payload=0)

    assert total(missing(sent, back)) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_every_byte_left_out_of_a_capture_is_counted_in_any_order(seed):
    """Packets are shuffled a little, one in fifty is kept from the capture, all are acknowledged."""
    random = np.random.default_rng(seed)
    starts = np.arange(0, 50_000, 100)
    kept = random.random(len(starts)) > 0.02
    kept[0] = True
    order = np.argsort(np.arange(len(starts)) + random.integers(0, 3, len(starts)), kind="stable")
    captured = np.array([starts[i] for i in order if kept[i]])
    times = 0.001 * np.flatnonzero(kept[order])
    told = data(*captured.tolist(), time_s=times)
    back = [(0.001 * i + 0.005, (i + 1) * 100) for i in range(0, len(starts), 2)]
    ack = Traffic(
        DATA.reverse(),
        time_s=[t for t, _ in back],
        ack=[1000 + n for _, n in back],
        tcp_flags=ACK,
        payload=0,
    )
    last = acks(50_000, start_s=60)
    found = seen(comparison([told], [ack, last]))[0].missing

    assert found.octets.sum() == 100 * np.count_nonzero(~kept)


def opened(*flags_seq: tuple[int, int], payload: tuple[int, ...]) -> Traffic:
    """Packets with the given flags and sequence numbers, 10 ms apart."""
    flags, seq = zip(*flags_seq, strict=True)
    return Traffic(DATA, packets=len(seq), seq=list(seq), tcp_flags=list(flags), payload=list(payload))


def test_copies_of_a_syn_that_leave_late_begin_nothing_anew():
    """They were queued for a neighbour entry, and leave after the first data (calico 9450)."""
    sent = opened((SYN, 999), (ACK, 1000), (SYN, 999), (SYN, 999), (ACK, 1100), payload=(0, 100, 0, 0, 100))
    assert total(missing(sent, acks(0, 100, 200, start_s=0.005))) == (0, 0)


def test_what_is_missing_behind_late_copies_of_a_syn_is_still_found():
    sent = opened((SYN, 999), (ACK, 1000), (SYN, 999), (ACK, 1300), payload=(0, 100, 0, 100))
    assert total(missing(sent, acks(400))) == (200, 1)


def test_an_acknowledgement_of_the_connection_before_says_nothing_of_the_new_one():
    """A port is used again within TIME_WAIT, and the server acknowledges the old one (cilium 45863)."""
    sent = opened((SYN, 7_000), (0x04, 3_200_000_000), (SYN, 7_000), payload=(0, 0, 0))
    old = Traffic(DATA.reverse(), packets=1, start_s=0.005, ack=1_500_000_000, tcp_flags=ACK, payload=0)
    assert total(missing(sent, old)) == (0, 0)


def test_no_hole_is_larger_than_a_window():
    assert total(missing(data(0, 100), acks(200, 900_000_000))) == (0, 0)
