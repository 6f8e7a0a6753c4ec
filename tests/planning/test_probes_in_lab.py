"""Probe after probe, run in the laboratory's nodes, leads from what a report leaves open to what was done."""

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
from vxlanalyze.planning.probes import Case, Probe, best
from vxlanalyze.planning.questions import QUESTIONS

needs_lab = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("iptables-save") is None, reason="needs root and the lab's programs"
)
SECONDS = 4


def run(spaces: Namespaces, probe: Probe, case: Case) -> dict[str, str]:
    """Run the steps of a probe as the text says: the second while the first still runs; give their output."""
    said: dict[str, str] = {}

    def step(where: str, command: str) -> None:
        shorter = re.sub(r"\b(sleep|timeout) 20\b", rf"\1 {SECONDS}", command)
        done = subprocess.run(
            ["ip", "netns", "exec", spaces.real(where.partition("/")[0]), "bash", "-c", shorter],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said[where] = said.get(where, "") + done.stdout + done.stderr

    threads = []
    for where, each in probe.steps(case):
        threads.append(threading.Thread(target=step, args=(where, each.command)))
        threads[-1].start()
        threads[-1].join(0.7)
    for thread in threads:
        thread.join()
    return said


def outcome(probe: Probe, said: str) -> str:
    """What is seen in the output, in the probe's own words."""
    dropping = re.search(r"-A (\S+) .*-j (?:DROP|REJECT)|-A (\S+) -j DROP", said)
    chain = (dropping[1] or dropping[2]) if dropping else ""
    jump = re.search(rf"-A (INPUT|PREROUTING|FORWARD) .*-j {re.escape(chain)}$", said, re.MULTILINE)
    hook = jump[1] if jump else chain
    seen = {
        "rules that count": "no rule rises"
        if not dropping
        else "a rule of FORWARD or of a policy's chain rises"
        if hook == "FORWARD"
        else "a rule of INPUT or PREROUTING rises",
        "counters of the kernel": next(
            (
                f"{name} rises"
                for name in ("TcpExtIPReversePathFilter", "UdpNoPorts")
                if re.search(rf"{name}\s+[1-9]", said)
            ),
            "none of them rises",
        ),
        "how far the requests get inside the node": "they appear on the pod's interface, too"
        if "veth" in said
        else "they appear on the tunnel device alone"
        if "flannel.1" in said
        else "they never appear outside of the tunnel",
    }
    return seen[probe.title]


@needs_lab
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("facts-iptables-input", "firewall"),
        ("facts-rp-filter", "rpfilter"),
        ("forward-dropped-any", "forward"),
    ],
)
def test_probes_lead_to_what_was_done(name: str, cause: str, tmp_path: Path):
    file, folder = next(pair for pair in lab.recordings() if pair[0].stem == name)
    report = vx.compare(*sorted(folder.glob("node*.pcap.gz"))).report
    (question,) = (q for q in QUESTIONS if q.code == report.findings[0]["code"])
    case = case_of(report, report.findings[0])
    keys = list(question.still_open(case))
    assert cause in keys
    assert len(keys) > 1
    scenario = load(file)
    plan = topology.plan(scenario.cluster)
    with namespaces() as spaces:
        building.build(plan, spaces)
        faults.put_in(scenario.faults, plan, spaces)
        network = record._start_network(scenario, plan, spaces, tmp_path)
        workloads.start_servers(scenario, plan, spaces, tmp_path)
        network.send_signal(signal.SIGUSR1)
        while (probe := best(question, keys)) is not None:
            said = run(spaces, probe, case)
            seen = outcome(probe, said[case.far.partition("/")[0]])
            (left,) = (o.leaves for o in probe.outcomes if o.seen == seen)
            assert cause in left, (probe.title, seen, said)
            keys = [key for key in keys if key in left]
    assert keys == [cause]
