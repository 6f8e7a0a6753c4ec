"""Tables of another cluster are named and not used; those of the captures' own are."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from vxlanalyze.command import cli

RECORDED = Path(__file__).parents[1] / "captures" / "facts-iptables-input"
CAPTURES = [str(RECORDED / f"{node}.pcap.gz") for node in ("node1", "node2")]


@pytest.fixture
def facts(tmp_path):
    with tarfile.open(RECORDED / "facts.tar.xz") as bundle:
        bundle.extractall(tmp_path, filter="data")
    return tmp_path


def elsewhere(text: str) -> str:
    """The same with all addresses of another network, as another cluster of the same make has them."""
    return re.sub(r"\b(?:192\.168|10\.42)\.(\d+\.\d+)", r"172.31.\1", text)


def move(folder: Path) -> None:
    for path in folder.rglob("*.*"):
        path.write_text(elsewhere(path.read_text()))


def report_of(capsys, *arguments: str) -> dict:
    assert cli.main([*CAPTURES, *arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_facts_without_an_address_of_the_captures_are_not_used(facts, capsys):
    move(facts / "node2")
    report = report_of(capsys, "--facts", f"node2={facts / 'node2'}")

    assert "fact_1" not in report["findings"][0]["evidence"]
    assert [(fact["capture"], fact["kind"]) for fact in report["facts"]] == [("node2", "other-cluster")]


def test_the_text_says_so_in_one_line(facts, capsys):
    move(facts / "node2")
    assert cli.main([*CAPTURES, "--facts", f"node2={facts / 'node2'}"]) == 0
    said = " ".join(capsys.readouterr().out.split())

    assert said.count("none of its addresses occurs in the captures (another cluster?)") == 1


def test_facts_of_the_captures_nodes_are_used_next_to_others(facts, capsys):
    move(facts / "node1")
    report = report_of(capsys, *(f"--facts=node{n}={facts / f'node{n}'}" for n in (1, 2)))

    assert "node2/" in report["findings"][0]["evidence"]["fact_1"]["value"]
    assert ("node1", "other-cluster") in [(fact["capture"], fact["kind"]) for fact in report["facts"]]


def test_objects_of_another_cluster_name_nothing(tmp_path, capsys):
    kube = json.loads((RECORDED / "kube.json").read_text())
    (tmp_path / "own.json").write_text(json.dumps(kube))
    (tmp_path / "other.json").write_text(elsewhere(json.dumps(kube)))

    assert report_of(capsys, "--kube", str(tmp_path / "own.json"))["names"]
    report = report_of(capsys, "--kube", str(tmp_path / "other.json"))
    assert report["names"] == {}
    assert [fact["kind"] for fact in report["facts"]] == ["other-cluster"]


def test_a_table_that_names_few_addresses_is_used(tmp_path, capsys):
    """Nothing says whose it is."""
    rule = "-A INPUT -p udp -m udp --dport 8472 -j DROP"
    (tmp_path / "rules.txt").write_text(f"*filter\n:INPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n")

    assert "fact_1" in report_of(capsys, "--facts", f"node2={tmp_path}")["findings"][0]["evidence"]
