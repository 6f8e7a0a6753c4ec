"""Blocks without packets, many in a row: read as ever, and not a call of a kernel for each.

It was some 150 µs a block: three calls of compiled functions each, and as many passes.
"""

from itertools import product

import numpy as np
import pytest

from tests.capture import build
from vxlanalyze.capture import block_times, block_walk, open_source
from vxlanalyze.capture.descriptions import State

MANY = 3000
FRAME = bytes(60)


def read(path, *blocks):
    path.write_bytes(build.section() + build.interface() + b"".join(blocks))
    source = open_source(path)
    frames = sum(len(chunk) for chunk in source.chunks())
    return source, frames


@pytest.fixture
def walks(monkeypatch):
    """How often the compiled walk is begun."""
    calls, walk = [], block_walk.walk_blocks
    monkeypatch.setattr(block_walk, "walk_blocks", lambda *given: calls.append(1) or walk(*given))
    return calls


def dropped(count):
    """A statistics block with a drop count (option 5)."""
    return build.statistics(0, build.option(5, count.to_bytes(8, "little")))


ODD = build.enhanced(FRAME, 10, 77)  # of an interface that nothing describes
RUNS = {
    "statistics": [dropped(n) for n in range(MANY)],
    "interfaces": [build.interface()] * MANY,
    "sections": [build.section(), build.interface()] * MANY,
    "names": [build.block(4, bytes(4))] * MANY,
    "mixed": [dropped(1), build.block(4, bytes(4))] * MANY,
    "odd packets": [ODD] * MANY,
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_read_by_one_call(name, tmp_path, walks):
    packet = build.enhanced(FRAME, 10, 0)
    _, frames = read(tmp_path / "a.pcapng", packet, *RUNS[name], packet)

    assert frames == 2
    assert len(walks) < 10


def test_the_last_statistics_of_a_run_hold(tmp_path):
    source, _ = read(tmp_path / "a.pcapng", build.enhanced(FRAME, 10, 0), *RUNS["statistics"])

    assert [entry.dropped for entry in source.statistics] == [MANY - 1]


def test_a_run_of_odd_packets_is_one_damage(tmp_path):
    source, frames = read(tmp_path / "a.pcapng", *RUNS["odd packets"], build.enhanced(FRAME, 10, 0))

    assert frames == 1
    assert len(source.damages) == 1


UNITS = (0, 1, 10**9 + 7, 1_700_000_000_123_456, 2**40 - 1, 2**53 + 1, 2**63 - 1, 2**64 - 1)
RESOLUTIONS = (0, 3, 6, 9, 10, 12, 19, 28, 29, 128, 138, 158, 190, 255)


@pytest.mark.parametrize(("units", "resolution"), list(product(UNITS, RESOLUTIONS)))
def test_times_are_the_same_in_python_and_in_kernels(units, resolution):
    for offset_s in (0, 1_700_000_000, -5):
        state = State()
        state.describe((0, *block_times.unit_of(resolution), offset_s * 10**9, 0))
        kernel, _ = block_times.time_of(units >> 32, units & 0xFFFFFFFF, state.table, 0)

        assert block_times.time_in_python(units, tuple(state.table[0].tolist())) == np.int64(kernel)
