"""A file of several observation points, as a library user takes it."""

import pytest

import vxlanalyze as vx
from tests.reported.mirrors import Merged, Mirrored
from tests.reported.pairs.k17_mirrors import talk
from tests.reported.world import Tunnel

NAMES = {Mirrored: ["collector-session41", "collector-session42"], Merged: ["eth0-node1", "eth0-node2"]}
each = pytest.mark.parametrize("kind", [Mirrored, Merged])


@pytest.fixture
def file(kind, tmp_path):
    (written,) = talk(kind(193, tunnel=Tunnel(vni=77, port=4789))).run().write(tmp_path)
    return written


@each
def test_a_matrix_has_a_node_for_each(kind, file):
    assert [capture["name"] for capture in vx.compare(file).captures] == NAMES[kind]
    assert "2 directions between 2 nodes" in vx.matrix(file).verdict


@each
def test_a_capture_that_was_read_is_compared_as_its_file_is(kind, file):
    assert vx.compare(vx.read(file)).verdict == vx.compare(file).verdict


@each
def test_one_of_them_is_read_by_its_name(kind, file):
    points = [vx.read(file, point=name) for name in NAMES[kind]]
    assert [point.summary()["tunnels"] for point in points] == [{"vxlan": 309}] * 2
    assert vx.compare(*points).verdict == vx.compare(file).verdict


@each
def test_a_name_that_none_has_is_an_error(kind, file):
    with pytest.raises(vx.UsageError, match=f"node9: not an observation point .*{NAMES[kind][0]}"):
        vx.read(file, point="node9")
