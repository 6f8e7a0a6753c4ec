"""Frames in memory, decoded as a capture of them would be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vxlanalyze.capture import File, Frames, Interface
from vxlanalyze.wire import Decoded, decode
from vxlanalyze.wire.frame_columns import SCHEMA
from vxlanalyze.wire.table import frame_batches

Row = dict[str, Any]


@dataclass
class Memory:
    """A capture that is a list of frames: what the decoder asks of a `Source`, and no file.

    `originals` are their lengths on the wire, where the snap length cut them.
    """

    frames: list[bytes]
    link_type: int = 1
    originals: list[int] | None = None
    name: str = "memory"
    files: tuple[File, ...] = (File("memory", 0, "pcap", None),)
    interfaces: list[Interface] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.interfaces = [Interface(0, self.link_type, 0)]

    def chunks(self) -> Iterator[Frames]:
        yield self.fetch(np.arange(len(self.frames)))

    def fetch(self, places: NDArray[np.int64]) -> Frames:
        chosen = [self.frames[place] for place in places]
        captured = np.array([len(frame) for frame in chosen], np.uint32)
        wire = captured if self.originals is None else np.array(self.originals, np.uint32)[places]
        return Frames(
            data=np.frombuffer(b"".join(chosen), np.uint8),
            start=np.cumsum(captured, dtype=np.int64) - captured,
            captured_length=captured,
            original_length=wire,
            time_ns=places * 1000,
            interface=np.zeros(len(chosen), np.uint16),
            place=places.astype(np.int64),
            first_frame=1,
        )


def table(
    frames: Iterable[bytes],
    link_type: int = 1,
    ports: tuple[int, ...] = (),
    originals: list[int] | None = None,
) -> pa.Table:
    """Make the frames table, without times: they are made up here."""
    source = Memory(list(frames), link_type, originals)
    batches = list(frame_batches(source, ports=ports))  # type: ignore[arg-type]
    return pa.Table.from_batches(batches, SCHEMA).unify_dictionaries().drop_columns("time")


def row(frame: bytes, link_type: int = 1, *, ports: tuple[int, ...] = (), wire: int | None = None) -> Row:
    """Decode one frame to what its row of the frames table holds, without the columns that are null."""
    (found,) = table([frame], link_type, ports, None if wire is None else [wire]).to_pylist()
    return {name: value for name, value in found.items() if value is not None}


def index(frames: list[bytes], link_type: int = 1, **options: Any) -> Decoded:
    return decode(Memory(frames, link_type), **options)  # type: ignore[arg-type]


def assert_row(found: Row, **expected: Any) -> None:
    """Compare what is expected; a column expected to be None must be null."""
    assert {name: found.get(name) for name in expected} == expected
