"""Every frame from outside, cut at every length: nothing raises, the cut is marked, nothing else is invented."""

from collections.abc import Sequence

import pytest

from tests.wire.decoding import Row, table
from tests.wire.outside import STANDARD, all_frames, kernel_frames

# What depends on bytes that a cut takes away, so that it may differ from the whole frame's value.
OF_THE_CUT = {"captured_length", "frame", "anomalies"}
STATES = ("checksum_state", "checksum_expected")


def cuts(data: bytes, wire: int, link_type: int, lengths: Sequence[int]) -> list[Row]:
    return table(
        [data[:length] for length in lengths], link_type, originals=[wire] * len(lengths)
    ).to_pylist()


def assert_no_more_than(whole: Row, cut: Row) -> None:
    """A cut frame's row holds what the whole frame's holds, or nothing."""
    for name, value in cut.items():
        if name in OF_THE_CUT or name.endswith(STATES) or value is None:
            continue
        if name == "tunnel_depth" or name.endswith("protocol"):
            continue  # grows with what is seen: tunnels, extension headers
        if cut["tunnel_depth"] < whole["tunnel_depth"] and not name.startswith("outer_"):
            continue  # of another packet, which was the innermost until here
        if (name, value, whole[name]) == ("tunnel", "gre", "nvgre"):
            continue  # the same header; what is behind it tells them apart
        assert value == whole[name], (name, cut["captured_length"])


@pytest.mark.parametrize("name", STANDARD)
def test_cut_by_the_snap_length(name: str) -> None:
    link_type, data = STANDARD[name]
    *shorter, whole = cuts(data, len(data), link_type, range(len(data) + 1))

    assert not {"cut", "header_cut", "length_lies"} & set(whole["anomalies"])
    for row in shorter:
        assert "cut" in row["anomalies"]
        assert "length_lies" not in row["anomalies"]
        assert_no_more_than(whole, row)
    assert "header_cut" in shorter[0]["anomalies"]
    assert all(row["tunnel_depth"] <= whole["tunnel_depth"] for row in shorter)


@pytest.mark.parametrize("name", STANDARD)
def test_shorter_on_the_wire_than_its_headers_say(name: str) -> None:
    """Nothing was cut here: so a length field lies, unless the frame ends between two packets."""
    link_type, data = STANDARD[name]
    whole = cuts(data, len(data), link_type, [len(data)])[0]
    lengths = range(len(data))
    shorter = table([data[:length] for length in lengths], link_type).to_pylist()

    for row in shorter:
        assert not {"cut", "header_cut"} & set(row["anomalies"])
        if row["tunnel"] == whole["tunnel"]:
            assert "length_lies" in row["anomalies"]
    assert "length_lies" in shorter[0]["anomalies"]


def test_kernel_frames_cut_by_the_snap_length() -> None:
    for frame in kernel_frames()[::16]:
        lengths = range(len(frame.data) + 1)
        *shorter, whole = cuts(frame.data, frame.wire, frame.link_type, lengths)
        for row in shorter:
            assert "cut" in row["anomalies"]
            assert_no_more_than(whole, row)


def test_bytes_behind_the_packet_change_nothing() -> None:
    """Ethernet padding, a frame check sequence that was captured too: length fields bound what is read."""
    whole = [frame for frame in all_frames() if frame.wire == len(frame.data) and frame.link_type == 1]
    alone = table([frame.data for frame in whole]).to_pylist()
    padded = table([frame.data + bytes(6) for frame in whole]).to_pylist()

    for one, other in zip(alone, padded, strict=True):
        differing = {name for name in one if one[name] != other[name]}
        assert differing == {"captured_length", "original_length"}
