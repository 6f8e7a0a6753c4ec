"""On every sample and recording, no two outputs disagree; and a figure that is one off would be noticed."""

import copy
from pathlib import Path

import pytest

from tests.agreement.__main__ import CHECKS, world_of
from tests.agreement.world import World
from tests.lab import __main__ as lab
from vxlanalyze.report.plots import pictures

FOLDERS = [folder for _, folder in lab.recordings()]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of the time, and are held against nothing here: figures of outputs are."""
    monkeypatch.setattr(pictures, "picture", lambda *_, **__: '<svg viewBox="0 0 7 3"></svg>')


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_all_outputs_say_the_same(folder: Path, tmp_path: Path) -> None:
    world = world_of(folder, tmp_path)

    assert [said for check in CHECKS for said in check(world)] == []


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = next(folder for folder in FOLDERS if folder.name == "mtu-icmp")
    world = world_of(folder, tmp_path_factory.mktemp("annotated"))
    assert [said for check in CHECKS for said in check(world)] == []
    return world


@pytest.mark.parametrize(
    "place",
    [
        ("hops", 0, "sent"),
        ("hops", 0, "lost"),
        ("hops", 1, "delivered"),
        ("hops", 0, "bytes_lost"),
        ("hops", 0, "smallest_lost"),
        ("hops", 0, "delay_ns", "p99"),
        ("captures", 0, "packets"),
        ("captures", 1, "tunnel_packets"),
        ("services", 0, "answered"),
        ("findings", 0, "frame_count"),
        ("plots", "lost_packets", "table", "columns", "frame"),
        ("plots", "timeline", "directions", 0, "lost", 0),
    ],
    ids=lambda place: ".".join(map(str, place)),
)
def test_a_figure_that_is_one_off_is_noticed(lossy: World, place: tuple[str | int, ...]) -> None:
    off = copy.copy(lossy)
    off.__dict__["saved"] = copy.deepcopy(lossy.saved)
    inside = off.saved
    for name in place[:-1]:
        inside = inside[name]
    was = inside[place[-1]]
    inside[place[-1]] = (
        f"1{was}" if isinstance(was, str) else was + 1
    )  # a packed column begins with the first

    assert [said for check in CHECKS for said in check(off)]
