"""Scenario files say what the lab can do, and each has its recording."""

import json
from pathlib import Path

import pytest

from tests.lab import __main__ as lab
from tests.lab import faults, machine, rules, scenario, topology, truth, tunnels, workloads

RECORDINGS = lab.recordings()
NAMES = [file.stem for file, _ in RECORDINGS]
each = pytest.mark.parametrize(("file", "folder"), RECORDINGS, ids=NAMES)
LARGEST_TOTAL_BYTES = 15_000_000


def test_names_are_unique_across_samples_and_test_captures():
    assert len(set(NAMES)) == len(NAMES)


@each
def test_actions_faults_and_work_exist(file: Path, folder: Path):
    told = scenario.load(file)
    assert {rule.do for rule in told.network} <= set(rules.ACTIONS)
    assert {fault.do for fault in told.faults} <= set(faults.FAULTS)
    assert {work.do for work in told.work} <= set(workloads.COMMANDS)
    assert told.cluster.tunnel in tunnels.TUNNELS


@each
def test_places_exist(file: Path, folder: Path):
    told = scenario.load(file)
    plan = topology.plan(told.cluster)
    places = {*plan.nodes, *plan.pods}
    assert {work.source for work in told.work} <= places
    assert {fault.at for fault in told.faults} <= places | {topology.FABRIC}
    assert set(told.machine) <= machine.ALLOWED
    assert {capture.at.partition("/")[0] for capture in told.captures} <= set(plan.nodes)
    assert {name for rule in told.network for name in rule.on.split(">")} <= {"*", *plan.nodes}
    assert set(told.clocks) <= {capture.name for capture in told.captures}


@each
def test_one_node_drops_for_one_hop_only(file: Path, folder: Path):
    """The log of a node's drops does not tell its firewall's rules apart."""
    watched = [fault.at for fault in scenario.load(file).faults if fault.hop]
    assert len(set(watched)) == len(watched)


@each
def test_the_recording_is_there_and_expects_what_the_scenario_says(file: Path, folder: Path):
    """Where this fails after an edit: record again, or ``python -m tests.lab --expected``."""
    told = scenario.load(file)
    recorded = json.loads((folder / "truth.json").read_text())
    assert truth.expectations(told).items() <= recorded.items()
    assert [point["name"] for point in recorded["captures"]] == [
        c.name for c in told.captures if not c.folder
    ]
    assert all((folder / point["path"]).exists() for point in recorded["captures"])


def test_every_recording_has_its_scenario():
    recorded = {folder.name for parent in lab.SETS.values() for folder in parent.iterdir() if folder.is_dir()}
    assert recorded == set(NAMES)


def test_test_captures_stay_small():
    files = [file for _, folder in RECORDINGS for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < LARGEST_TOTAL_BYTES


def test_an_unknown_name_in_a_scenario_is_an_error_that_names_the_file(tmp_path: Path):
    file = tmp_path / "typo.toml"
    file.write_text(
        'story = "x"\nwork = [{ do = "ping", cuont = 3 }]\n'
        '[cluster]\nlike = "k3s"\n[expected]\nroot = "none"\n'
    )
    with pytest.raises(ValueError, match=r"typo\.toml.*cuont"):
        scenario.load(file)


def test_a_cluster_takes_over_what_it_is_like_and_overrules_it():
    table = {"like": "kubespray", "port": 8223, "pods": {"web": {"host": 99}}}
    cluster = scenario.cluster(table)
    assert (cluster.port, cluster.nodes["node1"]) == (8223, "172.26.50.200")
    assert (cluster.pods["web"].host, cluster.pods["web"].node) == (99, "node2")
