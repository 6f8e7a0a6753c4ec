"""A header field that decides is read from the frames, and nothing else is taken for one."""

import struct

import numpy as np
import pytest

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, TCP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.analysis.loss import options
from vxlanalyze.diagnostics.path import header_blocked, packet_loss

RNG = np.random.default_rng(8)
MARKED = RNG.random(300) < 0.2


def with_tos(packet: bytes, tos: int) -> bytes:
    return packet[:1] + bytes([tos]) + packet[2:]


def frame(outer_tos: int = 0, inner_tos: int = 0, dport: int = 5201, sport: int = 40000) -> bytes:
    datagram = struct.pack("!HHHH", sport, dport, 28, 0) + bytes(20)
    inner = headers.ethernet(with_tos(headers.ipv4(POD1, POD2, 17, datagram), inner_tos))
    outer = headers.ipv4(NODE1, NODE2, 17, headers.udp(NODE1, NODE2, 41000, 8472, headers.vxlan(inner)))
    return headers.ethernet(with_tos(outer, outer_tos))


def stream(marked, lost, **fields) -> Traffic:
    raw = [frame(**{k: v * bool(m) for k, v in fields.items()}) for m in marked]
    return Traffic(Flow(sport=40000), len(raw), every_s=0.03, lost=lost, raw=raw)


def found(module, *traffic: Traffic) -> list[Finding]:
    return [a for a in module.check(comparison(traffic)) if isinstance(a, Finding)]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"outer_tos": 3}, "outer ECN CE"),
        ({"outer_tos": 46 << 2}, "outer DSCP 46"),
        ({"inner_tos": 1}, "inner ECN ECT(1)"),
        ({"inner_tos": 8 << 2}, "inner DSCP 8"),
    ],
)
def test_the_field_and_its_value_are_named(fields, says):
    (finding,) = found(header_blocked, stream(MARKED, MARKED, **fields))

    assert (finding.severity, finding.direction) == (Severity.CRITICAL, "node1>node2")
    assert says in finding.summary
    assert finding.evidence["packets"].value == MARKED.sum()
    assert not found(packet_loss, stream(MARKED, MARKED, **fields))


def test_marked_packets_that_arrive_are_clear():
    assert not found(header_blocked, stream(MARKED, False, outer_tos=3))


def test_four_lost_packets_prove_nothing():
    few = np.arange(300) % 90 == 50
    assert not found(header_blocked, stream(few & (np.arange(300) < 300), few, outer_tos=3))


def test_one_delivered_packet_with_the_value_denies_it():
    lost = MARKED.copy()
    lost[np.flatnonzero(MARKED)[7]] = False
    assert not found(header_blocked, stream(MARKED, lost, outer_tos=3))


@pytest.mark.parametrize("seed", range(20))
def test_random_loss_among_marked_packets_is_no_filter(seed):
    rng = np.random.default_rng(seed)
    assert not found(header_blocked, stream(rng.random(300) < 0.3, rng.random(300) < 0.08, outer_tos=3))


def test_a_service_with_a_mark_of_its_own_is_a_service():
    """What is lost of it in part has no field that decides: only packets of one service are compared."""
    rng = np.random.default_rng(1)
    marked = [frame(outer_tos=46 << 2, dport=7000, sport=40001)] * 200
    lossy = Traffic(Flow(sport=40001, dport=7000), 200, every_s=0.03, lost=rng.random(200) < 0.5, raw=marked)
    assert not found(header_blocked, stream(MARKED, False, inner_tos=0), lossy)


def test_options_of_each_layer_are_named():
    tcp = struct.pack("!HHIIBBHHH", 1, 2, 3, 4, 0x80, 2, 5, 0, 0) + bytes([1, 1, 8, 10, *bytes(8)])
    packet = headers.ipv4(POD1, POD2, TCP, tcp)
    alert = b"\x46" + packet[1:20] + b"\x94\x04\0\0" + packet[20:]
    six = b"\x60\0\0\0\0\0\x3c\x40" + bytes(32) + bytes([6, 0, *bytes(6)]) + tcp
    geneve = bytes([2, 0x40, 0x65, 0x58, 0, 0, 1, 0]) + bytes([1, 0x4B, 0x81, 1, 0, 0, 0, 0])

    assert list(options.of_packet(packet)) == ["TCP option time stamps"]
    assert list(options.of_packet(alert)) == ["IP option router alert", "TCP option time stamps"]
    assert list(options.of_packet(six)) == ["IPv6 destination options", "TCP option time stamps"]
    assert list(options.of_geneve(geneve)) == ["Geneve critical flag", "Geneve option class 0x014b type 0x81"]


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_frame_that_is_cut_anywhere_is_read_as_far_as_it_goes(cut):
    data = headers.ipv4(POD1, POD2, TCP, bytes([0xFF] * 40))[:cut]
    assert all(isinstance(name, str) for name in [*options.of_packet(data), *options.of_geneve(data)])


def queries(marked, answered) -> tuple[list[Traffic], list[Traffic]]:
    """DNS queries from a port each; some are marked, and some are answered."""
    asked, told = [], []
    for n, (mark, answer) in enumerate(zip(marked, answered, strict=True)):
        flow = Flow(sport=30000 + n, dport=53, outer_sport=33000 + n)
        raw = [frame(outer_tos=46 << 2 if mark else 0, dport=53, sport=30000 + n)]
        asked.append(Traffic(flow, 1, start_s=0.1 * n, seq=n << 16, raw=raw))
        if answer:
            told.append(Traffic(flow.reverse(), 1, start_s=0.1 * n + 0.001, seq=n << 16 | 0x8180))
    return asked, told


def unanswered(marked, answered) -> list[Finding]:
    asked, told = queries(marked, answered)
    return [a for a in header_blocked.check(comparison(asked, told)) if isinstance(a, Finding)]


def test_what_dies_inside_the_receiver_by_a_field_is_found():
    marked = RNG.random(80) < 0.3
    (finding,) = [f for f in unanswered(marked, ~marked) if f.direction == "node1>node2"]

    assert "outer DSCP 46" in finding.summary
    assert "none is answered" in finding.summary


def test_requests_that_stay_unanswered_at_random_have_no_field():
    assert not unanswered(RNG.random(80) < 0.3, RNG.random(80) > 0.2)
