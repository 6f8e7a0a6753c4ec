"""Captures decoded in stretches: bit by bit what one pass gives, whatever stands at the borders."""

import struct
import subprocess
from dataclasses import fields
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.capture import build
from tests.tools import tool
from vxlanalyze import wire
from vxlanalyze.capture import open_source
from vxlanalyze.capture.stretches import repaired

SAMPLE = str(Path(__file__).parents[2] / "sample_pcaps" / "healthy" / "node1.pcap.gz")
STEPS = (700, 3000, 20_000)


def decoded_both_ways(path, step_bytes, sizes=None):
    """What one pass and what stretches give, each with its source."""
    one, many = open_source(path), open_source(path)
    whole = wire.decode(one)
    parts = [wire.decode_stretch(many, stretch) for stretch in many.stretches(step_bytes)]
    kept = len(repaired([part.learned for part in parts]))
    joined = wire.join_stretches(many, parts, partial(wire.decode_stretch, many))
    if sizes is not None:
        sizes += [len(parts), kept]
    return (one, whole), (many, joined)


def assert_same(first, second):
    (one, whole), (many, joined) = first, second
    for table, other in zip(
        (whole.index, whole.flows, whole.fragments),
        (joined.index, joined.flows, joined.fragments),
        strict=True,
    ):
        for column in fields(table):
            here, there = getattr(table, column.name), getattr(other, column.name)
            assert here.dtype == there.dtype
            assert np.array_equal(here, there), column.name
    assert one.interfaces == many.interfaces
    assert one.statistics == many.statistics
    assert one.damages == many.damages
    places = whole.index.place[::-1]
    again, also = one.fetch(places), many.fetch(places)
    assert again.data.tobytes() == also.data.tobytes()
    assert np.array_equal(again.interface, also.interface)
    assert np.array_equal(again.time_ns, also.time_ns)


def check(path, step_bytes):
    sizes = []
    assert_same(*decoded_both_ways(path, step_bytes, sizes))
    return sizes


@pytest.fixture
def written(tmp_path):
    def write(content, name="capture"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("step_bytes", STEPS)
@pytest.mark.parametrize("order", "<>")
def test_a_pcap(written, step_bytes, order):
    path = written(build.pcap(build.packets(900), order=order))

    cut, kept = check(path, step_bytes)

    assert cut == kept > 3


@pytest.mark.parametrize("step_bytes", STEPS)
def test_a_pcapng_with_drop_counts_and_statistics(written, step_bytes):
    frames = build.packets(600)
    drops = build.option(4, struct.pack("<Q", 3)) + build.option(0, b"")
    blocks = [
        build.enhanced(
            f.data, f.seconds * 10**6 + f.fraction, k % 2, f.original, drops if k % 50 == 0 else b""
        )
        for k, f in enumerate(frames)
    ]
    head = build.section() + build.interface() + build.interface(snaplen=300)
    told = build.statistics(0, build.option(4, struct.pack("<Q", 600)))
    path = written(head + b"".join(blocks[:300]) + told + b"".join(blocks[300:]) + told)

    cut, kept = check(path, step_bytes)

    assert cut == kept > 3


def test_an_interface_described_late_makes_stretches_one(written):
    """What stands behind it cannot be understood without it."""
    frames = build.packets(400)
    blocks = [build.enhanced(f.data, f.seconds * 10**6 + f.fraction, k // 200) for k, f in enumerate(frames)]
    late = b"".join(blocks[:200]) + build.interface(link_type=101) + b"".join(blocks[200:])
    path = written(build.section() + build.interface() + late)

    cut, kept = check(path, 3000)

    assert kept < cut


def test_a_second_section_of_other_byte_order(written):
    frames = build.packets(300)

    check(written(build.pcapng(frames) + build.pcapng(frames, ">")), 3000)


def test_simple_packets_have_no_time_in_stretches_either(written):
    head = build.section() + build.interface(snaplen=200)

    check(written(head + b"".join(build.simple(f.data, f.original) for f in build.packets(300))), 2000)


@pytest.mark.parametrize("step_bytes", STEPS)
def test_a_damage(written, step_bytes):
    content = bytearray(build.pcap(build.packets(600)))
    for at in range(5000, len(content) - 200, 9000):
        content[at : at + 150] = b"\xff" * 150

    check(written(bytes(content)), step_bytes)


def test_a_cut_file(written):
    check(written(build.pcap(build.packets(300))[:-17]), 3000)


def test_a_capture_inside_a_packet_is_no_border(written):
    """A file transfer that carries a pcap: what seems to begin a record there is payload."""
    inside = build.pcap(build.packets(12, size=20))
    frames = [build.Packet(build.START_S + k, 0, inside, len(inside)) for k in range(100)]

    cut, kept = check(written(build.pcap(frames)), 5000)

    assert kept < cut


def test_too_many_odd_records_make_a_file_one_stretch(written):
    """From the hundredth on, a file is taken to mean them: one pass must count them all."""
    frames = [
        build.Packet(f.seconds, f.fraction, f.data, len(f.data) - 1) if k % 4 == 0 else f
        for k, f in enumerate(build.packets(600))
    ]

    cut, kept = check(written(build.pcap(frames)), 3000)

    assert (kept, cut > 5) == (1, True)


def test_a_clock_that_was_set_by_a_month(written):
    frames = build.packets(400)
    later = [build.Packet(f.seconds + 30 * 86400, f.fraction, f.data, f.original) for f in frames]

    check(written(build.pcap(frames[:200] + later[200:])), 2000)


def test_a_rotated_set_of_different_link_types_and_packings(written, tmp_path):
    frames = build.packets(600)
    written(build.pcap(frames[:200], network=101), "a.pcap")
    written(build.pcapng(frames[200:400]), "b.pcap")
    written(build.pcap(frames[400:]), "c.pcap")
    subprocess.run(["gzip", "b.pcap"], cwd=tmp_path, check=True)

    cut, kept = check(str(tmp_path), 3000)

    assert cut == kept > 6


def test_a_compressed_file_stays_whole(written, tmp_path):
    written(build.pcap(build.packets(300)), "a.pcap")
    subprocess.run(["gzip", "a.pcap"], cwd=tmp_path, check=True)

    assert check(str(tmp_path / "a.pcap.gz"), 1000) == [1, 1]


def fragment(ip_id, offset, more, payload):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id, more << 13 | offset // 8, 64, 17, 0)
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    return bytes(12) + b"\x08\x00" + head + addresses + payload


def test_fragments_on_both_sides_of_a_border_are_put_together(written):
    datagram = struct.pack(">HHHH", 4000, 53, 808, 0) + bytes(range(200)) * 4
    frames = []
    for k in range(200):
        for place, piece in enumerate((datagram[:400], datagram[400:])):
            data = fragment(k + 1, place * 400, place == 0, piece)
            frames.append(build.Packet(build.START_S, 1000 * len(frames), data, len(data)))
    path = written(build.pcap(frames[:1] + frames[2:] + frames[1:2]))  # one comes last, far behind its first

    first, second = decoded_both_ways(path, 900)

    assert_same(first, second)
    assert second[1].fragments.complete.all()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(200, 6000),
    st.lists(st.tuples(st.integers(24, 25_000), st.binary(min_size=1, max_size=40)), max_size=4),
    st.booleans(),
)
def test_whatever_is_written_over_a_capture(tmp_path, step_bytes, overwritten, ng):
    content = bytearray((build.pcapng if ng else build.pcap)(build.packets(200)))
    for at, octets in overwritten:
        content[at : at + len(octets)] = octets
    path = tmp_path / "capture"
    path.write_bytes(content)

    check(path, step_bytes)


def test_a_recorded_pair_as_pcapng(tmp_path):
    path = tmp_path / "node1.pcapng"
    subprocess.run([tool("editcap"), "-F", "pcapng", SAMPLE, str(path)], check=True)

    cut, kept = check(path, 4000)

    assert cut == kept > 3


def test_stretches_cover_each_file_once(written):
    stretches = open_source(written(build.pcap(build.packets(500)))).stretches(3000)

    assert stretches[0].begin_bytes == 0
    assert all(before.end_bytes == after.begin_bytes for before, after in pairwise(stretches))
