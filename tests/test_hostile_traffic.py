"""Hostile traffic goes through the whole program; `python -m benchmarks.adversaries` measures it."""

import pytest

import vxlanalyze as vx
from benchmarks import hostile_traffic

_EPOCH_US = 1_700_000_000_000_000  # where the writer's times begin
_LAST_US = 2**63 // 1000 - _EPOCH_US  # the last that 64 bits of nanoseconds hold


def last_moments(frames):
    """Time stamps that end where 64 bits of nanoseconds do."""
    for number, sight in enumerate(hostile_traffic.one_flow(frames)):
        yield sight._replace(time_us=_LAST_US - frames + number)


def ends_of_time(frames):
    """Time stamps that are alternately the first and the last."""
    for number, sight in enumerate(hostile_traffic.one_flow(frames)):
        yield sight._replace(time_us=_LAST_US - 301 if number % 2 else -_EPOCH_US)


@pytest.mark.parametrize("case", hostile_traffic.CASES, ids=lambda case: case.__name__)
def test_each_kind_gets_a_report(case, tmp_path):
    result = vx.compare(*map(str, hostile_traffic.write(case, 1200, tmp_path)))

    assert len(result.report.captures) == 2
    assert not result.report.broken


@pytest.mark.parametrize("case", [last_moments, ends_of_time])
@pytest.mark.parametrize("part", [{}, {"since": "0.01", "until": "0.03"}])
def test_time_stamps_at_the_ends_of_time(case, part, tmp_path):
    result = vx.compare(*map(str, hostile_traffic.write(case, 60, tmp_path)), **part)

    assert not result.report.broken
