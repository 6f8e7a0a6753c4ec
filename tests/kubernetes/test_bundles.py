"""Archives are read as folders are, and hostile ones are refused in one line."""

import io
import json
import tarfile
import zipfile

import pytest

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.facts import read_bundle, read_facts
from vxlanalyze.kubernetes.homes import Belonging, homes_of
from vxlanalyze.kubernetes.model import Cluster, Node, Pod
from vxlanalyze.kubernetes.saved import read_cluster

FDB = b"33:33:00:00:00:01 dev eth0 self permanent\n"


def tarred(names, mode, path):
    with tarfile.open(path, mode) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(FDB)
            archive.addfile(info, io.BytesIO(FDB))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_read_whatever_compresses_it(mode, tmp_path):
    (fact,) = read_facts("node1", tarred(["facts/fdb.txt"], mode, tmp_path / "saved"))

    assert fact.kind == "bridge-fdb"
    assert fact.path.endswith("saved/facts/fdb.txt")


def test_zstd_is_read(tmp_path):
    import pyarrow as pa

    plain = tarred(["fdb.txt"], "w", tmp_path / "plain.tar").read_bytes()
    with pa.CompressedOutputStream(str(tmp_path / "saved.tar.zst"), "zstd") as file:
        file.write(plain)
    (fact,) = read_facts("node1", tmp_path / "saved.tar.zst")

    assert fact.kind == "bridge-fdb"


def test_a_zip_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "saved.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("node1/fdb.txt", FDB)
    (fact,) = read_facts("node1", tmp_path / "saved.zip")

    assert fact.kind == "bridge-fdb"


def test_a_bundle_of_several_nodes_is_parted_by_their_names(tmp_path):
    names = ["sysdump/bugtool-node1-2026/fdb.txt", "sysdump/node2.internal/fdb.txt", "sysdump/node10/fdb.txt"]
    dump = tarred(names, "w:gz", tmp_path / "dump.tgz")
    facts = read_bundle(dump, Belonging(["node1", "node2"], Cluster()))

    assert [fact.capture for fact in facts] == ["node1", "node2"]


def test_a_bundle_that_names_no_capture_says_so(tmp_path):
    with pytest.raises(UsageError, match="give --facts NAME=BUNDLE"):
        read_bundle(tarred(["a/fdb.txt"], "w", tmp_path / "dump.tar"), Belonging(["node1"], Cluster()))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "/".join("d" * 40)])
def test_a_member_outside_of_its_folder_refuses_the_bundle(name, tmp_path):
    tarred([name], "w", tmp_path / "a.tar")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(name, FDB)

    for path in (tmp_path / "a.tar", tmp_path / "b.zip"):
        with pytest.raises(UsageError, match="outside of its folder, or too deep"):
            read_facts("node1", path)


def test_links_and_devices_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"link{kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)

    assert read_facts("node1", tmp_path / "a.tar") == ()


@pytest.mark.parametrize("cut", [600, 900])
def test_a_damaged_archive_is_an_error_of_one_line(cut, tmp_path):
    whole = tarred([f"node1/{n}.txt" for n in range(300)], "w:gz", tmp_path / "a.tgz").read_bytes()
    (tmp_path / "a.tgz").write_bytes(whole[:cut])

    with pytest.raises(UsageError) as error:
        read_facts("node1", tmp_path / "a.tgz")

    assert "\n" not in str(error.value)


def test_the_command_takes_a_bundle(tmp_path):
    tarred(["node1/fdb.txt"], "w:gz", tmp_path / "dump.tgz")

    cluster = read_cluster(None, (("", str(tmp_path / "dump.tgz")),), ["node1", "node2"])

    assert [fact.capture for fact in cluster.facts] == ["node1"]


BUGTOOL = "# iptables-save -c\n\n```\n*filter\n:INPUT DROP [7:900]\nCOMMIT\n```\n"
PODS = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: cilium-x7abc, namespace: kube-system}
  spec: {nodeName: node2, hostNetwork: true}
  status: {phase: Running, podIP: 192.168.56.12}
- apiVersion: v1
  kind: Node
  metadata: {name: node2}
  status: {addresses: [{type: InternalIP, address: 192.168.56.12}]}
"""


def test_a_sysdump_says_itself_on_which_node_an_agent_ran(tmp_path):
    """Its members are called after the agent's pods, not after nodes."""
    with zipfile.ZipFile(tmp_path / "sysdump.zip", "w") as bundle:
        bundle.writestr("cilium-sysdump-1/k8s-pods-20260101.yaml", PODS)
        bundle.writestr("cilium-sysdump-1/bugtool-cilium-x7abc-1/cmd/iptables-save--c.md", BUGTOOL)
    cluster = read_cluster(None, [("", str(tmp_path / "sysdump.zip"))], ["node1", "node2"])

    assert cluster.node_of("192.168.56.12") == "node2"
    (rules,) = cluster.facts_of("firewall", "node2")
    assert rules.rows[0]["policy"] == "DROP"
    assert rules.rows[0]["line"] == "5"


GATHERED = "must-gather.local.7/quay-io-openshift-release-dev-ocp-v4-0-art-dev-sha256-0a1b"
NODE = """\
apiVersion: v1
kind: Node
metadata: {name: worker-0.example.org, annotations: {k8s.ovn.org/zone-name: worker-0.example.org}}
spec: {podCIDR: 10.128.2.0/23}
status: {addresses: [{type: InternalIP, address: 192.168.56.12}]}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: ovnkube-node-x7abc, namespace: openshift-ovn-kubernetes}
spec: {nodeName: worker-0.example.org, hostNetwork: true}
status: {phase: Running, podIP: 192.168.56.12}
"""
SERVICES = """\
apiVersion: v1
kind: ServiceList
items:
- metadata: {name: dns-default, namespace: openshift-dns}
  spec: {clusterIP: 172.30.0.10, ports: [{port: 53, protocol: UDP}]}
"""
OVS = """\
11111111-2222-3333-4444-555555555555
    Bridge br-int
        Port ovn-1
            Interface ovn-1
                type: geneve
                options: {key=flow, remote_ip="192.168.56.11"}
"""


@pytest.fixture
def must_gather(tmp_path):
    """As `oc adm must-gather` leaves it: objects by scope and namespace, logs by pod, files by node.

    Written after openshift/must-gather's collection scripts (gather, gather_ppc) and `oc adm inspect`, 2026.
    """
    path = tmp_path / "must-gather.tar.gz"
    files = {
        "cluster-scoped-resources/core/nodes/worker-0.example.org.yaml": NODE,
        "namespaces/openshift-dns/core/services.yaml": SERVICES,
        "namespaces/openshift-ovn-kubernetes/pods/ovnkube-node-x7abc/ovnkube-node-x7abc.yaml": POD,
        "namespaces/openshift-ovn-kubernetes/pods/ovnkube-node-x7abc/ovn-controller/ovs-vsctl.txt": OVS,
        "nodes/worker-0.example.org/iptables-save.txt": "*filter\n:INPUT DROP [7:900]\nCOMMIT\n",
        "nodes/worker-0.example.org/lspci": "00:00.0 Host bridge: Intel\n",
        "network_logs/cluster_scale": "services amount: 70\n",
        "event-filter.html": "<!DOCTYPE html>\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{GATHERED}/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def test_a_must_gather_names_nodes_services_and_whose_file_each_is(must_gather):
    """OpenShift calls nodes by their whole host names, people call captures by the first part."""
    cluster = read_cluster(None, [("", str(must_gather))], ["worker-0", "worker-1"])

    assert cluster.node_of("192.168.56.12") == "worker-0.example.org"
    assert cluster.node_of("10.128.2.7") == "worker-0.example.org"
    assert cluster.name_of("172.30.0.10") == "openshift-dns/dns-default"
    assert {fact.kind for fact in cluster.facts if fact.capture == "worker-0"} >= {"firewall", "overlay"}
    assert not [fact for fact in cluster.facts if fact.capture == "worker-1"]


NESTED = {"a/node1/capture/x.pcap": "node1", "a/node2/capture/x.pcap": "node2"}


@pytest.mark.parametrize(
    ("opened", "places", "homes"),
    [
        (NESTED, NESTED, {"a/node1/": "node1", "a/node2/": "node2"}),
        ({"a/node1/capture/x.pcap": "node1"}, NESTED, {"a/node1/": "node1"}),
        ({"a/node1/capture/x.pcap": "node1"}, ["a/node1/capture/x.pcap"], {"": "node1"}),
        ({"x.pcap0": "x", "x.pcap1": "x"}, [], {"": "x"}),
        ({"x.pcap": "x", "y.pcap": "y"}, [], {}),
        ({"x.pcap": "x", "n/y.pcap": "y"}, [], {"n/": "y"}),
    ],
)
def test_the_widest_folder_without_another_capture_is_a_capture_s_home(opened, places, homes):
    assert homes_of(opened, places) == homes


@pytest.mark.parametrize(
    ("member", "capture"),
    [
        ("a/node1/facts/fdb.txt", "node1"),
        ("a/node1/facts/ping-to-node2.txt", "node1"),
        ("node1-and-node2/node2.internal/fdb.txt", "node2"),
        ("dump/cilium-x7abc-2026/fdb.txt", "node2"),
        ("dump/node3/fdb.txt", None),
        ("dump/cilium-q9zzz/fdb.txt", None),
        ("dump/node11/fdb.txt", None),
        ("home/of/one/fdb.txt", "node1"),
        ("home/node3/fdb.txt", None),
        ("a-" * 300 + "node1", None),
    ],
)
def test_a_name_in_the_path_decides_before_the_folder(member, capture):
    pods = (Pod("cilium-x7abc", "kube-system", "node2", ()), Pod("cilium-q9zzz", "kube-system", "node3", ()))
    nodes = (Node("node2.internal"), Node("node3"))
    belonging = Belonging(["node1", "node2"], Cluster(nodes=nodes, pods=pods), {"home/": "node1"})

    assert belonging(member) == capture


LAYOUTS = {
    "rancher": {
        "worker-0-2026-11-30_18_00_00/networking/iptablessave": "*filter\n:INPUT DROP [7:900]\nCOMMIT\n",
        "worker-0-2026-11-30_18_00_00/networking/ipaddrshow": (
            "2: eth0: <BROADCAST,UP> mtu 1500 qdisc mq state UP\n"
            "    inet 192.168.56.12/24 scope global eth0\n"
        ),
        "worker-0-2026-11-30_18_00_00/rke2/kubectl/nodesdescribe": "Name:               worker-0\n",
        "worker-0-2026-11-30_18_00_00/systeminfo/sysctla": "net.ipv4.ip_forward = 1\n",
        "worker-0-2026-11-30_18_00_00/journald/rke2-agent": "Nov 30 18:00:00 worker-0 rke2[1]: started\n",
    },
    "sosreport": {
        "sosreport-worker-0-2026-11-30-abcdefg/sos_commands/networking/ip_-s_-d_link": (
            "2: eth0: <BROADCAST,UP> mtu 1500 qdisc mq state UP\n"
            "    RX:  bytes packets errors dropped  missed   mcast\n"
            "             9       1      0       4       0       0\n"
        ),
        "sosreport-worker-0-2026-11-30-abcdefg/proc/sys/net/ipv4/ip_forward": "1\n",
        "sosreport-worker-0-2026-11-30-abcdefg/sos_commands/firewall_tables/iptables_-t_filter_-nvL": (
            "Chain INPUT (policy DROP 7 packets, 900 bytes)\n"
            " pkts bytes target     prot opt in     out     source               destination\n"
        ),
    },
}


@pytest.mark.parametrize(("layout", "kinds"), [
    ("rancher", {"firewall", "devices", "settings"}),
    ("sosreport", {"firewall", "settings", "counters"}),
])  # fmt: skip
def test_collections_of_one_node_are_read(layout, kinds, tmp_path):
    """Rancher's logs collector (rancherlabs/support-tools) and sos: one archive a node, called after it."""
    with tarfile.open(tmp_path / "collected.tar.xz", "w:xz") as archive:
        for name, text in LAYOUTS[layout].items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    alone = read_cluster(None, [("worker-0", str(tmp_path / "collected.tar.xz"))], ["worker-0", "worker-1"])
    named = read_cluster(None, [("", str(tmp_path / "collected.tar.xz"))], ["worker-0", "worker-1"])

    assert {fact.kind for fact in alone.facts} >= kinds
    assert {fact.capture for fact in named.facts} == {"worker-0"}
    assert {fact.kind for fact in named.facts} >= kinds


def test_a_dump_of_the_cluster_names_what_is_saved_next_to_it(tmp_path):
    """``kubectl cluster-info dump --output-directory`` with the files of the nodes, in one archive."""
    nodes = {
        "kind": "NodeList",
        "items": [{"metadata": {"name": "node2"}, "spec": {"podCIDR": "10.42.1.0/24"}}],
    }
    with zipfile.ZipFile(tmp_path / "dump.zip", "w") as archive:
        archive.writestr("dump/nodes.json", json.dumps(nodes))
        archive.writestr(
            "dump/kube-system/coredns-1/logs.txt", "==== START logs for container coredns ====\n"
        )
        archive.writestr("dump/node2/fdb.txt", FDB)
    cluster = read_cluster(None, [("", str(tmp_path / "dump.zip"))], ["node1", "node2"])

    assert cluster.node_of("10.42.1.7") == "node2"
    assert [fact.capture for fact in cluster.facts] == ["node2"]
