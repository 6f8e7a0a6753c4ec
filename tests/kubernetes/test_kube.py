"""What kubectl prints becomes nodes, pods and services."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.kube import read_kube


def node(name: str, *addresses: str, networks: tuple[str, ...] = (), **annotations: str) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"podCIDRs": list(networks)},
        "status": {"addresses": [{"type": "InternalIP", "address": a} for a in addresses]},
    }


def pod(name: str, on: str, *addresses: str, labels: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
        "spec": {"nodeName": on, **more.pop("spec", {})},
        "status": {"podIP": addresses[0], "podIPs": [{"ip": a} for a in addresses], **more},
    }


def service(name: str, *addresses: str, ports: Any = (), **spec: Any) -> dict[str, Any]:
    spec |= {"clusterIP": addresses[0], "clusterIPs": list(addresses), "ports": list(ports)}
    return {"kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@pytest.fixture
def read(tmp_path):
    def read_objects(*items: Any, text: str | None = None):
        file = tmp_path / "cluster.json"
        file.write_text(json.dumps({"kind": "List", "items": list(items)}) if text is None else text)
        return read_kube(file)

    return read_objects


def test_a_dual_stack_pod_is_found_by_either_address(read):
    cluster = read(pod("web", "node2", "10.233.65.20", "fd00:10:2::20"))

    assert cluster.name_of("10.233.65.20") == cluster.name_of("fd00:10:2::20") == "default/web"


def test_an_address_is_named_after_its_pod_before_its_node(read):
    cluster = read(
        node("node1", "172.26.50.200"),
        pod("proxy", "node1", "172.26.50.200", spec={"hostNetwork": True}),
        pod("web", "node1", "10.0.0.5"),
    )

    assert cluster.name_of("172.26.50.200") == "node1"
    assert cluster.name_of("10.0.0.5") == "default/web"


def test_an_ended_pod_has_no_address_any_more(read):
    cluster = read(
        pod("job", "node1", "10.0.0.5", phase="Succeeded"), pod("web", "node2", "10.0.0.5", phase="Running")
    )

    assert cluster.name_of("10.0.0.5") == "default/web"
    assert cluster.node_of("10.0.0.5") == "node2"


def test_the_longest_pod_network_tells_the_node_of_an_unnamed_address(read):
    cluster = read(
        node("wide", "172.26.50.1", networks=("10.233.0.0/16",)),
        node("near", "172.26.50.2", networks=("10.233.65.0/24", "fd00:10:2::/64")),
    )

    assert cluster.node_of("10.233.65.99") == "near"
    assert cluster.node_of("10.233.99.99") == "wide"
    assert cluster.node_of("fd00:10:2::77") == "near"
    assert cluster.node_of("192.0.2.1") is None


def test_a_pod_network_that_no_pod_of_the_node_uses_is_left_out(read):
    """Calico hands out blocks of its own pools while spec.podCIDR stays set."""
    cluster = read(
        node("node1", "172.26.50.1", networks=("10.244.0.0/24",)),
        pod("web", "node1", "192.168.7.5"),
        {"kind": "BlockAffinity", "spec": {"node": "node1", "cidr": "192.168.7.0/26"}},
    )

    assert cluster.nodes[0].pod_networks == ("192.168.7.0/26",)


def test_annotations_tell_the_tunnel_ends_of_flannel_and_calico(read):
    flannel = {
        "flannel.alpha.coreos.com/public-ip": "203.0.113.5",
        "flannel.alpha.coreos.com/backend-data": '{"VNI":1,"VtepMAC":"D6:02:01:02:03:04"}',
    }
    calico = {"projectcalico.org/IPv4VXLANTunnelAddr": "192.168.7.0"}
    cluster = read(node("node1", "10.0.0.1", **flannel), node("node2", "10.0.0.2", **calico))

    assert cluster.nodes[0].addresses == ("10.0.0.1", "203.0.113.5")
    assert cluster.nodes[0].tunnel_macs == ("d6:02:01:02:03:04",)
    assert cluster.node_of("192.168.7.0") == "node2"


def test_a_cilium_node_adds_addresses_and_pools_to_its_node(read):
    cilium = {
        "kind": "CiliumNode",
        "metadata": {"name": "node1"},
        "spec": {
            "addresses": [{"type": "CiliumInternalIP", "ip": "10.0.1.77"}],
            "ipam": {"podCIDRs": ["10.0.1.0/24"], "pools": {"allocated": [{"cidrs": ["10.5.0.0/27"]}]}},
        },
    }
    cluster = read(node("node1", "172.16.0.1"), cilium)

    assert cluster.nodes[0].addresses == ("172.16.0.1", "10.0.1.77")
    assert cluster.nodes[0].pod_networks == ("10.0.1.0/24", "10.5.0.0/27")


def test_a_service_without_endpoints_gets_its_backends_by_selector(read):
    """A named target port is that of the pod's container."""
    containers = [{"ports": [{"name": "dns", "containerPort": 1053}]}]
    cluster = read(
        service(
            "coredns",
            "10.233.0.3",
            ports=[{"port": 53, "protocol": "UDP", "targetPort": "dns"}],
            selector={"k8s-app": "dns"},
        ),
        pod("a", "node1", "10.0.0.5", "fd00::5", labels={"k8s-app": "dns"}, spec={"containers": containers}),
        pod("b", "node2", "10.0.1.5", labels={"k8s-app": "other"}),
    )

    assert cluster.services[0].backends == ("10.0.0.5:1053", "[fd00::5]:1053")
    assert cluster.services_of("10.0.0.5", 1053) == cluster.services_of("10.233.0.3", 53) == cluster.services
    assert cluster.services_of("10.233.0.3", 54) == ()


def test_endpoint_slices_are_believed_before_the_selector_and_unready_ones_left_out(read):
    slices = {
        "kind": "EndpointSlice",
        "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [
            {"addresses": ["10.0.0.7"], "conditions": {"ready": True}},
            {"addresses": ["10.0.0.8"], "conditions": {"ready": False}},
        ],
        "ports": [{"port": 8080}],
    }
    cluster = read(
        service("web", "10.96.0.9", ports=[{"port": 80}], selector={"a": "b"}),
        pod("x", "node1", "10.0.0.9", labels={"a": "b"}),
        slices,
    )

    assert cluster.services[0].backends == ("10.0.0.7:8080",)


def test_a_headless_service_has_backends_and_no_address(read):
    endpoints = {
        "kind": "Endpoints",
        "metadata": {"namespace": "default", "name": "db"},
        "subsets": [{"addresses": [{"ip": "10.0.0.7"}], "ports": [{"port": 5432}]}],
    }
    cluster = read(service("db", "None", ports=[{"port": 5432}]), endpoints)

    assert cluster.services[0].addresses == ()
    assert cluster.services_of("10.0.0.7", 5432) == cluster.services


def test_lists_behind_each_other_and_members_without_kind_are_read(read):
    """``kubectl get --raw`` leaves the kind out of a list's members."""
    bare = [{k: v for k, v in pod(n, "node1", a).items() if k != "kind"} for n, a in (("a", "10.0.0.1"),)]
    nodes = {"kind": "NodeList", "items": [node("node1", "172.26.50.1")]}
    cluster = read(text=json.dumps(nodes) + "\n" + json.dumps({"kind": "PodList", "items": bare}) + "\n")

    assert [n.name for n in cluster.nodes] == ["node1"]
    assert cluster.name_of("10.0.0.1") == "default/a"


def test_the_logs_in_a_dump_of_the_cluster_are_skipped(read):
    """What ``kubectl cluster-info dump`` prints; a log may not end with a newline."""
    logs = (
        "==== START logs for container a of pod b/c ====\n{[not JSON{}]\n==== END logs for container a ====\n"
    )
    more = "==== START logs for container d of pod b/c ====\nthe last==== END logs for container d ====\n"
    nodes = json.dumps({"kind": "NodeList", "items": [node("n1", "10.0.0.1")]}, indent=4)
    pods = json.dumps({"kind": "PodList", "items": [pod("web", "n1", "10.1.0.5")]}, indent=4)
    cluster = read(text=f"{nodes}\n{pods}\n{logs}{more}{json.dumps(node('n2', '10.0.0.2'))}\n{logs[:60]}")

    assert [n.name for n in cluster.nodes] == ["n1", "n2"]
    assert cluster.node_of("10.1.0.5") == "n1"


def test_what_powershell_saved_is_read(tmp_path):
    file = tmp_path / "cluster.json"
    file.write_bytes(json.dumps({"kind": "List", "items": [node("node1", "10.0.0.1")]}).encode("utf-16"))

    assert read_kube(file).node_of("10.0.0.1") == "node1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("NAME   STATUS\nnode1  Ready\n", "cluster.json, line 1, column 1: neither JSON nor YAML"),
        ('{"kind": "List",\n "items": [}', "cluster.json, line 2, column 12: not JSON"),
        ("", "cluster.json: no object in it"),
        ("[1, 2]", "cluster.json: no object in it"),
        ("[" * 200_000, "cluster.json, character 0: not kubectl's JSON"),
    ],
)
def test_text_that_is_no_json_is_an_error_that_names_the_place(read, text, place):
    with pytest.raises(UsageError, match=r"cluster\.json") as error:
        read(text=text)

    assert place in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.json: cannot be read"):
        read_kube(tmp_path / "absent.json")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["10.0.0.1", "None"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "status", "name", "podIPs", "ip", "ports", "items", "kind"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_KINDS = st.sampled_from(["Node", "Pod", "Service", "Endpoints", "EndpointSlice", "CiliumNode", "Lease"])


@given(st.lists(st.tuples(_KINDS, st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), _JSON))))
def test_objects_of_any_shape_are_read_without_an_error(tmp_path_factory, items):
    file = tmp_path_factory.mktemp("kube") / "cluster.json"
    objects = [{"kind": kind, **item} for kind, item in items]
    file.write_text(json.dumps({"kind": "List", "items": [*objects, {"kind": "Node"}]}))

    read_kube(file)


YAML = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: {name: node1}
  spec: {podCIDR: 10.42.0.0/24}
  status:
    addresses:
    - {address: 192.168.56.11, type: InternalIP}
- apiVersion: v1
  kind: Pod
  metadata: {name: web, namespace: shop}
  spec: {nodeName: node1}
  status: {phase: Running, podIP: 10.42.0.7}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node2}
spec:
  bgp: {ipv4Address: 192.168.56.12/24}
  ipv4VXLANTunnelAddr: 10.42.1.0
  vxlanTunnelMACAddr: 66:0c:ab:01:02:03
"""


def test_yaml_says_the_same_as_json(tmp_path):
    (tmp_path / "cluster.yaml").write_text(YAML)
    cluster = read_kube(tmp_path / "cluster.yaml")

    assert cluster.node_of("10.42.0.7") == "node1"
    assert cluster.name_of("10.42.0.7") == "shop/web"
    assert cluster.node("node2").addresses == ("192.168.56.12", "10.42.1.0")
    assert cluster.node("node2").tunnel_macs == ("66:0c:ab:01:02:03",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Node\nmetadata: [unclosed\n", "line 3, column 1: neither JSON nor YAML"),
        ("kind: &a Node\nother: *a\n".replace("&a Node", "&a"), "anchor or alias"),
        ("a: !!python/object/apply:os.system ['true']\n", "neither JSON nor YAML"),
        ("kind: Node\n\0\n", "neither JSON nor YAML"),
    ],
)
def test_yaml_that_is_none_or_does_more_than_tools_print_is_refused(tmp_path, text, why):
    (tmp_path / "cluster.yaml").write_text(text)

    with pytest.raises(UsageError, match=why):
        read_kube(tmp_path / "cluster.yaml")


def test_a_laughing_document_is_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [
        f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 30)
    ]
    (tmp_path / "cluster.yaml").write_text("\n".join(lines) + "\nlast: *a29\n")

    with pytest.raises(UsageError, match="anchor or alias"):
        read_kube(tmp_path / "cluster.yaml")
