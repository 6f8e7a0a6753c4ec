"""Points inside one pcapng: by name, and where its interfaces saw the same packets at different places."""

from pathlib import Path

import pytest

from tests.reported.files import Interface
from tests.reported.mirrors import Merged
from tests.reported.pairs.k17_mirrors import talk
from tests.wire.test_mirrors import underlay
from vxlanalyze.errors import UsageError
from vxlanalyze.pipeline.decoding import decode_all
from vxlanalyze.pipeline.opening import open_points


def merged(tmp_path: Path, *names: str, offset: float = 0) -> Path:
    world = talk(Merged(7), offset=offset)
    world.interfaces = tuple(Interface(name) for name in names)
    (path,) = world.run().write(tmp_path)
    return path


@pytest.mark.parametrize("offset", [0, 12.5, -730])
def test_two_nodes_in_one_file_are_points_in_path_order(tmp_path: Path, offset: float) -> None:
    first, second = open_points([merged(tmp_path, "ens3", "enp1s0", offset=offset)])

    assert (first.name, second.name) == ("ens3", "enp1s0")
    assert [set(d.flows.interface) for d in decode_all([first, second])] == [{0}, {1}]


def test_equal_interface_names_are_numbered(tmp_path: Path) -> None:
    assert [p.name for p in open_points([merged(tmp_path, "eth0", "eth0")])] == ["merged-1", "merged-2"]


def test_a_bond_and_its_member_are_one_point(tmp_path: Path) -> None:
    """Both show every packet, some microseconds apart, whichever direction it has."""
    world = Merged(7)
    world.interfaces = (Interface("bond0"), Interface("eth0"))
    for name in ("bond0", "eth0"):
        world.node(name, f"10.9.9.{len(name)}")
    for number in range(8):
        frame = underlay(number % 2 == 0, number)
        for capture, later in zip(world.captures, (0, 2000 * (-1) ** number), strict=True):
            capture.add(10**18 + number * 10**6 + later, frame)
    (point,) = open_points(world.write(tmp_path))

    assert point.view is None


def test_an_interface_is_taken_by_name_or_number(tmp_path: Path) -> None:
    path = merged(tmp_path, "ens3", "enp1s0")
    by_name, by_number = open_points([f"{path}#ens3", f"east={path}#1"])
    here, there = decode_all([by_name, by_number])

    assert (by_name.name, by_number.name) == ("merged-ens3", "east")
    assert (set(here.flows.interface), set(there.flows.interface)) == ({0}, {1})
    assert here.frame is not None
    assert there.frame is not None
    assert not set(here.frame) & set(there.frame)


def test_an_interface_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no interface eth7; it has ens3, enp1s0"):
        open_points([f"{merged(tmp_path, 'ens3', 'enp1s0')}#eth7"])


def described(tmp_path: Path, *descriptions: str, name: str = "eth0") -> Path:
    world = talk(Merged(7))
    world.interfaces = tuple(Interface(name, description=text) for text in descriptions)
    (path,) = world.run().write(tmp_path)
    return path


def test_descriptions_name_points_whose_interfaces_are_called_alike(tmp_path: Path) -> None:
    path = described(tmp_path, "worker 3", "worker/4")

    assert [p.name for p in open_points([path])] == ["worker 3", "worker-4"]
    (there,) = decode_all(open_points([f"east={path}#worker/4"]))
    assert set(there.flows.interface) == {1}
