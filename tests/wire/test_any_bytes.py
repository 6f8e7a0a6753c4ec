"""Any bytes as a frame: nothing raises, and every column keeps its type and length."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.decoding import Memory, index, table
from tests.wire.outside import all_frames
from vxlanalyze.wire import columns, link
from vxlanalyze.wire.dissect import dissect
from vxlanalyze.wire.frame_columns import SCHEMA
from vxlanalyze.wire.model import NO_FLOW, Index

GOOD = [frame.data for frame in all_frames()]
LINK_TYPES = sorted(link.SUPPORTED)
ROW_DTYPES = {name: kind.__args__[1].__args__[0] for name, kind in Index.__annotations__.items()}


@st.composite
def spoiled_frames(draw: st.DrawFn) -> bytes:
    """A good frame with some octets replaced, which gets deeper than bytes without any sense."""
    frame = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 4))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.integers(0, len(frame)))])


batches = st.lists(st.one_of(spoiled_frames(), st.binary(max_size=200)), min_size=1, max_size=24)


@settings(max_examples=60)
@given(frames=batches, link_type=st.sampled_from(LINK_TYPES), missing=st.integers(0, 70))
def test_table_keeps_its_types(frames: list[bytes], link_type: int, missing: int) -> None:
    found = table(frames, link_type, originals=[len(frame) + missing for frame in frames])

    assert len(found) == len(frames)
    assert [field for field in found.schema if field.name != "anomalies"] == [
        field for field in SCHEMA if field.name not in ("time", "anomalies")
    ]
    assert found["original_length"].to_pylist() == [len(frame) + missing for frame in frames]


@settings(max_examples=60)
@given(frames=batches, link_type=st.sampled_from(LINK_TYPES))
def test_index_keeps_its_types_and_refers_to_flows_that_are_there(
    frames: list[bytes], link_type: int
) -> None:
    decoded = index(frames, link_type)

    for name, dtype in ROW_DTYPES.items():
        assert getattr(decoded.index, name).dtype == dtype, name
        assert getattr(decoded.index, name).shape == (len(frames),)
    flow = decoded.index.flow
    assert ((flow == NO_FLOW) | ((flow >= 0) & (flow < len(decoded.flows)))).all()


@settings(max_examples=60)
@given(frames=batches, link_type=st.sampled_from(LINK_TYPES))
def test_payload_lies_inside_the_frame(frames: list[bytes], link_type: int) -> None:
    memory = Memory(frames, link_type)
    chunk = memory.fetch(np.arange(len(frames)))
    found = columns(chunk, memory.interfaces)

    there = found["payload_start"] >= 0
    end = found["payload_start"] + found["payload_captured"]
    assert (found["payload_start"][there] >= chunk.start[there]).all()
    assert (end[there] <= (chunk.start + chunk.captured_length)[there]).all()


@settings(max_examples=60)
@given(frame=st.one_of(spoiled_frames(), st.binary(max_size=200)), link_type=st.sampled_from(LINK_TYPES))
def test_dissecting_never_raises(frame: bytes, link_type: int) -> None:
    layers = dissect(frame, link_type)

    assert bool(layers) == bool(frame)
