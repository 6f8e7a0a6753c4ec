"""Frames far apart in a file, fetched together: also those that are longer than what was read of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.capture import build
from vxlanalyze.capture import open_source

EVERY = 40  # frames of 1,000 bytes: farther apart than what is read in one go


def frames() -> list[build.Packet]:
    """Make frames, of which some that are fetched are longer than most are."""
    kinds = [
        build.Packet(packet.seconds, packet.fraction, 17 * packet.data, 17 * packet.original)
        for packet in build.packets(EVERY)
    ]
    return [
        replace(
            kind, seconds=kind.seconds + at, data=(1 if at % 3 else 9) * kind.data, original=9 * kind.original
        )
        for at in range(30)
        for kind in kinds
    ]


def two_sections(made: list[build.Packet]) -> bytes:
    return build.pcapng(made[: 15 * EVERY]) + build.pcapng(made[15 * EVERY :], order=">")


def with_simple(made: list[build.Packet]) -> bytes:
    return build.pcapng(made) + build.simple(b"\0" * 60, 60)


@pytest.mark.parametrize("content", [build.pcap, build.pcapng, two_sections, with_simple])
def test_they_are_what_the_file_holds(tmp_path: Path, content) -> None:
    made = frames()
    path = tmp_path / "x.pcap"
    path.write_bytes(content(made))
    source = open_source(path)
    places = np.concatenate([chunk.place for chunk in source.chunks()])
    wanted = np.array([*range(0, len(made), EVERY), 5, 6, len(made) - 1])[::-1]

    again = source.fetch(places[wanted])

    for row, number in enumerate(wanted.tolist()):
        begin, length = int(again.start[row]), int(again.captured_length[row])
        assert again.data[begin : begin + length].tobytes() == made[number].data
        assert int(again.time_ns[row]) == made[number].time_ns()
        assert int(again.original_length[row]) == made[number].original
