"""Saved tables complete what the cluster's JSON says, and never overrule it."""

import pytest

from tests.kubernetes.test_facts import SEED
from vxlanalyze.kubernetes.facts import read_facts
from vxlanalyze.kubernetes.gather import with_facts
from vxlanalyze.kubernetes.model import Cluster, Fact, Node, Pod, Service, TunnelRoute


@pytest.fixture
def seed(tmp_path):
    (tmp_path / "tables.txt").write_text(SEED)
    return with_facts(Cluster(), read_facts("node1", tmp_path))


def tunnels(*entries: tuple[str, str]) -> Fact:
    rows = tuple({"prefix": p, "endpoint": e} for p, e in entries)
    return Fact("node1", "cilium-tunnel-list", "tunnels.txt", rows)


def test_the_seed_s_pods_and_service_are_named(seed):
    assert seed.name_of("10.233.65.250") == "kube-system/coredns-8474476ff8-nz2tt"
    assert seed.name_of("10.233.0.3") == "kube-system/coredns"


def test_the_seed_s_service_has_the_backends_of_the_load_balancer(seed):
    (service,) = seed.services_of("10.233.65.250", 53)

    assert service.full_name == "kube-system/coredns"
    assert service.backends == ("10.233.64.125:53", "10.233.65.250:53")


def test_the_seed_s_tunnel_map_is_a_route_of_kubernetes_length(seed):
    assert seed.routes == (TunnelRoute("10.233.65.0/24", "172.26.50.201", "node1", length_known=False),)
    assert seed.routes_of("10.233.65.7") == seed.routes


def test_a_node_s_address_is_told_from_the_map_by_the_pods_that_live_there(seed):
    assert seed.node("node2") == Node("node2", ("172.26.50.201",), ("10.233.65.0/24",))
    assert seed.node_of("172.26.50.201") == "node2"


def test_a_tunnel_map_never_overrules_what_the_cluster_says():
    known = Cluster(
        nodes=(Node("node2", ("172.26.50.201",), ("10.233.65.0/24",)),),
        pods=(Pod("web", "default", "node2", ("10.233.65.20",)),),
    )
    cluster = with_facts(known, [tunnels(("10.233.65.0", "172.26.50.209"))])

    assert cluster.node_of("172.26.50.209") is None
    assert cluster.node("node2") == known.nodes[0]
    assert cluster.routes[0].endpoint == "172.26.50.209"


@pytest.mark.parametrize(
    ("prefixes", "networks"),
    [
        (["10.244.1.0", "10.244.2.0"], ["10.244.1.0/24", "10.244.2.0/24"]),
        (["10.244.1.0", "10.244.1.128"], ["10.244.1.0/25", "10.244.1.128/25"]),
        (["10.244.1.64"], ["10.244.1.64/26"]),
        (["fd00:10:2::"], ["fd00:10:2::/64"]),
        (["fd00:10::100", "fd00:10::200"], ["fd00:10::100/120", "fd00:10::200/119"]),
    ],
)
def test_a_prefix_without_length_gets_what_its_zeros_and_neighbours_allow(prefixes, networks):
    cluster = with_facts(Cluster(), [tunnels(*((p, "172.26.50.201") for p in prefixes))])

    assert [route.network for route in cluster.routes] == networks


def test_a_prefix_without_length_gets_that_of_the_node_s_pod_network():
    known = Cluster(nodes=(Node("node2", ("172.26.50.201",), ("10.244.8.0/22",)),))
    cluster = with_facts(known, [tunnels(("10.244.8.0", "172.26.50.201"))])

    assert cluster.routes[0].network == "10.244.8.0/22"


def test_pods_behind_one_address_share_their_node_s():
    row = {"namespace": "kube-system", "status": "Running", "address": "172.26.50.200", "node": "node1"}
    pods = Fact("node1", "kubectl-pods", "pods", ({"name": "proxy", **row}, {"name": "cilium", **row}))
    cluster = with_facts(Cluster(), [pods])

    assert all(p.host_network for p in cluster.pods)
    assert cluster.name_of("172.26.50.200") == "node1"


def test_the_same_pod_saved_twice_is_one():
    row = {"name": "web", "namespace": "", "status": "Running", "address": "10.0.0.5", "node": "node1"}
    pods = Fact("node1", "kubectl-pods", "pods", (row, row))
    known = Cluster(pods=(Pod("web", "default", "node1", ("10.0.0.5",)),))

    assert with_facts(known, [pods]).pods == known.pods


@pytest.mark.parametrize("kind", ["cilium-service-list", "virtual-services"])
def test_a_frontend_that_no_service_owns_makes_a_nameless_service(kind):
    row = {"frontend": "10.96.0.10:53", "protocol": "udp", "backend": "10.0.0.5:53"}
    cluster = with_facts(Cluster(), [Fact("node1", kind, "services", (row,))])

    assert cluster.services == (Service("", "", ("10.96.0.10",), (("udp", 53),), ("10.0.0.5:53",)),)
    assert cluster.name_of("10.96.0.10") is None


def test_a_port_on_every_address_is_no_service_address():
    row = {"frontend": "0.0.0.0:30080", "protocol": "tcp", "backend": "10.0.0.5:80"}

    assert with_facts(Cluster(), [Fact("n", "cilium-service-list", "s", (row,))]).services == ()
