"""Payload that arrives otherwise than it was sent is proof, whatever the checksums say of it."""

import numpy as np
import pytest

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, Flow, Traffic, checks, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.analysis.integrity import damage_pattern, damaged_headers, damaged_sample
from vxlanalyze.diagnostics.integrity import corrupted_in_transit
from vxlanalyze.wire.model import Checksum

PAYLOAD_AT = 14 + 20 + 8 + 8 + 14 + 20 + 8  # in a VXLAN frame over IPv4 with inner UDP
BAD = checks(inner_l4=Checksum.BAD)


def frame(payload):
    inner = headers.ipv4(POD1, POD2, 17, headers.udp(POD1, POD2, 40000, 5201, payload))
    datagram = headers.udp(NODE1, NODE2, 43317, 8472, headers.vxlan(headers.ethernet(inner)))
    return headers.ethernet(headers.ipv4(NODE1, NODE2, 17, datagram))


def damage(data, at, mask):
    changed = bytearray(data)
    for i, m in enumerate(mask):
        changed[PAYLOAD_AT + at + i] ^= m
    return bytes(changed)


def damaged(masks, payload=100, **more):
    """Packets of a payload of some bytes, each damaged at (offset, mask)."""
    rng = np.random.default_rng(1)
    sent = [frame(rng.bytes(payload)) for _ in masks]
    received = [damage(f, at, mask) for f, (at, mask) in zip(sent, masks, strict=True)]
    given = {"corrupted": True, "received_checks": BAD, **more}
    return Traffic(Flow(), len(sent), payload=payload, raw=sent, received_raw=received, **given)


def assess(forward, **more):
    pair = comparison(forward, **more)
    return [a for a in corrupted_in_transit.check(pair) if a.direction == "node1>node2"]


def test_damaged_packets_are_found_with_their_pattern():
    (finding,) = assess([damaged([(99, b"\xff")] * 5), Traffic(Flow(sport=9), packets=45)])

    assert isinstance(finding, Finding)
    assert finding.severity is Severity.CRITICAL
    assert "5 of 50 (10 %) packets" in finding.summary
    assert finding.evidence["damaged"].value == 5
    assert finding.evidence["caught_by_checksum"].value == 5
    assert finding.evidence["first_offset"].value == 99
    assert finding.evidence["masks"].value == 1
    assert "one byte each, always at byte 99 of the payload" in finding.explanation
    assert finding.frame_count == 10


def test_one_packet_is_proof():
    assert isinstance(assess([damaged([(3, b"\x01")]), Traffic(Flow(sport=9))])[0], Finding)


@pytest.mark.parametrize(
    ("masks", "shape", "place"),
    [
        ([(7, b"\x10"), (7, b"\x10")], "one bit each", "always at byte 7 of the payload"),
        ([(7, b"\x01"), (50, b"\x20")], "one bit each", "at changing places (byte 7 to 50 of the payload)"),
        ([(20, b"\x55" * 16)] * 3, "one block of some 16 bytes each", "always at byte 20 of the payload"),
        ([(60, b"\xaa" * 40)] * 3, "the last 40 bytes each", "always at byte 60 of the payload"),
        ([(60, b"\xaa" * 40), (80, b"\xaa" * 20)], "everything after some offset", None),
        ([(5, b"\x01" + bytes(60) + b"\x01")] * 3, "bytes in several places", None),
    ],
)
def test_the_pattern_is_named(masks, shape, place):
    pair = comparison([damaged(masks)])
    found = damage_pattern.find(damaged_sample.of(pair, pair.hops[0].forward, np.ones(len(masks), bool)))
    assert found.shape == shape
    assert place is None or found.place == place


def test_the_last_byte_of_packets_of_any_length_is_the_same_place():
    short, long = damaged([(99, b"\xff")]), damaged([(199, b"\xff")], payload=200)
    pair = comparison([short, Traffic(**{**vars(long), "start_s": 1.0})])
    found = damage_pattern.find(damaged_sample.of(pair, pair.hops[0].forward, np.ones(2, bool)))
    assert found.place == "always at the last byte"


def test_damage_under_a_right_checksum_reaches_the_pods():
    (finding,) = assess([damaged([(9, b"\x01")], received_checks=checks())])
    assert finding.evidence["not_caught"].value == 1
    assert "the pods take the damaged data" in finding.explanation


def test_damage_before_the_card_makes_the_checksum_is_placed_in_the_sender():
    unfilled = checks(inner_l4=Checksum.PARTIAL)
    (finding,) = assess([damaged([(9, b"\x01")], received_checks=checks(), sent_checks=unfilled)])
    assert "damaged in node1 itself" in finding.explanation
    assert "ethtool -K" in finding.remedy


def test_what_was_damaged_in_a_super_packet_is_compared_in_its_place():
    payload = np.random.default_rng(2).bytes(300)
    sent = frame(payload)
    received = [frame(payload[:100]), damage(frame(payload[100:200]), 5, b"\x01"), frame(payload[200:])]
    bulk = Traffic(
        Flow(),
        packets=1,
        payload=300,
        segment_bytes=100,
        raw=[sent],
        received_raw=received,
        corrupted=[False, True, False],
        received_checks=BAD,
    )
    pair = comparison([bulk])
    forward = pair.hops[0].forward

    found = damage_pattern.find(damaged_sample.of(pair, forward, forward.corrupted))

    assert found.offsets.tolist() == [5]
    assert found.bits.tolist() == [1]


def test_equal_payload_is_clear_though_the_sender_shows_offload():
    offloaded = checks(outer_l4=Checksum.LCO, inner_l4=Checksum.PARTIAL)
    assert assess([Traffic(sent_checks=offloaded)]) == []


def test_a_snap_length_without_payload_cannot_tell():
    pair = comparison([Traffic()])
    pair.points[1].index.digest_length[:] = 0
    answer = corrupted_in_transit.check(pair)[0]
    assert isinstance(answer, NotAssessed)
    assert "snap length" in answer.reason


def test_nothing_that_arrived_cannot_tell():
    (answer,) = assess([Traffic(lost=True)])
    assert isinstance(answer, NotAssessed)


def test_packets_without_payload_cannot_tell():
    (answer,) = assess([Traffic(payload=0)])
    assert "no packet with a payload" in answer.reason


IP_AT, UDP_AT = PAYLOAD_AT - 28, PAYLOAD_AT - 8


@pytest.mark.parametrize(
    ("at", "mask", "said"),
    [
        (IP_AT + 19, 0x08, "the destination address, one bit each"),
        (IP_AT + 5, 0x01, "the IP ID, one bit each"),
        (UDP_AT + 2, 0x30, "the destination port"),
        (IP_AT + 9, 0x17, "the protocol"),
    ],
)
def test_damage_to_inner_headers_is_named_by_its_field(at, mask, said):
    (finding,) = assess([damaged([(at - PAYLOAD_AT, bytes([mask]))] * 6), Traffic(Flow(sport=9))])

    assert f"in the inner header, {said}" in finding.summary
    assert "inner header differs in 6 packets" in finding.explanation


def test_an_address_that_changed_is_shown_before_and_after():
    (finding,) = assess([damaged([(IP_AT + 19 - PAYLOAD_AT, b"\x08")] * 3)])
    assert f"destination address {POD2} became 10.233.65.28" in finding.explanation


def test_what_every_way_changes_is_no_damage_to_a_header():
    """TTL and DSCP, beside a payload that did change."""
    frames = damaged([(9, b"\x01")] * 4)
    changed = [bytearray(f) for f in frames.received_raw]
    for frame_ in changed:
        frame_[IP_AT + 1], frame_[IP_AT + 8] = 0x20, 63
    pair = comparison([Traffic(**{**vars(frames), "received_raw": [bytes(f) for f in changed]})])
    every = np.ones(4, bool)
    assert damaged_headers.find(damaged_sample.of(pair, pair.hops[0].forward, every)).sampled == 0


def test_a_packet_that_is_no_longer_ip_is_said_to_be_so():
    pair = comparison([damaged([(IP_AT - PAYLOAD_AT, b"\x10")] * 2)])
    found = damaged_headers.find(damaged_sample.of(pair, pair.hops[0].forward, np.ones(2, bool)))
    assert list(found.fields) == ["IP version"]
    assert found.example == "IP version 4 became unreadable"


def test_one_damaged_packet_is_no_headline_above_many_that_are_lost():
    lost = Traffic(packets=4000, start_s=10.0, lost=np.arange(4000) % 100 == 0)
    (finding,) = assess([damaged([(3, b"\x01")]), lost])
    assert finding.severity is Severity.INFO
    assert "Loss costs more in this direction: 40 packets" in finding.explanation
