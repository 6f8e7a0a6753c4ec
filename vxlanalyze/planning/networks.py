"""What to save for each kind of overlay network when captures are taken.

The pods of its agent, the agent's output worth saving, files on the node, and objects of the whole cluster.

Sources: Cilium documentation 1.16 (``cilium-dbg``; ``bpf tunnel list`` is gone, ``bpf ipcache list`` has the
endpoints); Calico 3.28 (``calico-node`` in ``calico-system`` or ``kube-system``); flannel 0.25
(``/run/flannel/subnet.env``); RKE2 1.30 (``rke2-canal``, label ``k8s-app=canal``); Antrea 2.0
(``antrea-agent``); OVN-Kubernetes (``ovnkube-node``); Docker 27 and OpenStack Neutron ML2
guides for those without Kubernetes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vxlanalyze.errors import UsageError
from vxlanalyze.text.nearest import nearest


@dataclass(frozen=True, slots=True)
class Network:
    """One kind of overlay.

    Parameters
    ----------
    name, title : str
        The value of ``--cni``, and its official name.
    tunnel : str
        Its usual encapsulation, port and device, in words.
    mtu : str
        Where its MTU is set.
    agent : (label, container) or None
        How to find the agent's pod on a node.
    in_agent : tuple of (file, command)
        Commands to run in the agent.
    on_node : tuple of (file, command)
        Commands to run on the node itself, in addition to the common ones.
    in_cluster : tuple of (file, command)
        Commands to run where kubectl reaches the cluster.
    during : (file, command) or None
        Command to run in the agent during the captures; it ends when interrupted.
    kubernetes : bool
        Whether the nodes belong to Kubernetes.
    """

    name: str
    title: str
    tunnel: str
    mtu: str
    agent: tuple[str, str] | None = None
    in_agent: tuple[tuple[str, str], ...] = ()
    on_node: tuple[tuple[str, str], ...] = ()
    in_cluster: tuple[tuple[str, str], ...] = ()
    during: tuple[str, str] | None = None
    kubernetes: bool = True


_SUBNET = ("subnet.env", "host cat /run/flannel/subnet.env")
_OVS = ("ovs-vsctl.txt", "ovs-vsctl show")

NETWORKS: tuple[Network, ...] = (
    Network(
        "cilium",
        "Cilium",
        "VXLAN on UDP 8472 (cilium_vxlan) or Geneve on UDP 6081 (cilium_geneve)",
        "the Helm value MTU",
        ("k8s-app=cilium", "cilium-agent"),
        (
            ("cilium-status.txt", "cilium-dbg status --verbose"),
            ("cilium-ipcache.txt", "cilium-dbg bpf ipcache list"),
            ("cilium-services.txt", "cilium-dbg service list"),
            ("cilium-nat.txt", "cilium-dbg bpf nat list"),
        ),
        in_cluster=(("ciliumnodes.json", "kubectl get ciliumnodes -o json"),),
        during=("cilium-drops.json", "cilium-dbg monitor --type drop -j"),
    ),
    Network(
        "calico",
        "Calico",
        "VXLAN on UDP 4789 (vxlan.calico) or IP in IP (tunl0)",
        "mtu of the Installation, or vxlanMTU of FelixConfiguration",
        ("k8s-app=calico-node", "calico-node"),
        in_cluster=(
            ("ippools.yaml", "kubectl get ippools.crd.projectcalico.org -o yaml"),
            ("felix.yaml", "kubectl get felixconfigurations.crd.projectcalico.org -o yaml"),
        ),
    ),
    Network(
        "flannel",
        "flannel",
        "VXLAN on UDP 8472 (flannel.1)",
        '"MTU" of the Backend in net-conf.json',
        on_node=(_SUBNET,),
        in_cluster=(("flannel.yaml", "kubectl get configmaps -A -l app=flannel -o yaml"),),
    ),
    Network(
        "canal",
        "Canal (flannel with Calico's policies; RKE2)",
        "VXLAN on UDP 8472 (flannel.1)",
        '"MTU" of the Backend in net-conf.json, and veth_mtu of the canal configuration',
        on_node=(_SUBNET,),
    ),
    Network(
        "k3s",
        "flannel within k3s",
        "VXLAN on UDP 8472 (flannel.1)",
        "a file given to k3s as --flannel-conf",
        on_node=(_SUBNET,),
    ),
    Network(
        "antrea",
        "Antrea",
        "Geneve on UDP 6081 (antrea-tun0 of Open vSwitch)",
        "defaultMTU in antrea-agent.conf",
        ("app=antrea,component=antrea-agent", "antrea-ovs"),
        (_OVS,),
    ),
    Network(
        "ovn",
        "OVN-Kubernetes",
        "Geneve on UDP 6081 (genev_sys_6081)",
        "mtu of the cluster network (OpenShift: spec.migration.mtu of the Network operator)",
        ("app=ovnkube-node", "ovn-controller"),
        (("ovn-sbctl.txt", "ovn-sbctl --no-leader-only show"),),
        on_node=(("ovs-vsctl.txt", "host ovs-vsctl show"),),
    ),
    Network(
        "swarm",
        "Docker Swarm",
        "VXLAN on UDP 4789, or on that of docker swarm init --data-path-port",
        "com.docker.network.driver.mtu of the network",
        on_node=(("docker-networks.json", "docker network ls -q | xargs -r docker network inspect"),),
        kubernetes=False,
    ),
    Network(
        "openstack",
        "OpenStack Neutron",
        "VXLAN on UDP 4789 or Geneve on UDP 6081, by Open vSwitch",
        "global_physnet_mtu and path_mtu of neutron.conf and ml2_conf.ini",
        on_node=(_OVS,),
        kubernetes=False,
    ),
    Network("other", "an overlay of another kind", "not known beforehand", "that of its tunnel device"),
)
# Name prefixes of the agents' pods, the more specific first.
_PODS = (
    ("rke2-canal-", "canal"),
    ("canal-", "canal"),
    ("cilium-", "cilium"),
    ("calico-node-", "calico"),
    ("kube-flannel-", "flannel"),
    ("antrea-agent-", "antrea"),
    ("ovnkube-node-", "ovn"),
)


def network_of(name: str | None, pods: Iterable[str]) -> Network:
    """Give the network with a name, or the one whose agents are among the pods.

    Raises
    ------
    UsageError
        There is no network with this name.
    """
    known = {network.name: network for network in NETWORKS}
    if name is None:
        present = list(pods)
        name = next((cni for start, cni in _PODS if any(p.startswith(start) for p in present)), "other")
    name = {"rke2": "canal", "ovn-kubernetes": "ovn", "docker": "swarm"}.get(name.lower(), name.lower())
    if name not in known:
        raise UsageError(f"--cni: no network is called {name}{nearest(name, known)}; {', '.join(known)} are")
    return known[name]
