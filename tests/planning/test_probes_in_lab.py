"""Next probes of reports, run in the laboratory: with what they print as facts, the report decides."""

import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.lab import __main__ as lab
from tests.lab import building, faults, record, topology, workloads
from tests.lab.namespaces import Namespaces, namespaces
from tests.lab.scenario import load
from vxlanalyze.planning.next_probe import case_of
from vxlanalyze.planning.questions import QUESTIONS
from vxlanalyze.report.model import ProbeRecord, Report

needs_lab = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("iptables-save") is None, reason="needs root and the lab's programs"
)
SECONDS = 4


def run(spaces: Namespaces, probe: ProbeRecord, facts: Path) -> None:
    """Run the steps as the report says, the second while the first still runs; save what they print."""

    def step(node: str, command: str) -> None:
        shorter = re.sub(r"\b(sleep|timeout) 20\b", rf"\1 {SECONDS}", command)
        done = subprocess.run(
            ["ip", "netns", "exec", spaces.real(node), "bash", "-c", shorter],
            cwd=facts / node,  # probes keep their first output there
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        with (facts / node / "probe.txt").open("a") as file:
            file.write(f"root@{node}:~# {shorter}\n{done.stdout}{done.stderr}")

    threads = []
    for each in probe["steps"]:
        (facts / each["node"]).mkdir(exist_ok=True)
        threads.append(threading.Thread(target=step, args=(each["node"], each["command"])))
        threads[-1].start()
        threads[-1].join(1.2)
    for thread in threads:
        thread.join()
    for left in facts.glob("*/before.txt"):
        left.unlink()


def following(report: Report, probe: ProbeRecord) -> ProbeRecord:
    """The probe that the report names for the outcome that settles least."""
    finding = report.findings[0]
    title = max(probe["outcomes"], key=lambda outcome: len(outcome["leaves"]))["next"]
    case = case_of(report, finding)
    (found,) = (p for q in QUESTIONS if q.code == finding["code"] for p in q.tests if p.title == title)
    steps = [{"node": n.partition("/")[0], "command": s.command, "purpose": ""} for n, s in found.steps(case)]
    return {"title": title, "minutes": found.minutes, "steps": steps, "outcomes": []}


@needs_lab
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "probes", "cause"),
    [
        (
            "facts-iptables-input",
            1,
            r"The firewall of node2 drops the tunnel's packets .*-A HOST-FIREWALL .*-j DROP",
        ),
        ("facts-rp-filter", 2, r"TcpExtIPReversePathFilter of node2 rose by \d+"),
        ("facts-device-down", 1, r"Nothing on node2 listens on UDP 8472"),
        ("facts-stale-neighbour", 1, r"0e:9c:41:7b:05:aa"),
    ],
)
def test_with_what_probes_print_the_report_decides(name: str, probes: int, cause: str, tmp_path: Path):
    file, folder = next(pair for pair in lab.recordings() if pair[0].stem == name)
    captures = sorted(folder.glob("node*.pcap.gz"))
    report = vx.compare(*captures).report
    left = report.findings[0]["open"]
    assert len(left["explanations"]) > 1
    probe = left["probe"]
    scenario = load(file)
    plan = topology.plan(scenario.cluster)
    with namespaces() as spaces:
        building.build(plan, spaces)
        faults.put_in(scenario.faults, plan, spaces)
        network = record._start_network(scenario, plan, spaces, tmp_path)
        workloads.start_servers(scenario, plan, spaces, tmp_path)
        network.send_signal(signal.SIGUSR1)
        (tmp_path / "facts").mkdir()
        for number in range(probes):
            probe = probe if number == 0 else following(report, probe)
            run(spaces, probe, tmp_path / "facts")
    saved = {path.name: path for path in (tmp_path / "facts").iterdir()}
    finding = vx.compare(*captures, facts=saved).report.findings[0]

    assert re.search(cause, finding["explanation"]), finding["explanation"]
    assert "probe.txt" in finding["evidence"]["fact_1"]["value"]
    assert finding["open"] is None
