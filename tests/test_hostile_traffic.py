"""Hostile traffic goes through the whole program; `python -m benchmarks.adversaries` measures it."""

import pytest

import vxlanalyze as vx
from benchmarks import hostile_traffic


@pytest.mark.parametrize("case", hostile_traffic.CASES, ids=lambda case: case.__name__)
def test_each_kind_gets_a_report(case, tmp_path):
    result = vx.compare(*map(str, hostile_traffic.write(case, 1200, tmp_path)))

    assert len(result.report.captures) == 2
    assert not result.report.broken
