"""What tests of the capture layer share: writing a file and reading it whole."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from vxlanalyze.capture import Damage, Interface, InterfaceStatistics, open_source


@dataclass
class Whole:
    """A capture read to its end, frame by frame."""

    data: list[bytes] = field(default_factory=list)
    time_ns: list[int] = field(default_factory=list)
    original: list[int] = field(default_factory=list)
    interface: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    first_frames: list[int] = field(default_factory=list)
    interfaces: list[Interface] = field(default_factory=list)
    statistics: list[InterfaceStatistics] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)

    @property
    def frames(self) -> list[tuple[int, int, bytes]]:
        return list(zip(self.time_ns, self.original, self.data, strict=True))


def read_whole(path: str | Path) -> Whole:
    """Read a capture to its end, and the frames again by place, backwards."""
    source = open_source(path)
    whole = Whole()
    try:
        for chunk in source.chunks():
            assert len(chunk) > 0
            whole.first_frames.append(chunk.first_frame)
            for k in range(len(chunk)):
                begin, length = int(chunk.start[k]), int(chunk.captured_length[k])
                whole.data.append(chunk.data[begin : begin + length].tobytes())
            whole.time_ns += chunk.time_ns.tolist()
            whole.original += chunk.original_length.tolist()
            whole.interface += chunk.interface.tolist()
            whole.place += chunk.place.tolist()
        again = source.fetch(np.array(whole.place[::-1], np.int64))
        fetched = [
            (int(time), int(wire), again.data[begin : begin + length].tobytes())
            for time, wire, begin, length in zip(
                again.time_ns,
                again.original_length,
                again.start.tolist(),
                again.captured_length.tolist(),
                strict=True,
            )
        ]
        assert fetched[::-1] == whole.frames
        assert again.interface.tolist()[::-1] == whole.interface
    finally:
        source.close()
    whole.interfaces, whole.statistics, whole.damages = source.interfaces, source.statistics, source.damages
    return whole


Reader = Callable[[bytes], Whole]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Give a function that writes bytes to a file and reads that as a capture."""

    def write_and_read(content: bytes) -> Whole:
        path = tmp_path / "capture"
        path.write_bytes(content)
        return read_whole(path)

    return write_and_read


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make windows and chunks so small that frames cross their borders all the time."""
    monkeypatch.setattr("vxlanalyze.capture.window.WINDOW_BYTES", 100)
    monkeypatch.setattr("vxlanalyze.capture.rows.ROWS", 3)
