"""A plan names the nodes, quotes what is hostile, and its script does what it says."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.model import Cluster, Node, Pod
from vxlanalyze.planning import as_script, as_text, stations
from vxlanalyze.planning.networks import NETWORKS, network_of

HOSTILE = "no'de $(touch x) `id`;2"
CLUSTER = Cluster(
    nodes=(Node("worker-a", ("10.1.0.1", "fd00::1")), Node("worker-b", ("10.1.0.2",))),
    pods=(
        Pod("cilium-x1z9k", "kube-system", "worker-a", ("10.1.0.1",), True),
        Pod("web-0", "shop", "worker-b", ("10.244.2.9",)),
        Pod("client-0", "shop", "worker-a", ("10.244.1.4",)),
    ),
)
ROOT_WITH_NAMESPACES = os.geteuid() == 0 and all(map(shutil.which, ("ip", "tcpdump", "nstat", "timeout")))


def plan(*names: str, cluster: Cluster = CLUSTER, **more: object):
    return stations.make(names, cluster, **{"cni": None, "seconds": 30, **more})


def test_the_cluster_gives_addresses_and_the_overlay():
    made = plan("worker-a", "worker-b")

    assert [s.addresses for s in made.stations] == [("10.1.0.1", "fd00::1"), ("10.1.0.2",)]
    assert made.network.name == "cilium"


def test_a_pod_means_its_node():
    assert [s.name for s in plan("shop/client-0", "web-0").stations] == ["worker-a", "worker-b"]


def test_two_pods_are_enough():
    made = plan(between=("client-0", "shop/web-0"))

    assert [s.name for s in made.stations] == ["worker-a", "worker-b"]
    assert [s.pod_addresses for s in made.stations] == [("10.244.1.4",), ("10.244.2.9",)]
    assert "tcpdump -ni any" in as_text.render(made)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["worker-a"], "two nodes"),
        (["worker-a", "worker-a"], "uses no tunnel"),
        (["worker-a", "worker-c"], "no node or pod is called worker-c"),
        (["worker-a", "x=nothing"], "is not an address"),
        (["worker-a", "-oProxyCommand=x"], "cannot name a node"),
        (["worker-a", "a\nb"], "cannot name a node"),
    ],
)
def test_what_makes_no_plan_is_an_error_of_one_line(names, words):
    with pytest.raises(UsageError, match=words) as error:
        plan(*names)

    assert "\n" not in str(error.value)


def test_an_unknown_network_is_named():
    with pytest.raises(UsageError, match="did you mean calico"):
        network_of("calcio", ())


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
@pytest.mark.parametrize("between", [(), ("10.244.1.4", "10.244.2.9")])
@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_every_script_passes_shellcheck(network, between, tmp_path):
    made = plan("node1=10.0.0.1", f"{HOSTILE}=10.0.0.2", cluster=Cluster(), cni=network.name, between=between)
    script = tmp_path / "plan.sh"
    script.write_text(as_script.render(made))

    assert subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False).stdout == ""


def test_every_command_of_the_text_is_one_for_a_shell():
    """And no part of a hostile name is run: only the quoted name stands in it."""
    text = as_text.render(plan("node1", HOSTILE, cluster=Cluster(), cni="cilium"))
    commands = [line[3:] for line in text.splitlines() if line.startswith("   ") and line[3] != "#"]
    checked = subprocess.run(["sh", "-n"], input="\n".join(commands), text=True, check=False)

    assert checked.returncode == 0
    assert all("touch" not in c or "$(touch x)" in "".join(shlex.split(c)) for c in commands)


def test_the_filter_keeps_what_matters():
    lines = as_text.render(plan("worker-a", "worker-b")).splitlines()
    filters = "; ".join(line.strip() for line in lines if "filter=" in line)
    shown = subprocess.run(
        ["sh", "-c", f'peers="10.1.0.2 fd00::2"; pods=; inner=; {filters}; printf %s "$filter"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert shown == "host fd00::2 or host 10.1.0.2 or icmp or icmp6 or arp"


def test_the_filter_keeps_what_goes_to_a_wrong_node():
    """By the inner addresses: an old tunnel map names neither of the two nodes outside."""
    nodes = (Node("a", ("10.1.0.1",), ("10.42.0.0/24",)), Node("b", ("10.1.0.2",), ("10.42.1.0/24",)))
    inner = plan("a", "b", cluster=Cluster(nodes=nodes)).inner_filters

    assert inner.split()[-1] == "udp[46:4]&0xffffff00=0xa2a0100"
    compiled = subprocess.run(["tcpdump", "-d", " or ".join(inner.split())], capture_output=True, check=False)
    assert compiled.returncode == 0


@pytest.fixture
def two_nodes(tmp_path):
    """Two namespaces with a VXLAN between them, and an ssh that enters them."""
    names = [f"vxplan{os.getpid()}a", f"vxplan{os.getpid()}b"]
    program = tmp_path / "ssh"
    program.write_text(
        '#!/bin/sh\nname=$1; shift; [ "$1" = sudo ] && shift\nexec ip netns exec "$name" "$@"\n'
    )
    program.chmod(0o755)
    made = [f"ip netns add {name}" for name in names]
    made.append(f"ip link add eth0 netns {names[0]} type veth peer name eth0 netns {names[1]}")
    for number, name in enumerate(names, 1):
        inside = f"ip -n {name}"
        made += [
            f"{inside} addr add 10.9.0.{number}/24 dev eth0",
            f"{inside} link set eth0 up",
            f"{inside} link add vx0 type vxlan id 7 dstport 8472 remote 10.9.0.{3 - number} dev eth0",
            f"{inside} addr add 10.244.0.{number}/24 dev vx0",
            f"{inside} link set vx0 up",
        ]
    try:
        for command in made:
            subprocess.run(command.split(), check=True, capture_output=True)
        yield names, tmp_path
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(not ROOT_WITH_NAMESPACES, reason="needs root, network namespaces and tcpdump")
def test_the_script_takes_a_pair_that_is_analysed(two_nodes, vxlanalyze):
    names, folder = two_nodes
    script = folder / "plan.sh"
    given = [f"{name}=10.9.0.{number}" for number, name in enumerate(names, 1)]
    assert (
        vxlanalyze("--plan", *given, "--cni", "swarm", "--for", "4s", "-o", script, "--quiet").returncode == 0
    )
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}

    ping = f"sleep 2; ip netns exec {names[0]} ping -c 10 -i 0.1 10.244.0.2"
    with subprocess.Popen(["sh", "-c", ping], stdout=subprocess.DEVNULL):
        subprocess.run(
            ["sh", script], cwd=folder, env={**os.environ, **path}, check=True, capture_output=True
        )
    (saved,) = folder.glob("vxlanalyze-*")
    captures = [f"{name}={saved}/{name}/capture" for name in names]
    facts = [word for name in names for word in ("--facts", f"{name}={saved}/{name}/facts")]
    done = vxlanalyze(*captures, *facts, "--verbose")

    assert done.returncode == 0, done.stderr
    assert "icmp 10.244.0.1 > 10.244.0.2: 10 of 10 answered" in done.stdout
    assert not Path("/var/lib/vxlanalyze").exists()
