"""A file that was damaged after it was written says nothing of the network."""

import struct

from tests.diagnostics.frames import in_vxlan, pcap, udp
from tests.pairing.test_homes import ETHERNET
from tests.simulate import NODE1, NODE2
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import pair
from vxlanalyze.pairing.model import Outcome, Reason

PACKETS, RECORD_BYTES = 40, 16 + 14 + 28 + 8 + 14 + 28 + 200
DAMAGED = 20  # frame, from 0


def captures(tmp_path, missing=()):
    """Two captures of the same packets; the second lacks some."""
    payload = struct.pack("<50I", *range(50))
    sent = [
        (0.01 * i, in_vxlan(udp(payload[:-4] + b"%04d" % i, dport=9), NODE1, NODE2)) for i in range(PACKETS)
    ]
    received = [(at + 0.0005, frame) for i, (at, frame) in enumerate(sent) if i not in missing]
    return pcap(tmp_path / "a.pcap", sent, ETHERNET), pcap(tmp_path / "b.pcap", received, ETHERNET)


def overwrite(path, frame):
    """Spoil the end of one frame, all of the next, and the header of the one behind it."""
    data = bytearray(path.read_bytes())
    at = 24 + frame * RECORD_BYTES + RECORD_BYTES // 2
    length = RECORD_BYTES + RECORD_BYTES // 2 + 12
    data[at : at + length] = b"\xa5" * length
    path.write_bytes(data)


def forward(paths):
    sources = open_sources([str(p) for p in paths])
    return pair([(s, wire.decode(s)) for s in sources]).hops[0].forward


def test_damage_to_the_file_is_none_of_the_packet_before_it(tmp_path):
    paths = captures(tmp_path)
    overwrite(paths[1], DAMAGED)
    way = forward(paths)

    assert way.received_row[DAMAGED] >= 0
    assert not way.corrupted.any()


def test_what_was_sent_while_the_file_holds_nothing_is_unknown_and_the_rest_is_lost(tmp_path):
    paths = captures(tmp_path, missing=(5,))
    overwrite(paths[1], DAMAGED - 1)  # one frame is missing before it
    way = forward(paths)

    gone = [DAMAGED + 1, DAMAGED + 2]
    assert way.lost.nonzero()[0].tolist() == [5]
    assert (way.outcome == Outcome.UNKNOWN).nonzero()[0].tolist() == gone
    assert (way.reason[gone] == Reason.WINDOW).all()


def test_a_packet_that_arrives_changed_in_a_sound_file_is_still_damaged(tmp_path):
    paths = captures(tmp_path)
    data = bytearray(paths[1].read_bytes())
    data[24 + 7 * RECORD_BYTES - 30] ^= 0x10
    paths[1].write_bytes(data)

    assert forward(paths).corrupted.nonzero()[0].tolist() == [6]
