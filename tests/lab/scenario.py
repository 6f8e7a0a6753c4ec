"""Scenario files: what is built, what goes wrong, what runs, what is captured, what must be found.

Every table of a file is one of the classes below, with the same names; an unknown name is an error.
`like` takes a cluster from ``clusters.toml``, whose values the scenario's own overrule.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from tests.lab.rules import Rule

CLUSTERS = Path(__file__).with_name("clusters.toml")
T = TypeVar("T")


@dataclass(frozen=True)
class Pod:
    """A pod: its node, its place in the node's pod network and its identity (the VNI in Cilium's way)."""

    node: str
    host: int
    identity: int = 0
    kube_name: str = ""
    namespace: str = "default"
    label: str = ""


@dataclass(frozen=True)
class Service:
    """A service as kube-proxy builds it on every node: one address and port for several pods, in turn."""

    address: str
    port: int
    pods: tuple[str, ...]
    target: int = 0
    protocol: str = "tcp"
    node_port: int = 0


@dataclass(frozen=True)
class Overlay:
    """A further tunnel between the nodes: another address of each node, another VNI, or the other family.

    `pods` are reached through it; none means all pods, of the family of the endpoints.
    """

    device: str
    vni: int
    endpoints: dict[str, str]
    pods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """Nodes, pods and the tunnel between them.

    `tunnel` is flannel (one VNI, static forwarding entries; Calico's is built alike), cilium (one
    device for all VNIs, which carry the sender's identity) or geneve. `port` and `vni` are one value,
    or one for each node. `around` puts wireguard or esp around the tunnel.
    """

    nodes: dict[str, str]
    pod_networks: dict[str, str]
    service: str
    pods: dict[str, Pod]
    like: str = ""
    tunnel: str = "flannel"
    device: str = "flannel.1"
    port: int | tuple[int, ...] = 8472
    vni: int | tuple[int, ...] = 1
    tunnel_options: str | tuple[str, ...] = ""
    node_mtu: int = 1500
    pod_mtu: int = 1450
    node_macs: str = "02:00:5e:10:00"
    vtep_macs: dict[str, str] = field(default_factory=dict)
    pod_networks6: dict[str, str] = field(default_factory=dict)
    offload: bool = True
    merge: bool = False
    around: str = ""
    nested: bool = False
    masquerade: bool = False
    random_fully: bool = True
    masquerade_services: bool = False
    services: dict[str, Service] = field(default_factory=dict)
    overlays: tuple[Overlay, ...] = ()
    endpoints: dict[str, str] = field(default_factory=dict)
    bound: bool = True
    second_cards: dict[str, str] = field(default_factory=dict)
    group: str = ""
    querier: bool = False


@dataclass(frozen=True)
class NodeFault:
    """Something wrong inside a node or a pod: `do` names a function of ``faults``, the rest is for it.

    `hop` names the captures between which the packets that it drops go missing, ``X>Y``; without it they
    are not part of the truth. With `after_s` it sets in that long after the work began. In `commands` and
    `rules`, ``$name`` stands for what ``faults.names`` lists.
    """

    do: str
    at: str
    protocol: str = ""
    dport: int = 0
    every: int = 1
    address: str = ""
    mac: str = ""
    network: str = ""
    pod: str = ""
    mtu: int = 0
    setting: str = ""
    hop: str = ""
    after_s: float = 0.0
    commands: tuple[str, ...] = ()
    chain: str = "type filter hook forward priority 0"
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """Traffic of one kind; what has the same `step` runs at once.

    `source` is a pod or a node, `to` a pod, a node, ``service`` or an address; the other fields are
    for the program that `do` names in ``workloads``.
    """

    do: str
    source: str = "client"
    to: str = "web"
    step: int = 0
    count: int = 10
    flows: int = 1
    interval_s: float = 0.2
    size: int = 56
    seconds: float = 2.0
    rate: str = "2M"
    name: str = "kubernetes.default.svc.cluster.local"
    timeout_s: float = 1.0
    options: str = ""
    page: str = "big"
    port: int = 0
    wait_s: float = 0.0
    ipv6: bool = False


@dataclass(frozen=True)
class Capture:
    """One capture: `at` is ``NODE/INTERFACE``, the interface nic, any, tunnel or a pod's name."""

    name: str
    at: str
    tool: str = "tcpdump"
    folder: str = ""
    filter: str = ""
    snaplen: int = 0
    nanoseconds: bool = False
    buffer_kib: int = 16384
    frames: int = 0
    begin_s: float = 0.0
    end_s: float = 0.0
    pause_s: tuple[float, float] | None = None
    rotate_kb: int = 0
    compress: str = "gzip"


@dataclass(frozen=True)
class Clock:
    """How the clock behind a capture differs: ahead by `offset_ns`, fast by `drift_ppm`, and a jump of it.

    `step_at_s` counts from the capture's first frame.
    """

    offset_ns: int = 0
    drift_ppm: float = 0.0
    step_at_s: float = 0.0
    step_ns: int = 0


@dataclass(frozen=True)
class Expected:
    """What the tool must say.

    `root` is the code (or one of the codes) of the first finding, or ``none``. `cites` are lines of saved
    facts that it must cite as the cause: ``FILE: text of the line``, the file within the bundle. `lost`
    tells whether the log says what the program must list as lost; `clock` whether the captures can tell the
    clock; `complete` whether the captures hold all that passed their points.
    """

    root: str | tuple[str, ...]
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()
    lost: bool = True
    clock: bool = False
    complete: bool = True


@dataclass(frozen=True)
class Scenario:
    """One file of ``scenarios/`` or ``samples/``.

    `limit` names what may be found to limit its first transfer; empty where there is none.
    With `planned_s`, captures and facts are taken by the script of ``--plan``, for so many seconds.
    `machine` are sysctls that no namespace has of its own: they are set for the whole machine meanwhile.
    """

    name: str
    story: str
    cluster: Cluster
    expected: Expected
    work: tuple[Work, ...]
    network: tuple[Rule, ...] = ()
    faults: tuple[NodeFault, ...] = ()
    captures: tuple[Capture, ...] = ()
    clocks: dict[str, Clock] = field(default_factory=dict)
    facts: str = ""
    planned_s: int = 0
    machine: dict[str, int] = field(default_factory=dict)
    seed: int = 1
    delay_ms: float = 0.4
    kube: bool = False
    limit: tuple[str, ...] = ()


def load(path: Path) -> Scenario:
    """Read a scenario file.

    Raises
    ------
    ValueError
        Where a table holds a name that means nothing, naming the file.
    """
    table = tomllib.loads(path.read_text())
    try:
        return parsed(path.stem, table)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path}: {error}") from error


def parsed(name: str, table: dict[str, Any]) -> Scenario:
    """Read a scenario out of a table with the names of a file."""
    built = cluster(table.pop("cluster"))
    captures = table.pop("capture", None) or [
        {"name": node, "at": f"{node}/nic"} for node in ("node1", "node2")
    ]
    return Scenario(
        name=name,
        story=" ".join(table.pop("story").split()),
        cluster=built,
        expected=_of(Expected, table.pop("expected")),
        work=tuple(_of(Work, work) for work in table.pop("work")),
        network=tuple(_of(Rule, rule) for rule in table.pop("network", [])),
        faults=tuple(_of(NodeFault, fault) for fault in table.pop("fault", [])),
        captures=tuple(_of(Capture, capture) for capture in captures),
        limit=tuple(table.pop("limit", [])),
        clocks={capture: _of(Clock, clock) for capture, clock in table.pop("clock", {}).items()},
        **table,
    )


def cluster(table: dict[str, Any]) -> Cluster:
    """Take the cluster that a table is `like`, overruled by the rest of the table."""
    known = tomllib.loads(CLUSTERS.read_text())
    merged = known["every"] | known[table["like"]]
    for name, value in table.items():
        merged[name] = merged[name] | value if isinstance(value, dict) and name in merged else value
    merged["pods"] = {
        name: _of(Pod, known["every"]["pods"].get(name, {}) | pod)
        for name, pod in (known["every"]["pods"] | merged["pods"]).items()
        if (known["every"]["pods"].get(name, {}) | pod)["node"] in merged["nodes"]
    }
    merged["services"] = {name: _of(Service, told) for name, told in merged.get("services", {}).items()}
    merged["overlays"] = tuple(_of(Overlay, told) for told in merged.get("overlays", []))
    return _of(Cluster, merged)


def _of(kind: type[T], table: dict[str, Any]) -> T:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(table) - names:
        raise KeyError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in table.items()})
