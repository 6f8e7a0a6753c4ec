"""Captures and facts as an administrator takes them: by the script of ``vxlanalyze --plan`` on each node.

The script runs in the node's namespace, with a folder of its own mounted where it keeps its files.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab.capture import Recorder
from tests.lab.namespaces import LabError, Namespaces
from tests.lab.scenario import Capture, Scenario
from tests.lab.topology import Topology
from vxlanalyze.kubernetes.model import Cluster, Node
from vxlanalyze.planning import as_script, stations

ENDS_WITHIN_S = 30.0
SCRIPT, FACTS = "plan.sh", "facts.tar.xz"


@dataclass
class PlannedRecorder(Recorder):
    """The node's part of the script: counters, capture, counters, facts; it ends by itself."""

    def start(self) -> None:
        """Start the script, and wait until its tcpdump sees packets."""
        self.program = self.spaces.start(self.namespace, self.command)
        self.wait()

    def stop(self) -> None:
        """Wait for the end of the script, and take the capture out of its ring of files."""
        if self.program is None:
            return
        self.program.wait(ENDS_WITHIN_S)
        files = sorted((self.log.parents[1] / "capture").iterdir())
        if len(files) != 1:
            raise LabError(f"{len(files)} files were captured on {self.namespace}, not one")
        files[0].replace(self.path)


def write_script(scenario: Scenario, topology: Topology, folder: Path) -> None:
    """Write the plan for the first two nodes, between a pod of each where all interfaces are captured."""
    first, second = list(topology.nodes.values())[:2]
    inside = any(item.at.endswith("/any") for item in scenario.captures)
    between = tuple(topology.pods[name] for name in ("client", "web")) if inside else ()
    nodes = [
        Node(n.name, (topology.endpoint(n),), (topology.cluster.pod_networks[n.name],))
        for n in (first, second)
    ]
    cluster = Cluster(nodes=tuple(nodes))
    plan = stations.make(
        [n.name for n in nodes], cluster, cni="other", seconds=scenario.planned_s, between=between
    )
    (folder / SCRIPT).write_text(as_script.render(plan))


def prepare(capture: Capture, topology: Topology, spaces: Namespaces, folder: Path, made: Path) -> Recorder:
    """Work out what to run on a node; starts nothing."""
    node = topology.nodes[capture.at.partition("/")[0]]
    (peer,) = topology.others(node)[:1]
    home = folder / f"home-{node.name}"
    home.mkdir()
    made.mkdir(exist_ok=True)
    run = f"mount --bind {home} /var/lib && exec sh {folder / SCRIPT} on-node {node.number}"
    command = ["unshare", "-m", "sh", "-c", f"{run} {topology.endpoint(peer)}"]
    log = home / "vxlanalyze" / node.name / "facts" / "tcpdump.txt"
    return PlannedRecorder(capture, made / f"{capture.name}.pcap", log, node.name, command, spaces)


def pack(recorders: list[Recorder], made: Path) -> None:
    """Pack what was saved on the nodes into one bundle, with the tables that the cluster's agents print."""
    with tarfile.open(made / FACTS, "w:xz", preset=9) as bundle:
        for recorder in recorders:
            for place in (recorder.log.parent, made / "facts" / recorder.namespace):
                for file in sorted(place.rglob("*")):
                    if file.is_file():
                        bundle.add(file, f"{recorder.namespace}/{file.relative_to(place)}", filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
