"""One capture for each node: what lies in a directory is put together by name."""

import pytest

from tests.dask.nodes import Nodes
from vxlanalyze.capture import open_nodes
from vxlanalyze.errors import CaptureError, UsageError


@pytest.fixture
def captures(tmp_path):
    return Nodes(2, requests=2).write(tmp_path / "made")


def named(found):
    return {source.name: [file.path.rpartition("/")[2] for file in source.files] for source in found}


def test_rotated_files_of_one_name_are_one_node(captures, tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    for name in ("node1.pcap0", "node1.pcap1", "node2.pcapng"):
        (folder / name).write_bytes(captures[0].read_bytes())
    (folder / "README.md").write_text("no capture")

    assert named(open_nodes([folder])) == {
        "node1": ["node1.pcap0", "node1.pcap1"],
        "node2": ["node2.pcapng"],
    }


def test_directories_in_it_are_nodes_and_those_without_a_capture_are_left(captures, tmp_path):
    for node, path in zip(("east", "west"), captures, strict=True):
        (tmp_path / "all" / node).mkdir(parents=True)
        (tmp_path / "all" / node / "tunnel.pcap").write_bytes(path.read_bytes())
    (tmp_path / "all" / "facts").mkdir()

    assert named(open_nodes([tmp_path / "all"])) == {"east": ["tunnel.pcap"], "west": ["tunnel.pcap"]}


def test_a_named_directory_is_the_rotated_set_of_that_node(captures, tmp_path):
    folder = captures[0].parent

    assert list(named(open_nodes([f"east={folder}", captures[1]]))) == ["east", "node2"]


def test_a_directory_without_captures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no capture")

    with pytest.raises(UsageError, match="a directory without captures; one file"):
        open_nodes([tmp_path])


def test_what_is_called_a_capture_and_is_none_is_named(captures):
    (captures[0].parent / "node3.pcap").write_bytes(b"garbage")

    with pytest.raises(CaptureError, match=r"node3\.pcap"):
        open_nodes([captures[0].parent])
