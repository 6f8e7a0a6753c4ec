"""Connections whose limit was built: what the program names, and its shares against the kernel's."""

import json
from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.lab import limiters
from tests.lab.kernel_shares import Difference, differences
from tests.lab.namespaces import PROJECT

RECORDED = [
    (case, folder)
    for case in limiters.cases()
    if (folder := PROJECT / "tests" / "captures" / case.name).is_dir()
]


@pytest.mark.parametrize(("case", "folder"), RECORDED, ids=[case.name for case, _ in RECORDED])
def test_the_limit_is_named_and_shares_are_the_kernels(case: limiters.Scenario, folder: Path):
    assert limiters.judge(case, folder).wrong == ()


def test_most_limits_are_recorded():
    recorded = {case.limit[0] for case, _ in RECORDED}

    assert {"client", "server", "window", "zero_window", "congestion", "path"} <= recorded


def test_every_case_can_be_read_and_has_a_name_of_its_own():
    names = [case.name for case in limiters.cases()]

    assert len(names) == len(set(names)) >= 48


def test_a_share_that_is_wrong_is_noticed():
    """The comparison must be able to fail."""
    folder = PROJECT / "tests" / "captures" / "window-upload"
    result = vx.compare(folder / "node1.pcap.gz", folder / "node2.pcap.gz")
    said = json.loads((folder / "ss.json").read_text())
    said[0]["rwnd_limited_ms"] = 0

    assert max(abs(each.points) for each in differences(result, said)) > limiters.MOST_POINTS


def test_what_a_difference_says():
    assert (
        str(Difference("client in flight", 50.0, 61.26))
        == "client in flight: 50.0 % found, 61.3 % by the kernel"
    )
