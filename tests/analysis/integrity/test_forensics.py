"""What a wrong outer checksum was made for is told from the bytes; the vectors are from public reports."""

import struct
from dataclasses import replace
from ipaddress import ip_address

import numpy as np
import pytest

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, Flow, Traffic, comparison
from vxlanalyze.analysis.integrity import forensics
from vxlanalyze.analysis.integrity.forensics import ChecksumKind
from vxlanalyze.wire.model import Checksum

GATEWAY = "172.26.50.9"


@pytest.mark.parametrize(
    ("port", "stored", "right", "original"),
    [
        (7103, 0xBD67, 0x4E7F, 44246),  # rke2 issue 1541, calico issue 4865: tcpdump's "bad udp cksum"
        (25362, 0xD2AE, 0x245B, 46270),  # the same fault as reported on a kernel mailing list
        (40000, 0x1234, 0x1234, 40000),
        (5, 0x0001, 0xFFF0, 65524),  # around the end of ones' complement
    ],
)
def test_the_original_source_port_follows_from_the_checksum(port, stored, right, original):
    values = [np.array([v]) for v in (port, stored, right)]
    assert forensics.original_ports(*values).tolist() == [original]


def frame(number, sport, *, stored=None, src=NODE1, flow=0):
    inner = headers.ethernet(
        headers.ipv4(POD1, POD2, 1, bytes([8, 0, 0, 0, flow, 77, 0, number]) + bytes(20))
    )
    datagram = headers.udp(src, NODE2, sport, 8472, headers.vxlan(inner), stored=stored)
    return headers.ethernet(headers.ipv4(src, NODE2, 17, datagram))


PSEUDO = ip_address(POD1).packed + ip_address(POD2).packed + struct.pack("!BBH", 0, 17, 8 + len(b"question"))


def in_tunnel(datagram, *, stored=None):
    inner = headers.vxlan(headers.ethernet(headers.ipv4(POD1, POD2, 17, datagram)))
    return headers.ethernet(
        headers.ipv4(NODE1, NODE2, 17, headers.udp(NODE1, NODE2, 40000, 8472, inner, stored=stored))
    )


def right(data, *, at=40):
    return int.from_bytes(data[at : at + 2], "big")


def examine(sent, received, states=Checksum.BAD, flows=1):
    """Look at packets given as bytes at both points, dealt out to some inner flows in turn."""
    of = [
        Traffic(Flow(sport=i), len(sent[i::flows]), raw=sent[i::flows], received_raw=received[i::flows])
        for i in range(flows)
    ]
    pair = comparison(of)
    forward = pair.hops[0].forward
    wrong = np.ones(len(forward), bool)
    return forensics.examine(pair, forward, wrong, np.full(len(forward), states, np.uint8), 1e-6)


def test_a_port_rewritten_between_the_captures_is_proved_by_the_senders():
    sent = [frame(i, 44246) for i in range(10)]
    received = [frame(i, 7103, stored=right(s)) for i, s in enumerate(sent)]

    told = examine(sent, received)

    assert told.kind is ChecksumKind.PORT
    assert told.proved
    assert told.original_ports == (44246,)
    assert told.seen_ports == (7103,)


def test_a_port_rewritten_before_the_senders_capture_is_recovered():
    """Two flows with an original port each, which all of their packets agree on."""
    made = [frame(i, (44246, 46270)[i % 2], flow=i % 2) for i in range(10)]
    seen = [frame(i, (7103, 25362)[i % 2], stored=right(m), flow=i % 2) for i, m in enumerate(made)]

    told = examine(seen, seen, flows=2)

    assert told.kind is ChecksumKind.PORT
    assert not told.proved
    assert set(told.original_ports) == {44246, 46270}
    assert told.same_at_both == 10


def test_wrong_values_that_agree_on_no_port_left_wrong():
    rng = np.random.default_rng(4)
    seen = [frame(i, 40000, stored=int(rng.integers(1, 65535))) for i in range(10)]
    assert examine(seen, seen).kind is ChecksumKind.LEFT_WRONG


def test_one_packet_alone_recovers_no_port():
    seen = [frame(1, 7103, stored=right(frame(1, 44246)))]
    assert examine(seen, seen).kind is ChecksumKind.LEFT_WRONG


def test_all_ones_is_recognised_whichever_point_shows_it():
    sent = [frame(i, 40000, stored=0xFFFF) for i in range(10)]
    assert examine(sent, sent, Checksum.ALL_ONES).kind is ChecksumKind.ALL_ONES
    assert examine(sent, [frame(i, 40000, stored=0x9C79) for i in range(10)]).kind is ChecksumKind.ALL_ONES


def test_an_address_rewritten_without_the_checksum_is_recognised():
    sent = [frame(i, 40000) for i in range(10)]
    received = [frame(i, 40000, src=GATEWAY, stored=right(s)) for i, s in enumerate(sent)]
    assert examine(sent, received).kind is ChecksumKind.ADDRESS


def test_bytes_changed_under_a_right_checksum_are_recognised():
    sent = [frame(i, 40000) for i in range(10)]
    received = [s[:55] + bytes([s[55] ^ 1]) + s[56:] for s in sent]  # the inner destination MAC
    assert examine(sent, received).kind is ChecksumKind.COVERED


def test_a_vni_rewritten_under_a_right_checksum_is_no_rewritten_port():
    """The sum is off by one, as it would be for the neighbouring source port."""
    sent = [frame(i, 40000) for i in range(10)]
    received = [s[:47] + b"\x01" + s[48:] for s in sent]

    told = examine(sent, received)

    assert told.kind is ChecksumKind.VNI
    assert told.vnis == ((1, 257),)


def test_a_vni_rewritten_behind_a_card_that_filled_in_the_checksum_is_told():
    """The sender's capture shows the pseudo-header's sum; what arrives is right for the VNI as sent."""
    whole = [frame(i, 40000) for i in range(10)]
    length = len(whole[0]) - 34
    pseudo = ip_address(NODE1).packed + ip_address(NODE2).packed + struct.pack("!BBH", 0, 17, length)
    unfilled = [frame(i, 40000, stored=~headers.checksum(pseudo) & 0xFFFF) for i in range(10)]
    received = [s[:47] + b"\x01" + s[48:] for s in whole]

    assert examine(unfilled, received).kind is ChecksumKind.VNI


def test_what_the_card_is_to_complete_further_in_was_right_when_it_left():
    """Local checksum offload: the outer checksum stands for the packet with the inner one filled in."""
    whole = headers.udp(POD1, POD2, 40000, 53, b"question")
    pseudo = struct.pack("!H", ~headers.checksum(PSEUDO) & 0xFFFF)
    unfilled = whole[:6] + pseudo + whole[8:]
    sent, received = (in_tunnel(inner, stored=right(in_tunnel(whole))) for inner in (unfilled, whole))
    changed = received[:47] + b"\x01" + received[48:]

    assert examine([sent] * 10, [changed] * 10).kind is ChecksumKind.VNI


def test_a_card_that_writes_another_value_is_recognised():
    sent = [frame(i, 40000) for i in range(10)]
    received = [frame(i, 40000, stored=right(s) ^ 0x5AA5) for i, s in enumerate(sent)]
    assert examine(sent, received).kind is ChecksumKind.FILLED_WRONG


@pytest.mark.parametrize("seed", range(20))
def test_random_values_are_never_taken_for_rewritten_ports(seed):
    rng = np.random.default_rng(seed)
    flows = int(rng.integers(1, 12))
    seen = [frame(i, 40000, stored=int(rng.integers(1, 65535)), flow=i % flows) for i in range(3 * flows)]
    assert examine(seen, seen, flows=flows).kind is ChecksumKind.LEFT_WRONG


def test_a_large_number_of_packets_is_sampled():
    one = [frame(1, 40000)]
    told = examine(one * 3000, [frame(1, 40000, stored=1)] * 3000)
    assert told.sampled == 2000
    assert replace(told, sampled=0).kind is ChecksumKind.FILLED_WRONG


def segments(errors, good=0):
    """TCP segments of one flow, each with an error in its checksum; then some with a right one."""
    frames, states = [], []
    for number, error in enumerate([*errors, *[0] * good]):
        inner = struct.pack("!HHLLBBHHH", 40000, 5001, 1000 + number, 1, 0x50, 0x10, 500, 0, 0) + bytes(40)
        whole = headers.ethernet(headers.ipv4(POD1, POD2, 6, inner))
        datagram = headers.udp(NODE1, NODE2, 41000, 8472, headers.vxlan(whole))
        stored = (right(datagram, at=6) + error - 1) % 0xFFFF + 1
        datagram = headers.udp(NODE1, NODE2, 41000, 8472, headers.vxlan(whole), stored=stored)
        frames.append(headers.ethernet(headers.ipv4(NODE1, NODE2, 17, datagram)))
        states.append(Checksum.BAD if error else Checksum.OK)
    return frames, np.array(states, np.uint8)


def twice(errors, good=0):
    frames, states = segments(errors, good)
    flow = Flow(protocol=6, sport=40000, dport=5001)
    pair = comparison([Traffic(flow, len(frames), raw=frames, received_raw=frames)])
    return forensics.examine(pair, pair.hops[0].forward, states == Checksum.BAD, states, 1e-6)


def test_runs_of_segments_that_share_one_error_were_segmented_twice():
    found = twice([0x1A2B] * 11 + [0x7788] * 9, good=6)

    assert (found.kind, found.runs, found.longest_run) == (ChecksumKind.SEGMENTED_TWICE, 2, 11)
    assert found.others_right == 6


@pytest.mark.parametrize("errors", [list(range(100, 2000, 100)), [0x1A2B, 0x7788] * 8])
def test_errors_that_change_from_segment_to_segment_are_no_second_segmentation(errors):
    assert twice(errors).kind is ChecksumKind.LEFT_WRONG
