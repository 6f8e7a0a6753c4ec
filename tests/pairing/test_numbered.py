"""Equal acknowledgements that wait in a queue: the numbers of their headers tell them apart, not delays."""

import struct

import pytest

from tests.diagnostics.frames import in_vxlan, ipv4, pcap
from tests.simulate import NODE1, NODE2, POD1, POD2
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import pair

ETHERNET, TCP = 1, 6
OUTER_ID_AT, INNER_ID_AT = 18, 68
DELAY_S = 0.0003


def acknowledgement(number, outer_number, forward=True):
    """One of many that are alike but for their numbers."""
    ends = (POD1, POD2, NODE1, NODE2) if forward else (POD2, POD1, NODE2, NODE1)
    segment = struct.pack("!HHIIBBHHH", 5201, 40000, 1000, 2000, 5 << 4, 0x10, 512, 0, 0)
    frame = bytearray(in_vxlan(ipv4(segment, TCP, *ends[:2]), *ends[2:]))
    struct.pack_into("!H", frame, OUTER_ID_AT, outer_number)
    struct.pack_into("!H", frame, INNER_ID_AT, number)
    return bytes(frame)


def forward_of(tmp_path, lost=()):
    """Forty at leisure, then three within a millisecond that wait for six, and one more at leisure."""
    sent_s = [0.01 * i for i in range(40)] + [0.5, 0.500001, 0.5009, 0.6]
    arrive_s = [at + DELAY_S for at in sent_s[:40]] + [0.506, 0.506001, 0.5071, 0.6 + DELAY_S]
    frames = [acknowledgement(100 + i, 700 + i) for i in range(44)]
    back = [(0.01 * i + 0.005, acknowledgement(100 + i, 300 + i, False)) for i in range(40)]
    first = [*zip(sent_s, frames, strict=True), *((at + DELAY_S, f) for at, f in back)]
    second = [(at, f) for i, (at, f) in enumerate(zip(arrive_s, frames, strict=True)) if i not in lost]
    captures = {"a": first, "b": [*second, *back]}
    sources = open_sources([str(pcap(tmp_path / f"{n}.pcap", f, ETHERNET)) for n, f in captures.items()])
    return pair([(s, wire.decode(s)) for s in sources]).hops[0].forward


def test_none_is_taken_for_a_copy_of_another(tmp_path):
    forward = forward_of(tmp_path)

    assert forward.delivered.all()
    assert set(forward.copies) == {1}


@pytest.mark.parametrize("lost", [40, 41, 42])
def test_the_one_that_is_lost_is_named(tmp_path, lost):
    forward = forward_of(tmp_path, lost=(lost,))
    assert [i for i, gone in enumerate(forward.lost) if gone] == [lost]
