"""The outer headers name the platform and the network plugin where they can, and else do not guess."""

import pytest

from tests.simulate import NODE1, NODE2, Flow, Traffic, Tunnel, comparison
from vxlanalyze.analysis.underlay import firewall, underlay
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.wire.model import Encryption


def of(*flows, cluster=None):
    pair = comparison([Traffic(f, packets=1) for f in flows or (Flow(),)])
    return underlay.of(pair.hops[0].forward, cluster or Cluster())


@pytest.mark.parametrize(
    ("mac", "platform"),
    [
        (0x005056A13C01, "VMware (ESXi or NSX)"),
        (0x000C29000001, "VMware (ESXi or NSX)"),
        (0x00155D000001, "Hyper-V"),
        (0x123456789ABC, "Azure"),
        (0x42010A800002, "Google Cloud"),
        (0xFA163E000001, "OpenStack"),
        (0x0200AC1A32C9, None),
    ],
)
def test_a_mac_prefix_names_the_platform(mac, platform):
    assert of(Flow(outer_dst_mac=mac)).platform == platform


@pytest.mark.parametrize(
    ("flows", "cni"),
    [
        ([Flow(vni=1)], "flannel"),
        ([Flow(vni=4096, outer_dport=4789)], "calico"),
        ([Flow(vni=1501), Flow(sport=2, vni=33002)], "cilium"),
        ([Flow(vni=7)], None),
        ([Flow(vni=1, outer_dport=4789)], None),
    ],
)
def test_ports_and_vnis_name_the_plugin(flows, cni):
    assert of(*flows).cni == cni


def test_the_clusters_files_overrule_what_packets_look_like():
    cluster = Cluster(facts=(Fact("node1", "cilium-tunnel-list", "t.txt"),))
    assert of(Flow(vni=1), cluster=cluster).cni == "cilium"


def test_rules_name_ports_and_ends():
    told = of(Flow(), Flow(sport=2, outer_dport=6081))
    assert told.ports_text == "UDP 6081, 8472"
    assert told.ends_text == "from 172.26.50.200 to 172.26.50.201"


def test_bare_packets_have_no_tunnel_ends():
    pair = comparison([Traffic()], points=("pod", "node1"), bare=("pod",))
    told = underlay.of(pair.hops[0].forward, Cluster())
    assert (told.src, told.ports, told.ports_text, told.cni) == ((), (), "the tunnel's port", None)


@pytest.mark.parametrize(
    ("kind", "port", "rule", "named"),
    [
        (Encryption.ESP, 0, "proto 50", "ESP (IP protocol 50)"),
        (Encryption.WIREGUARD, 51820, "udp port 51820", "UDP 51820"),
    ],
)
def test_encryption_without_a_tunnel_in_clear_has_the_nodes_as_its_ends(kind, port, rule, named):
    between = Flow(NODE1, NODE2, sport=port, dport=port, tunnel=Tunnel.NONE, encryption=kind)
    told = of(between)

    assert (told.near, told.far, told.ports_text) == (NODE1, NODE2, named)
    assert told.capture_rule == f"{rule} and src host {NODE1}"
    assert "-j ACCEPT" in firewall.allow(told, "node2")
    assert f"-s {NODE1} -p " in firewall.allow(told, "node2")
