"""What our writer writes, as tshark and our reader read it."""

import io
from pathlib import Path

from tests.capture.conftest import Reader
from tests.tools import tshark
from vxlanalyze.capture import Interface
from vxlanalyze.capture.pcapng_writer import PcapngWriter

INTERFACES = [Interface(0, 1, 262_144, "eth0"), Interface(1, 276, 96)]
FRAMES = [
    (0, 1_700_000_000_123_456_789, b"\x02" * 60, 1500, ["lost between node1 and node2"]),
    (1, 1_700_000_000_123_456_790, b"\x03" * 61, 61, []),
    (0, 2**63 - 1, b"\x04" * 14, 14, ["erster", "zweiter: größer > kleiner"]),
    (0, 0, b"", 0, []),
]


def written() -> bytes:
    handle = io.BytesIO()
    writer = PcapngWriter(handle, INTERFACES)
    for interface, time_ns, data, original, comments in FRAMES:
        writer.write(interface, time_ns, data, original, comments)
    return handle.getvalue()


def test_reader_gives_back_what_was_written(read: Reader) -> None:
    whole = read(written())

    assert whole.frames == [(time_ns, original, data) for _, time_ns, data, original, _ in FRAMES]
    assert whole.interface == [0, 1, 0, 0]
    assert whole.interfaces == INTERFACES
    assert whole.damages == []


def test_tshark_reads_times_lengths_names_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "written.pcapng"
    path.write_bytes(written())
    fields = ["frame.time_epoch", "frame.cap_len", "frame.len", "frame.interface_name", "frame.comment"]

    selected = [argument for name in fields for argument in ("-e", name)]

    printed = tshark(path, "-n", "-T", "fields", "-E", "aggregator=;", *selected)

    assert [line.split("\t") for line in printed.splitlines()] == [
        ["1700000000.123456789", "60", "1500", "eth0", "lost between node1 and node2"],
        ["1700000000.123456790", "61", "61", "unknown", ""],
        ["9223372036.854775807", "14", "14", "eth0", "erster;zweiter: größer > kleiner"],
        ["0.000000000", "0", "0", "eth0", ""],
    ]


def test_times_before_1970_become_its_start(read: Reader) -> None:
    handle = io.BytesIO()
    PcapngWriter(handle, INTERFACES).write(0, -1, b"abcd", 4)

    assert read(handle.getvalue()).time_ns == [0]


def test_comment_longer_than_an_option_is_cut_between_characters(read: Reader) -> None:
    handle = io.BytesIO()
    writer = PcapngWriter(handle, INTERFACES)
    writer.write(0, 1, b"abcd", 4, ["ü" * 40_000])
    writer.write(0, 2, b"efgh", 4)

    assert read(handle.getvalue()).data == [b"abcd", b"efgh"]
    assert handle.getvalue().count("ü".encode()) == 32_767
