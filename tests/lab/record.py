"""One scenario from its file to its folder: build, break, capture, work, write the truth."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tests.lab import (
    building,
    capture,
    clocks,
    cluster_facts,
    faults,
    machine,
    planned,
    topology,
    truth,
    workloads,
)
from tests.lab.capture import Recorder
from tests.lab.namespaces import LabError, Namespaces, namespaces
from tests.lab.scenario import Clock, Scenario
from tests.lab.topology import FABRIC, Topology

# Servers need a moment to listen; tcpdump gets the last packets from the kernel a second late.
SETTLE_S, LINGER_S = 0.8, 1.3
FORWARDING_WITHIN_S = 10.0


def record(scenario: Scenario, folder: Path) -> dict[str, int]:
    """Record a scenario into a folder: a new or empty one, or that of an earlier recording, to replace it.

    Returns
    -------
    dict of str to int
        Frames that the network saw, by direction and fate.

    Raises
    ------
    LabError
        Where a command fails, the network missed frames, so that the truth would not be whole, or the
        folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "truth.json").exists():
        raise LabError(f"{folder} holds something that is no recording")
    plan = topology.plan(scenario.cluster)
    with (
        tempfile.TemporaryDirectory(prefix="vxlab") as scratch,
        namespaces() as spaces,
        machine.settings(scenario.machine),
    ):
        place, made = Path(scratch), Path(scratch) / "made"
        building.build(plan, spaces)
        faults.put_in(tuple(fault for fault in scenario.faults if not fault.after_s), plan, spaces)
        network = _start_network(scenario, plan, spaces, place)
        workloads.start_servers(scenario, plan, spaces, place)
        time.sleep(SETTLE_S)
        recorders = _recorders(scenario, plan, spaces, place, made)
        watchers = {hop: capture.watch_drops(node, spaces, place) for node, hop in _watched(scenario)}
        _run(scenario, plan, spaces, [*recorders, *watchers.values()], network, place)
        if scenario.facts:
            cluster_facts.write_facts(plan, spaces, recorders, made, scenario.facts)
        if scenario.planned_s:
            planned.pack(recorders, made)
            shutil.rmtree(made / "facts", ignore_errors=True)
        log = truth.read_log(place / "fates.jsonl")
        lost = truth.lost_packets(log, truth.directions(scenario))
        for hop, watcher in watchers.items():
            lost += truth.dropped_inside(watcher.path, hop)
        _finish(scenario, plan, recorders, log, lost, made)
        if said := workloads.kernel_words(place):
            (made / "ss.json").write_text(json.dumps(said, indent=1) + "\n")
        _replace(made, folder)
    return truth.counts(log)


def _recorders(
    scenario: Scenario, plan: Topology, spaces: Namespaces, place: Path, made: Path
) -> list[Recorder]:
    """Prepare the captures: tcpdump or dumpcap as the scenario says, or the script of ``--plan``."""
    if not scenario.planned_s:
        return [capture.prepare(item, plan, spaces, made) for item in scenario.captures]
    planned.write_script(scenario, plan, place)
    return [planned.prepare(item, plan, spaces, place, made) for item in scenario.captures]


def _watched(scenario: Scenario) -> set[tuple[str, str]]:
    """Return the nodes whose drops the truth counts, with the hop where they go missing."""
    return {(fault.at, fault.hop) for fault in scenario.faults if fault.hop}


def _run(
    scenario: Scenario,
    plan: Topology,
    spaces: Namespaces,
    recorders: list[Recorder],
    network: subprocess.Popen[str],
    place: Path,
) -> None:
    """Capture while the work runs, then stop the captures and the network."""
    for recorder in recorders:
        capture.begin(recorder)
    network.send_signal(signal.SIGUSR1)
    for recorder in recorders:
        capture.set_alarms(recorder)
    for fault in scenario.faults:
        if fault.after_s:
            workloads.later(fault.after_s, partial(faults.put_in, (fault,), plan, spaces))
    workloads.run(scenario, plan, spaces, place / workloads.WORK_LOG)
    if not scenario.planned_s:  # whose facts are saved when the captures have ended by themselves
        building.silence(plan, spaces)
    time.sleep(LINGER_S)
    for recorder in recorders:
        recorder.stop()
    network.terminate()
    if network.wait():
        said = network.stdout.read() if network.stdout else ""
        raise LabError(f"the network broke: {said.strip()[-300:]}")
    _check_network(plan, spaces)


def _start_network(
    scenario: Scenario, plan: Topology, spaces: Namespaces, place: Path
) -> subprocess.Popen[str]:
    """Start the network in user space and wait until it forwards."""
    ports = [
        {"node": node.name, "mac": mac.replace(":", ""), "device": tap}
        for node in plan.nodes.values()
        for mac, tap in plan.cards(node)
    ]
    described = {
        "ports": ports,
        "rules": [asdict(rule) for rule in scenario.network],
        "tunnel_ports": plan.tunnel_ports,
        "seed": scenario.seed,
        "delay_ms": scenario.delay_ms,
    }
    (place / "network.json").write_text(json.dumps(described))
    files = [str(place / name) for name in ("network.json", "fates.jsonl")]
    command = [sys.executable, "-m", "tests.lab.fabric", *files]
    network = spaces.start(FABRIC, command, subprocess.PIPE)
    said = network.stdout.readline() if network.stdout else ""
    if said != "ready\n":
        raise LabError(f"the network does not start: {said}{network.stdout.read() if network.stdout else ''}")
    for node in plan.nodes.values():
        for _, tap in plan.cards(node):
            _wait_until_forwarding(tap, spaces)
    return network


def _wait_until_forwarding(tap: str, spaces: Namespaces) -> None:
    """Wait for a bridge port that has just got its carrier: before, the bridge drops what a node sends."""
    end_s = time.monotonic() + FORWARDING_WITHIN_S
    while json.loads(spaces.run(FABRIC, f"bridge -j link show dev {tap}"))[0]["state"] != "forwarding":
        if time.monotonic() > end_s:
            raise LabError(f"the bridge does not forward to {tap}")
        time.sleep(0.05)


def _check_network(plan: Topology, spaces: Namespaces) -> None:
    """Make sure that no frame was dropped on the way into the network, where no log would tell of it."""
    for node in plan.nodes.values():
        shown = [
            json.loads(spaces.run(FABRIC, f"ip -s -j link show dev {tap}")) for _, tap in plan.cards(node)
        ]
        if any(device[0]["stats64"]["tx"]["dropped"] for device in shown):
            raise LabError(f"the network missed frames of {node.name}: record again on a quieter machine")


def _finish(
    scenario: Scenario,
    plan: Topology,
    recorders: list[Recorder],
    log: list[dict[str, Any]],
    lost: list[list[Any]],
    made: Path,
) -> None:
    """Bend clocks, compress, and write the truth and the cluster's words."""
    firsts = [capture.finish(item, scenario.clocks.get(item.capture.name, Clock())) for item in recorders]
    cluster = plan.cluster
    networks = {
        node: [table[node] for table in (cluster.pod_networks, cluster.pod_networks6) if node in table]
        for node in plan.nodes
    }
    more = {
        "networks": networks,
        "ports": plan.tunnel_ports,
        "clock": _clock_truth(scenario, firsts),
        "translated": bool(cluster.services or cluster.masquerade),
        "lost": lost,
    }
    truth.write(scenario, _points(plan, recorders), log, more, made)
    cluster_facts.write_kube(plan, made / "kube.json")
    for recorder in recorders:
        recorder.log.unlink()


def _points(plan: Topology, recorders: list[Recorder]) -> list[dict[str, Any]]:
    """Describe the captures that stand for the scenario: those not in a folder of their own."""
    points = []
    for recorder in recorders:
        if recorder.capture.folder:
            continue
        pod = plan.pods.get(recorder.capture.at.partition("/")[2])
        suffix = "" if recorder.path.is_dir() else capture.SUFFIXES[recorder.capture.compress]
        points.append({"name": recorder.capture.name, "path": recorder.path.name + suffix, "pod": pod})
    return points


def _clock_truth(scenario: Scenario, firsts: list[int | None]) -> dict[str, float] | None:
    """Return the second clock's lead over the first at the start of the common window, and its drift."""
    known = [first for first in firsts[:2] if first is not None]
    if len(known) < 2:
        return None
    start_ns = max(known)
    first, second = (scenario.clocks.get(item.name, Clock()) for item in scenario.captures[:2])
    ahead = [
        clocks.shown_ns(clock, start_ns, own_ns) for clock, own_ns in zip((first, second), known, strict=True)
    ]
    return {"offset_ns": ahead[1] - ahead[0], "drift_ppm": second.drift_ppm - first.drift_ppm}


def _replace(made: Path, folder: Path) -> None:
    """Move what was made into place; texts that people wrote there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name in WRITTEN_BY_HAND:
            continue
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(made, folder, dirs_exist_ok=True)


WRITTEN_BY_HAND = ("README.md", "expect.toml")
