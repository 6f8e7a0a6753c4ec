"""Captures that show each packet twice say the same as those that show it once."""

from pathlib import Path

import pytest
from pandas import NA

import vxlanalyze as vx
from tests.test_one_sided import compare, recorded
from tests.test_taken_otherwise import Frame, answer, as_recorded

RECORDINGS = [
    "random-loss",
    "blackhole-and-loss",
    "healthy-ipv6-underlay",
    "receiver-firewall",
    "both-ways-blocked",
]


def twice(frames: list[Frame], apart_ns: int = 3000) -> list[Frame]:
    again = [(t + apart_ns, n, f) for t, n, f in frames]
    return sorted([*frames, *again], key=lambda frame: frame[0])


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("where", [(0,), (1,), (0, 1)], ids=["first", "second", "both"])
def test_second_sightings_change_nothing(name: str, where: tuple[int, ...], tmp_path: Path):
    captures = [twice(c) if i in where else c for i, c in enumerate(recorded(name))]

    result = compare(tmp_path, *captures)

    wrong, lost = answer([tmp_path / "node1.pcap", tmp_path / "node2.pcap"])
    assert (wrong, lost) == as_recorded(name)
    told = {n["direction"]: n["reason"] for n in result.not_assessed if n["code"] == "duplication"}
    assert all("shows nearly every packet twice" in told[f"node{2 - i}>node{i + 1}"] for i in where)


def test_frames_keep_the_numbers_of_the_file(tmp_path: Path):
    first, second = recorded("random-loss")
    result = compare(tmp_path, twice(first), second)

    lost = result.packets.query("direction == 'node1>node2' and outcome == 'lost'")
    once = vx.compare(*(f"tests/captures/random-loss/{n}.pcap.gz" for n in ("node1", "node2"))).packets
    once = once.query("direction == 'node1>node2' and outcome == 'lost'")
    assert len(lost) == len(once)
    assert (lost["sent_frame"].to_numpy() > once["sent_frame"].to_numpy()).all()


def test_a_network_that_copies_what_arrives_is_not_a_capture_that_sees_double(tmp_path: Path):
    first, second = recorded("healthy-geneve")
    sender = first[0][2][6:12]
    copied = [f for f in second if f[2][6:12] == sender]
    doubled = sorted([*second, *((t + 200_000, n, f) for t, n, f in copied)], key=lambda frame: frame[0])

    result = compare(tmp_path, first, doubled)

    assert [(f.code, f.direction) for f in result.findings if f.severity != "info"] == [
        ("duplication", "node1>node2")
    ]


def test_packets_ladders_and_tables_agree_on_the_numbers(tmp_path: Path):
    first, second = recorded("random-loss")
    result = compare(tmp_path, twice(first), twice(second))
    table = result.packets

    for row in (0, len(table) // 2, len(table) - 1):
        sender, receiver = table["direction"].iloc[row].split(">")
        told = {sender: table["sent_frame"].iloc[row], receiver: table["received_frame"].iloc[row]}
        assert result.packet(row).frames == {n: f for n, f in told.items() if f is not NA}
    sights = zip(table["sent_frame"], table["received_frame"], strict=True)
    numbers = {tuple(None if f is NA else int(f) for f in pair) for pair in sights}
    for ladder in result.report.plots["ladders"]:
        for packet in ladder["packets"]:
            seen = tuple(s and s["frame"] for s in packet["seen"])
            assert (seen if packet["way"] == "forward" else seen[::-1]) in numbers


def test_a_packet_is_dissected_from_its_own_frame(tmp_path: Path):
    first, second = recorded("random-loss")
    result = compare(tmp_path, twice(first), second)
    row = len(result.packets) // 3
    packet = result.packet(row)
    name, frame = next(iter(packet.frames.items()))

    shown = vx.read(str(tmp_path / f"{name}.pcap")).dissect(frame)
    assert [bytes(layer) for layer in packet.dissect()] == [bytes(layer) for layer in shown]
