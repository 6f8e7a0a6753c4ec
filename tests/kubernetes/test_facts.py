"""Saved tables are told by what they say and taken apart."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.facts import read_facts

# The tables of the incident that this program was begun for, as they were pasted then.
SEED = (Path(__file__).parent / "seed.txt").read_text()


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes, name: str = "saved"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_facts("node1", tmp_path)

    return read_text


def rows(facts, kind):
    return [row for fact in facts if fact.kind == kind for row in fact.rows]


def test_the_seed_s_own_tables_are_all_understood(read):
    facts = read(SEED)

    assert [f.kind for f in facts] == [
        "kubectl-services",
        "kubectl-pods",
        "cilium-service-list",
        "cilium-tunnel-list",
    ]
    assert {f.capture for f in facts} == {"node1"}


def test_the_seed_s_service_has_its_namespace_from_the_command(read):
    assert rows(read(SEED), "kubectl-services") == [
        {
            "name": "coredns",
            "namespace": "kube-system",
            "type": "ClusterIP",
            "address": "10.233.0.3",
            "ports": "53/udp,53/tcp,9153/tcp",
        }
    ]


def test_the_seed_s_pods_have_addresses_and_nodes(read):
    pods = rows(read(SEED), "kubectl-pods")

    assert [(p["namespace"], p["address"], p["node"]) for p in pods] == [
        ("kube-system", "10.233.64.125", "node1"),
        ("kube-system", "10.233.65.250", "node2"),
    ]


def test_the_seed_s_load_balancer_has_two_backends_behind_one_frontend(read):
    listed = rows(read(SEED), "cilium-service-list")

    assert [(r["id"], r["frontend"], r["backend"]) for r in listed] == [
        ("2", "10.233.0.3:53", "10.233.64.125:53"),
        ("2", "10.233.0.3:53", "10.233.65.250:53"),
    ]


def test_the_seed_s_tunnel_map_sends_a_network_to_a_node(read):
    assert rows(read(SEED), "cilium-tunnel-list") == [{"prefix": "10.233.65.0", "endpoint": "172.26.50.201"}]


def test_the_newer_cilium_prints_protocols_and_states(read):
    listed = rows(
        read(
            "root@kind-control-plane:/home/cilium# cilium-dbg service list\n"
            "ID   Frontend                Service Type   Backend\n"
            "1    10.96.62.28:80/TCP      ClusterIP      1 => 10.244.1.149:4245/TCP (active)\n"
            "3    10.96.0.10:53/UDP       ClusterIP      1 => 10.244.1.69:53/UDP (active)\n"
            "                                            2 => 10.244.1.109:53/UDP (quarantined)\n"
            "4    [fd00::a]:53/UDP        ClusterIP      1 => [fd00:1::69]:53/UDP (active)\n"
            "5    10.96.1.1:80/TCP/i      NodePort\n"
        ),
        "cilium-service-list",
    )

    assert [(r["frontend"], r["protocol"], r["backend"], r["state"]) for r in listed] == [
        ("10.96.62.28:80", "tcp", "10.244.1.149:4245", "active"),
        ("10.96.0.10:53", "udp", "10.244.1.69:53", "active"),
        ("10.96.0.10:53", "udp", "10.244.1.109:53", "quarantined"),
        ("[fd00::a]:53", "udp", "[fd00:1::69]:53", "active"),
        ("10.96.1.1:80", "tcp", "", ""),
    ]


@pytest.mark.parametrize(
    ("printed", "prefix"),
    [
        ("10.233.65.0:0", "10.233.65.0"),
        ("10.233.65.0/24:0", "10.233.65.0/24"),
        ("10.233.65.0/24", "10.233.65.0/24"),
        ("fd00:10:2:::0", "fd00:10:2::"),
        ("[fd00:10:2::]:0", "fd00:10:2::"),
        ("f00d::a0f:0:0:0:0", "f00d::a0f:0:0:0"),
    ],
)
def test_a_tunnel_prefix_is_read_however_it_is_printed(read, printed, prefix):
    facts = read(f"TUNNEL    VALUE\n{printed}   172.26.50.201:0\n")

    assert rows(facts, "cilium-tunnel-list") == [{"prefix": prefix, "endpoint": "172.26.50.201"}]


def test_the_ipcache_of_newer_cilium_is_a_tunnel_map_too(read):
    facts = read(
        "IP PREFIX/ADDRESS   IDENTITY\n"
        "10.244.1.0/24       identity=2 encryptkey=0 tunnelendpoint=172.18.0.3 flags=hastunnel\n"
        "10.244.0.7/32       identity=104 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>\n"
    )

    assert rows(facts, "cilium-tunnel-list") == [{"prefix": "10.244.1.0/24", "endpoint": "172.18.0.3"}]


def test_all_namespaces_and_blanks_within_a_cell_are_understood(read):
    pods = rows(
        read(
            "NAMESPACE     NAME      READY   STATUS    RESTARTS     AGE   IP           NODE\n"
            "kube-system   coredns   1/1     Running   2 (3h ago)   9d    10.244.0.3   node-a\n"
            "default       pod/web   1/1     Running   0            9d    <none>       node-b\n"
        ),
        "kubectl-pods",
    )

    assert [(p["namespace"], p["name"], p["address"], p["node"]) for p in pods] == [
        ("kube-system", "coredns", "10.244.0.3", "node-a"),
        ("default", "web", "", "node-b"),
    ]


def test_a_node_port_is_not_taken_for_the_service_s_port(read):
    facts = read(
        "NAME  TYPE      CLUSTER-IP   EXTERNAL-IP  PORT(S)        AGE\n"
        "web   NodePort  10.96.0.9    <none>       80:30080/TCP   9d\n"
    )

    assert rows(facts, "kubectl-services")[0]["ports"] == "80/tcp"


def test_the_nodes_table_tells_internal_addresses(read):
    facts = read(
        "NAME    STATUS   ROLES           AGE   VERSION   INTERNAL-IP     EXTERNAL-IP   OS-IMAGE\n"
        "node1   Ready    control-plane   9d    v1.30.1   172.26.50.200   <none>        Ubuntu 22.04.4 LTS\n"
    )

    assert rows(facts, "kubectl-nodes")[0]["address"] == "172.26.50.200"


def test_forwarding_entries_keep_device_destination_and_flags(read):
    facts = read(
        "[root@node1 ~]# bridge fdb show dev flannel.1\n"
        "5e:89:0a:0b:0c:0d dst 172.26.50.201 self permanent\n"
        "[root@node1 ~]# bridge fdb show\n"
        "33:33:00:00:00:01 dev eth0 self permanent\n"
        "02:68:60:19:6b:a4 dev vxlan.calico dst 10.40.252.12 link-netnsid 0 self extern_learn\n"
    )

    found = [{k: v for k, v in row.items() if k not in ("line", "text")} for row in rows(facts, "bridge-fdb")]
    assert sorted(found, key=lambda row: row["mac"], reverse=True) == [
        {"mac": "5e:89:0a:0b:0c:0d", "dev": "flannel.1", "dst": "172.26.50.201", "flags": "self permanent"},
        {"mac": "33:33:00:00:00:01", "dev": "eth0", "flags": "self permanent"},
        {
            "mac": "02:68:60:19:6b:a4",
            "dev": "vxlan.calico",
            "dst": "10.40.252.12",
            "link-netnsid": "0",
            "flags": "self extern_learn",
        },
    ]


@pytest.mark.parametrize("heading", ["Features for eth0:\n", "# ethtool -k eth0\n"])
def test_offload_features_keep_device_state_and_note(read, heading):
    facts = read(
        heading + "rx-checksumming: on\ntx-checksumming: on\n\ttx-checksum-ipv4: off [fixed]\n"
        "tx-udp_tnl-segmentation: off [requested on]\n"
    )

    assert [tuple(r.values()) for r in rows(facts, "ethtool-k")] == [
        ("eth0", "rx-checksumming", "on", ""),
        ("eth0", "tx-checksumming", "on", ""),
        ("eth0", "tx-checksum-ipv4", "off", "fixed"),
        ("eth0", "tx-udp_tnl-segmentation", "off", "requested on"),
    ]


def test_tcpdump_s_closing_lines_are_counts(read):
    facts = read(
        "tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n"
        "^C1 packet captured\n46 packets received by filter\n12 packets dropped by kernel\n"
    )

    assert [f.kind for f in facts] == ["tcpdump-summary"]
    assert facts[0].rows == ({"captured": "1", "received_by_filter": "46", "dropped_by_kernel": "12"},)


def test_dumpcap_s_closing_line_is_a_count_too(read):
    facts = read(
        "Packets received/dropped on interface 'eth0': 46/3 "
        "(pcap:3/dumpcap:0/flushed:0/ps_ifdrop:0) (93.9%)\n"
    )

    assert rows(facts, "tcpdump-summary") == [
        {"interface": "eth0", "captured": "46", "dropped_by_kernel": "3"}
    ]


def test_what_is_not_understood_is_named_with_its_control_characters_escaped(read):
    facts = read("\x1b[31mnf_conntrack: table full\x1b[0m\nand more\n", "dmesg.txt")

    assert [f.kind for f in facts] == ["unknown"]
    assert facts[0].path.endswith("dmesg.txt")
    assert facts[0].rows[0]["why"].startswith('2 lines are not understood, the first is "\\x1b[31mnf_conn')


def test_an_unknown_table_beside_known_ones_is_named_too(read):
    facts = read(
        "node1 $ uptime\n 10:00:01 up 3 days, 1 user\n"
        "node1 $ cilium bpf tunnel list\nTUNNEL VALUE\n10.0.1.0:0 1.2.3.4:0\n"
    )

    assert [f.kind for f in facts] == ["cilium-tunnel-list", "unknown"]


def test_bytes_that_are_no_text_are_named(read):
    assert read(b"\x00\x01\x02" * 100)[0].rows == ({"why": "it is binary"},)


def test_a_capture_beside_the_tables_is_passed_over(read):
    assert read(b"\xd4\xc3\xb2\xa1" + bytes(20), "node1.pcap") == ()


def test_files_in_folders_are_read_in_the_order_of_their_paths(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one").write_text("1 packets captured\n")
    (tmp_path / "a").write_text("2 packets captured\n")

    assert [f.rows[0]["captured"] for f in read_facts("x", tmp_path)] == ["2", "1"]


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(UsageError, match="absent: no such directory"):
        read_facts("node1", tmp_path / "absent")


@given(st.text(max_size=300) | st.lists(st.sampled_from(SEED.splitlines()), max_size=12).map("\n".join))
def test_any_text_is_read_without_an_error(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("facts")
    (folder / "saved").write_text(text, encoding="utf-8", errors="surrogatepass")

    read_facts("node1", folder)


def test_a_line_that_no_table_has_is_left_at_once(tmp_path):
    """Of 60,000 blanks, patterns took 42 s."""
    (tmp_path / "spaces.txt").write_text(" " * 60_000 + "x\n")
    begin = time.process_time()
    facts = read_facts("node1", tmp_path)

    assert [fact.kind for fact in facts] == ["unknown"]
    assert time.process_time() - begin < 1


RULE = "-A INPUT -s 10.0.0.1/32 -p udp -m udp --dport 8472 -j DROP\n"


@pytest.mark.parametrize(
    "text",
    [
        "*filter\n:INPUT ACCEPT [0:0]\n" + RULE * 700_000,
        "root@node1:~# ip link\n" * 2_000_000,
        "table ip x {\n\tchain y {\n"
        + "\t\tip saddr 10.0.0.1 udp dport 8472 counter packets 0 bytes 0 drop\n" * 600_000,
        '{"type":"drop","reason":"a","summary":{"source":"1.1.1.1","destination":"2.2.2.2"}}\n' * 500_000,
        "apiVersion: v1\nkind: List\nitems:\n" + "- kind: Pod\n" * 3_000_000,
    ],
    ids=["rules", "prompts", "nft", "events", "YAML"],
)
def test_a_file_of_tens_of_megabytes_is_read_up_to_a_number_of_lines(tmp_path, text):
    (tmp_path / "huge.txt").write_text(text)
    begin = time.process_time()
    facts = read_facts("node1", tmp_path)

    assert time.process_time() - begin < 8  # 5 s on an idle machine
    assert any("are not read" in row["why"] for fact in facts if fact.kind == "unknown" for row in fact.rows)
