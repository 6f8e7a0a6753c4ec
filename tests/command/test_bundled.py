"""Archives on the command line, in place of the captures in them."""

import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

import vxlanalyze as vx
from vxlanalyze.command import cli

RECORDED = Path(__file__).parents[1] / "captures" / "facts-iptables-input"
NODES = ("node1", "node2")


@pytest.fixture
def folders(tmp_path):
    """What the plan's script leaves on each node: the ring of the capture, and the facts."""
    with tarfile.open(RECORDED / "facts.tar.xz") as bundle:
        bundle.extractall(tmp_path / "all", filter="data")
    for node in NODES:
        (tmp_path / node / "capture").mkdir(parents=True)
        shutil.move(tmp_path / "all" / node, tmp_path / node / "facts")
        data = subprocess.run(["zcat", RECORDED / f"{node}.pcap.gz"], capture_output=True, check=True).stdout
        (tmp_path / node / "capture" / f"{node}.pcap00").write_bytes(data)
    return tmp_path


def tarred(path: Path, *folders: Path) -> str:
    with tarfile.open(path, "w:gz") as bundle:
        for folder in folders:
            bundle.add(folder, folder.name)
    return str(path)


def zipped(path: Path, folder: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as bundle:
        for file in sorted(folder.rglob("*")):
            bundle.write(file, file.relative_to(folder.parent))
    return str(path)


def report_of(capsys, *arguments: str) -> dict:
    assert cli.main([*arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def cites_the_rule(report: dict) -> bool:
    return "iptables-save.txt, line" in report["findings"][0]["evidence"]["fact_1"]["value"]


def test_one_archive_of_both_nodes_is_a_comparison_with_its_facts(folders, capsys):
    both = tarred(folders / "both.tar.gz", *(folders / node for node in NODES))
    report = report_of(capsys, both)

    assert [capture["name"] for capture in report["captures"]] == list(NODES)
    assert report["captures"][0]["files"][0]["path"] == f"{both}/node1/capture/node1.pcap00"
    assert cites_the_rule(report)


def test_an_archive_of_each_node_is_its_capture_with_its_facts(folders, capsys):
    first = tarred(folders / "first.tar.gz", folders / "node1")
    second = zipped(folders / "second.zip", folders / "node2")

    assert cites_the_rule(report_of(capsys, first, second))


def test_a_folder_of_an_archive_can_be_meant_and_named(folders, capsys):
    both = tarred(folders / "both.tar.gz", *(folders / node for node in NODES))
    report = report_of(capsys, f"{both}/node1", f"far={both}/node2")

    assert [capture["name"] for capture in report["captures"]] == ["node1", "far"]


def test_facts_next_to_the_folder_of_a_capture_are_its_node_s(folders, capsys):
    both = tarred(folders / "both.tar.gz", *(folders / node for node in NODES))

    assert cites_the_rule(report_of(capsys, f"{both}/node1/capture", f"far={both}/node2/capture"))


def test_captures_of_one_name_are_called_after_their_nodes(folders, capsys):
    """Each with its facts, though neither its file nor its folder names the node."""
    for node in NODES:
        (ring,) = (folders / node / "capture").iterdir()
        ring.rename(ring.with_name("trace.pcap"))
    report = report_of(capsys, tarred(folders / "both.tar.gz", *(folders / node for node in NODES)))

    assert [capture["name"] for capture in report["captures"]] == list(NODES)
    assert cites_the_rule(report)


def test_facts_of_one_node_alone_leave_those_of_the_other_in_the_archive(folders, capsys):
    both = tarred(folders / "both.tar.gz", *(folders / node for node in NODES))

    assert cites_the_rule(report_of(capsys, both, "--facts", f"node1={both}/node1/facts"))
    assert (
        report_of(capsys, both, "--facts", f"node2={both}/node1/capture")["findings"][0]["evidence"].get(
            "fact_1"
        )
        is None
    )


def test_a_rotated_set_in_an_archive_is_one_capture(folders, capsys):
    ring = folders / "node1" / "capture"
    (ring / "node1.pcap01").write_bytes((ring / "node1.pcap00").read_bytes()[:24])  # no frame yet
    one = tarred(folders / "one.tar.gz", folders / "node1")

    assert len(report_of(capsys, one)["captures"][0]["files"]) == 2


def test_too_many_captures_are_listed(folders, capsys):
    shutil.copytree(folders / "node1", folders / "node3")
    many = tarred(folders / "many.tar.gz", *(folders / node for node in (*NODES, "node3")))

    assert cli.main([many]) == 2
    assert "holds 3 captures; give those of two nodes: " in capsys.readouterr().err


def test_an_archive_without_a_capture_is_an_error(folders, capsys):
    facts = tarred(folders / "facts.tar.gz", folders / "node1" / "facts")

    assert cli.main([facts]) == 2
    assert "an archive without a capture" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_cut_archive_is_an_error_of_one_line(folders, capsys, kept):
    path = Path(tarred(folders / "both.tar.gz", *(folders / node for node in NODES)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])

    assert cli.main([str(path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "damaged archive" in said[0]


@pytest.mark.parametrize("name", ["../node1.pcap", "/etc/node1.pcap", "a/" * 40 + "node1.pcap"])
def test_a_member_outside_of_its_folder_refuses_the_archive(tmp_path, capsys, name):
    with tarfile.open(tmp_path / "bad.tar", "w") as bundle:
        info = tarfile.TarInfo(name)
        info.size = 4
        bundle.addfile(info, io.BytesIO(b"data"))

    assert cli.main([str(tmp_path / "bad.tar")]) == 2
    assert "it is not read" in capsys.readouterr().err


def test_links_in_an_archive_are_passed_over(folders, capsys):
    with tarfile.open(folders / "link.tar", "w") as bundle:
        bundle.add(folders / "node1", "node1")
        link = tarfile.TarInfo("node1/capture/other.pcap")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(link)

    assert len(report_of(capsys, str(folders / "link.tar"))["captures"]) == 1


def test_an_archive_of_many_nodes_is_a_matrix_with_its_facts(folders, capsys):
    shutil.copytree(folders / "node2", folders / "node3")
    (folders / "node3" / "capture" / "node2.pcap00").rename(folders / "node3" / "capture" / "node3.pcap00")
    many = tarred(folders / "many.tar.gz", *(folders / node for node in (*NODES, "node3")))
    matrix = report_of(capsys, "--matrix", many)

    assert [node["name"] for node in matrix["nodes"]] == [*NODES, "node3"]
    assert vx.matrix(many).table().shape == (3, 3)


def test_python_takes_an_archive_with_its_facts_too(folders):
    both = tarred(folders / "both.tar.gz", *(folders / node for node in NODES))
    result = vx.compare(both)

    assert [capture["name"] for capture in result.report.captures] == list(NODES)
    assert "fact_1" in result.findings["not-answered"].evidence
    parts = vx.compare(f"{both}/node1", f"{both}/node2")
    assert "fact_1" in parts.findings["not-answered"].evidence


def test_captures_alone_in_an_archive_have_no_facts(folders, capsys):
    files = [next((folders / node / "capture").iterdir()) for node in NODES]

    assert report_of(capsys, tarred(folders / "alone.tar", *files))["facts"] == []


RETINA = Path(__file__).parents[1] / "kubernetes" / "bundles" / "retina"


def test_archives_of_retina_hold_the_cause(tmp_path, capsys):
    """Retina packs one archive a node: the capture, outputs of commands, and copies of /proc."""
    recorded = RECORDED.parent / "facts-rp-filter"
    archives = []
    for node in NODES:
        job = f"trouble-{node}-20261130180000UTC"
        folder = tmp_path / job
        shutil.copytree(RETINA, folder) if node == "node2" else folder.mkdir()
        data = subprocess.run(["zcat", recorded / f"{node}.pcap.gz"], capture_output=True, check=True).stdout
        (folder / f"{job}.pcap").write_bytes(data)
        with tarfile.open(tmp_path / f"{job}.tar.gz", "w:gz") as bundle:
            bundle.add(folder, ".")
        archives.append(f"{node}={tmp_path}/{job}.tar.gz")
    finding = report_of(capsys, *archives)["findings"][0]

    assert finding["evidence"]["fact_1"]["value"] == (
        "node2/ip-resources.txt, line 23 and node2/proc-sys-net/ipv4/conf/all/rp_filter, line 1"
    )
