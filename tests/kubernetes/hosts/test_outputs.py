"""What the tools of a host print is recognised, and read with its lines."""

import time
from pathlib import Path

import pytest

from vxlanalyze.kubernetes.facts import read_facts

OUTPUTS = Path(__file__).parent / "outputs"
KINDS = {
    "bridge-j-fdb.json": "bridge-fdb",
    "conntrack-L.txt": "connections",
    "ip-6-route.txt": "routes",
    "ip-d-link-bridge.txt": "devices",
    "ip-j-d-link.json": "devices",
    "ip-j-neigh.json": "neighbours",
    "ip-j-p-route.json": "routes",
    "ip6tables-L-v.txt": "firewall",
    "iptables-L-n-numbers.txt": "firewall",
    "iptables-L-vnx.txt": "firewall",
    "nft-host.txt": "firewall",
    "nft-ruleset.json": "firewall",
    "ss-ltn.txt": "listeners",
    "ss-tulnpm.txt": "listeners",
    "conntrack-S.txt": "counters",
    "ethtool-S.txt": "counters",
    "ip-d-link.txt": "devices",
    "ip-neigh.txt": "neighbours",
    "ip-route.txt": "routes",
    "ip-rule.txt": "rules",
    "ip-s-link.txt": "counters",
    "ip6tables-save.txt": "firewall",
    "iptables-save-c.txt": "firewall",
    "iptables-save.txt": "firewall",
    "netstat.txt": "counters",
    "nft-ruleset.txt": "firewall",
    "nstat-as.txt": "counters",
    "nstat.txt": "counters",
    "snmp.txt": "counters",
    "softnet_stat.txt": "counters",
    "proc-net-dev.txt": "counters",
    "proc-net-snmp6.txt": "counters",
    "ss-lun.txt": "listeners",
    "sysctl.txt": "settings",
    "tc.txt": "counters",
}


def rows_of(name: str):
    (fact,) = read_facts("node1", OUTPUTS / name)
    return fact.rows


@pytest.mark.parametrize("name", sorted(path.name for path in OUTPUTS.iterdir()))
def test_every_output_is_of_its_kind(name):
    (fact,) = read_facts("node1", OUTPUTS / name)

    assert fact.kind == KINDS[name]


@pytest.mark.parametrize(
    "name", ["iptables-save-c.txt", "iptables-L-vnx.txt", "nft-ruleset.txt", "ip-route.txt", "ip-d-link.txt"]
)
def test_lines_are_those_of_the_file(name):
    lines = (OUTPUTS / name).read_text().splitlines()

    for row in rows_of(name):
        assert lines[int(row["line"]) - 1].strip() == row["text"].strip()


def test_what_cilium_translates_is_a_connection(tmp_path):
    file = tmp_path / "cilium-nat.txt"
    file.write_text(
        "TCP OUT 10.0.0.7:38296 -> 10.0.1.21:8080 XLATE_SRC 172.18.0.2:61001 Created=84sec ago NeedsCT=1\n"
        "TCP IN 10.0.1.21:8080 -> 172.18.0.2:61001 XLATE_DST 10.0.0.7:38296 Created=84sec ago NeedsCT=1\n"
        "UDP OUT [fd00::7]:5353 -> [fd00:1::9]:53 XLATE_SRC [fd00::2]:6000 Created=2sec ago\n"
    )

    (fact,) = read_facts("node1", file)

    assert fact.kind == "connections"
    assert [(r["protocol"], r["src"], r["sport"], r["reply_dst"], r["reply_dport"]) for r in fact.rows] == [
        ("tcp", "10.0.0.7", "38296", "172.18.0.2", "61001"),
        ("udp", "fd00::7", "5353", "fd00::2", "6000"),
    ]
    assert (fact.rows[0]["reply_src"], fact.rows[0]["reply_sport"]) == ("10.0.1.21", "8080")


def test_a_tunnel_device_has_its_settings():
    (device,) = (row for row in rows_of("ip-d-link.txt") if row.get("type") == "vxlan")

    assert (device["name"], device["id"], device["dstport"], device["mtu"]) == ("vx0", "4096", "4789", "1450")
    assert (device["local"], device["remote"], device["up"]) == ("10.9.0.1", "10.9.0.2", "yes")


def test_a_rule_of_iptables_has_its_demands():
    (rule,) = (row for row in rows_of("iptables-save-c.txt") if row.get("dport") == "4789,8472")

    assert (rule["chain"], rule["protocol"], rule["source"]) == ("GUARD", "udp", "10.9.0.0/24")
    assert (rule["target"], rule["packets"]) == ("DROP", "7")


def test_the_same_rule_in_the_words_of_nftables():
    (rule,) = (row for row in rows_of("nft-ruleset.txt") if row.get("dport") == "4789,8472")

    assert (rule["chain"], rule["protocol"], rule["source"]) == ("GUARD", "udp", "10.9.0.0/24")
    assert (rule["target"], rule["packets"]) == ("DROP", "7")


MEANING = {"chain", "protocol", "source", "dport", "target", "in", "state"}


@pytest.mark.parametrize("name", ["iptables-L-vnx.txt", "iptables-L-n-numbers.txt"])
def test_a_list_of_rules_says_the_same_as_iptables_save(name):
    rules = [row for row in rows_of(name) if row["chain"] == "GUARD" and "policy" not in row]

    assert [(r["target"], r["protocol"], r.get("source"), r.get("dport")) for r in rules] == [
        ("DROP", "udp", "10.9.0.0/24", "4789,8472"),
        ("ACCEPT", "all", None, None),
        ("REJECT", "tcp", "!10.0.0.0/8", "1000:2000"),
    ]
    assert rules[1]["state"] == "RELATED,ESTABLISHED"
    assert all("other" not in rule for rule in rules)
    if "vnx" in name:
        assert rules[2]["in"] == "eth0"
        assert rules[1]["packets"] == "4"


def test_a_policy_and_a_jump_of_a_list_are_read():
    rows = rows_of("iptables-L-vnx.txt")

    assert next(r for r in rows if r["chain"] == "FORWARD")["policy"] == "DROP"
    assert next(r for r in rows if r.get("goto"))["mark"] == "0x1"


def test_an_accept_whose_interfaces_are_not_shown_is_not_believed(tmp_path):
    (tmp_path / "list").write_text(
        "Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination\n"
        "ACCEPT     all  --  anywhere             anywhere\n"
    )
    (fact,) = read_facts("node1", tmp_path)

    assert fact.rows[1]["other"] == "interfaces that are not shown"


def test_json_of_nft_says_the_same_as_its_text():
    def meanings(name):
        rows = [row for row in rows_of(name) if row["table"] == "host" and "policy" not in row]
        return [{k: ",".join(sorted(v.split(","))) for k, v in row.items() if k in MEANING} for row in rows]

    assert meanings("nft-ruleset.json") == meanings("nft-host.txt")


def test_json_of_iproute_says_the_same_as_its_text():
    by_text = {row["name"]: row for row in rows_of("ip-d-link-bridge.txt")}
    by_json = {row["name"]: row for row in rows_of("ip-j-d-link.json")}

    for name in ("eth0", "vx0", "br0"):
        for key in ("mtu", "mac", "up", "id", "dstport", "local", "dev", "master"):
            assert by_text[name].get(key) == by_json[name].get(key), (name, key)
    assert any(row["kind"] == "blackhole" for row in rows_of("ip-j-p-route.json"))
    assert any(row["kind"] == "unreachable" for row in rows_of("ip-6-route.txt"))


def test_sockets_have_their_queues_and_drops():
    rows = {row["port"]: row for row in rows_of("ss-tulnpm.txt")}

    assert (rows["53"]["received"], rows["53"]["dropped"], rows["53"]["protocol"]) == ("3840", "37", "udp")
    assert (rows["8080"]["received"], rows["8080"]["sent"], rows["8080"]["state"]) == ("2", "1", "LISTEN")


def test_counters_have_nstat_s_names_wherever_they_stand():
    by_nstat = {row["name"]: row["value"] for row in rows_of("nstat-as.txt")}
    by_kernel = {row["name"]: row["value"] for row in rows_of("snmp.txt")}

    assert by_nstat["IpInReceives"] == by_kernel["IpInReceives"]
    assert {row["name"] for row in rows_of("softnet_stat.txt")} == {"softnet dropped", "softnet squeezed"}


def test_several_outputs_under_their_commands_are_each_read(tmp_path):
    text = "".join(
        f"root@node1:~# {command}\n{(OUTPUTS / name).read_text()}"
        for command, name in (("ip -d link", "ip-d-link.txt"), ("iptables-save -c", "iptables-save-c.txt"))
    )
    (tmp_path / "all.txt").write_text(
        text + "root@node1:~# bridge fdb show\n33:33:00:00:00:01 dev eth0 self permanent\n"
    )

    assert {fact.kind for fact in read_facts("node1", tmp_path)} >= {"devices", "firewall", "bridge-fdb"}


@pytest.mark.parametrize(
    ("text", "kind", "row"),
    [
        ("FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_MTU=1450\n", "overlay", {"name": "mtu", "value": "1450"}),
        (
            '{"Network": "10.42.0.0/16", "Backend": {"Type": "vxlan", "Port": 4789}}',
            "overlay",
            {"name": "port", "value": "4789"},
        ),
        (
            '{"type":"drop","reason":"Policy denied","summary":{"source":"10.0.0.1"}}\n',
            "drops",
            {"value": "Policy denied", "src": "10.0.0.1"},
        ),
        (
            "xx drop (Policy denied) flow 0x0 to endpoint 77, ifindex 5, file bpf_lxc.c:1965, , "
            "identity 1->2: "
            "10.0.0.1:4242 -> 10.0.1.2:80 tcp SYN\n",
            "drops",
            {"value": "Policy denied", "src": "10.0.0.1", "dst": "10.0.1.2"},
        ),
        (
            '{"flow":{"verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","IP":{"source":"10.0.0.1",'
            '"destination":"10.0.1.2"}},"node_name":"node2"}\n',
            "drops",
            {"value": "POLICY_DENIED", "src": "10.0.0.1", "dst": "10.0.1.2"},
        ),
        (
            "SKB                CPU PROCESS          NETNS      MARK/x        IFACE       PROTO  MTU   LEN   "
            "TUPLE FUNC\n"
            "0xffff8b7f0331f800 0   <empty>:0        4026531840 0             eth0:2      0x0800 1500  60    "
            "10.0.0.1:4242->10.0.1.2:80(tcp) kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP)\n",
            "drops",
            {"value": "NETFILTER_DROP", "src": "10.0.0.1", "dst": "10.0.1.2", "at": "kfree_skb_reason"},
        ),
        (
            "2026-11-30T10:00:00.000 0xffff8b7f0331f800 0 <empty>:0 4026531840 0 eth0:2 0x0800 1500 60 "
            "10.0.0.1:4242->10.0.1.2:80(tcp:SYN) sk_skb_reason_drop(SKB_DROP_REASON_NO_SOCKET) tcp_v4_rcv\n",
            "drops",
            {"value": "NO_SOCKET", "sport": "4242", "dport": "80", "protocol": "tcp", "at": "tcp_v4_rcv"},
        ),
        (
            '{"skb":"0xff","func":"nf_hook_slow","tuple":{"saddr":"10.0.0.1"}}\n'
            '{"skb":"0xff","func":"kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP)","tuple":{"saddr":'
            '"10.0.0.1","daddr":"10.0.1.2","sport":4242,"dport":80,"proto":6}}\n',
            "drops",
            {"value": "NETFILTER_DROP", "dport": "80", "protocol": "tcp", "at": "nf_hook_slow", "line": "2"},
        ),
        (
            '{"startup":{"retis_version":"1.6.0","clock_monotonic_offset":{"sec":1796000000,"nsec":500000000}}}\n'
            '{"common":{"timestamp":2000000000},"kernel":{"symbol":"skb:kfree_skb"},"skb-drop":{"subsys":"ovs",'
            '"drop_reason":"LAST_ACTION"},"packet":{"len":46,"capture_len":46,"data":"'
            'AgAAAAACAgAAAAABCABFAAAgAE0AAEARAAAKAAABCgABAhCSADUADAAA"}}\n',
            "drops",
            {
                "value": "ovs/LAST_ACTION",
                "src": "10.0.0.1",
                "dst": "10.0.1.2",
                "sport": "4242",
                "dport": "53",
                "protocol": "udp",
                "ip_id": "77",
                "time": "2026-11-30T00:53:22.500000Z",
            },
        ),
        (
            "2026-11-30 10:00:00.123456 (1) [ping] 100854 [tp] skb:kfree_skb #304a drop (NETFILTER_DROP)\n"
            "  if 2 (eth0) 10.0.0.1.4242 > 10.0.1.2.80 ttl 64 proto TCP (6) flags [S]\n",
            "drops",
            {"value": "NETFILTER_DROP", "src": "10.0.0.1", "time": "2026-11-30T10:00:00.123456Z"},
        ),
        (
            '{"verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.1.2"}}\n'
            '{"verdict":"DROPPED","drop_reason":133,"IP":{"source":"10.0.0.1","destination":"10.0.1.2"},'
            '"l4":{"UDP":{"source_port":5,"destination_port":53}}}\n',
            "drops",
            {"value": "reason 133", "dport": "53", "protocol": "udp", "line": "2"},
        ),
        (
            '{"kernel":{"symbol":"ip_rcv_finish"},"skb-tracking":{"orig_head":7,"timestamp":9}}\n'
            '{"kernel":{"symbol":"skb:kfree_skb"},"skb-tracking":{"orig_head":7,"timestamp":9},"skb-drop":'
            '{"drop_reason":"IP_RPFILTER"},"skb":{"ip":{"saddr":"10.0.0.1","daddr":"10.0.1.2","v4":{"id":77}},'
            '"udp":{"sport":4242,"dport":53}}}\n',
            "drops",
            {"value": "IP_RPFILTER", "ip_id": "77", "dport": "53", "protocol": "udp", "at": "ip_rcv_finish"},
        ),
        (
            "3316376220653 (1) [ping] 100854/100854 [k] ip_rcv\n    #3042ff (skb 7) n 0\n"
            "3316376220660 (1) [ping] 100854/100854 [tp] skb:kfree_skb drop (reason IP_RPFILTER)\n"
            "    #3042ff (skb 7) n 1\n"
            "    10.0.0.1.4242 > 10.0.1.2.80 tos 0x0 ttl 64 id 77 off 0 [DF] len 60 proto TCP (6)\n",
            "drops",
            {"value": "IP_RPFILTER", "ip_id": "77", "dport": "80", "protocol": "tcp", "at": "ip_rcv"},
        ),
        (
            "xx drop (Policy denied) flow 0x0 to endpoint 77, ifindex 5, file bpf_lxc.c:1965, , "
            "identity 1->2: [fd00::1]:4242 -> [fd00::2]:80 udp\n",
            "drops",
            {
                "src": "fd00::1",
                "dst": "fd00::2",
                "dport": "80",
                "protocol": "udp",
                "source": "bpf_lxc.c:1965",
            },
        ),
        (
            "3316376220653 (1) [ping] 100854 [k] kfree_skb #304a drop (NETFILTER_DROP)\n"
            "  if 2 (eth0) 10.0.0.1.4242 > 10.0.1.2.80 ttl 64 proto TCP (6) flags [S]\n",
            "drops",
            {"value": "NETFILTER_DROP", "src": "10.0.0.1", "dst": "10.0.1.2"},
        ),
        (
            "[ 1234.567890] IPv4: martian source 10.0.1.2 from 10.0.0.1, on dev flannel.1\n"
            "[ 1235.567890] nf_conntrack: nf_conntrack: table full, dropping packet\n",
            "drops",
            {"src": "10.0.0.1", "dst": "10.0.1.2", "at": "flannel.1"},
        ),
        (
            "[34634.459836] nf_conntrack: nf_conntrack: table full in netns 4026532315, dropping packet\n",
            "drops",
            {"value": "nf_conntrack: table full"},
        ),
        (
            "apiVersion: projectcalico.org/v3\nitems:\n- apiVersion: projectcalico.org/v3\n  kind: IPPool\n"
            "  metadata: {name: default}\n  spec: {cidr: 10.42.0.0/16, vxlanMode: CrossSubnet}\n"
            "kind: IPPoolList\n",
            "overlay",
            {"name": "mode", "value": "vxlanMode CrossSubnet"},
        ),
        (
            "apiVersion: crd.projectcalico.org/v1\nkind: FelixConfiguration\nspec:\n  vxlanPort: 4790\n",
            "overlay",
            {"name": "port", "value": "4790", "line": "4"},
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\ndata:\n  net-conf.json: |\n"
            '    {"Network": "10.42.0.0/16", "Backend": {"Type": "vxlan", "VNI": 7}}\n',
            "overlay",
            {"name": "vni", "value": "7"},
        ),
        (
            "11111111-2222-3333-4444-555555555555\n    Bridge br-int\n        Port g\n"
            '            options: {key=flow, remote_ip="10.9.0.2"}\n',
            "overlay",
            {"name": "remote", "value": "10.9.0.2"},
        ),
    ],
)
def test_what_overlays_keep_is_read(text, kind, row, tmp_path):
    (tmp_path / "saved").write_text(text)
    (fact,) = read_facts("node1", tmp_path)

    assert fact.kind == kind
    assert any(row.items() <= found.items() for found in fact.rows)


@pytest.mark.parametrize("name", sorted(path.name for path in OUTPUTS.iterdir()))
def test_cut_and_spoiled_outputs_never_raise(name, tmp_path):
    data = (OUTPUTS / name).read_bytes()
    for cut in range(0, len(data), max(1, len(data) // 40)):
        (tmp_path / "cut").write_bytes(data[:cut] + b"\xff\x01 {[!" + data[cut : cut + 200])
        read_facts("node1", tmp_path)


@pytest.mark.parametrize(
    "line", ["-A INPUT " + "! " * 4000, "x" * 8000, "1.2.3.4 dev " + "a " * 4000, "[" * 8000]
)
def test_long_lines_take_no_time(line, tmp_path):
    head = "*filter\n:INPUT ACCEPT [0:0]\n"
    (tmp_path / "long").write_text(head + f"{line}\n" * 50)
    begin = time.perf_counter()
    read_facts("node1", tmp_path)

    assert time.perf_counter() - begin < 2


TRACKING = """\
entries  found new invalid ignore delete insert insert_failed drop early_drop icmp_error
00000384  00000000 00000000 00000001 00000000 00000000 00000000 00000002 0000000a 00000000 00000000
00000384  00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000006 00000000 00000000
"""


def test_the_kernel_s_own_files_count_as_the_programs_do(tmp_path):
    (tmp_path / "nf_conntrack").write_text(TRACKING)
    device = "eth0: 2150 15 0 7 0 0 0 0 42 1 0 3 0 0 0 0"
    (tmp_path / "dev").write_text(f"Inter-|   Receive   |  Transmit\n face |bytes|bytes\n  {device}\n")
    found = {row["name"]: row["value"] for fact in read_facts("node1", tmp_path) for row in fact.rows}

    assert (found["conntrack drop"], found["conntrack insert_failed"]) == ("16", "2")
    assert (found["link eth0 rx_dropped"], found["link eth0 tx_dropped"]) == ("7", "3")


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("proc-sys-net/ipv4/conf/all/rp_filter", "1\n", "net.ipv4.conf.all.rp_filter"),
        ("sos/proc/sys/net/ipv4/ip_forward", "0\n", "net.ipv4.ip_forward"),
        ("proc-sys-net/ipv4/route/flush", "", None),
        ("proc-sys-net/ipv4/many", "1\n2\n", None),
    ],
)
def test_copies_of_settings_are_read_by_their_path(tmp_path, path, text, name):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text)

    assert [row["name"] for fact in read_facts("node1", tmp_path) for row in fact.rows] == (
        [name] if name else []
    )


def test_json_among_the_outputs_of_commands_has_its_own_lines(tmp_path):
    links = (OUTPUTS / "ip-j-d-link.json").read_text()
    routes = (OUTPUTS / "ip-route.txt").read_text()
    (tmp_path / "all.txt").write_text(f"/usr/sbin/ip -d -j link\n\n{links}\n/usr/sbin/ip route\n\n{routes}")
    kinds = {fact.kind: fact for fact in read_facts("node1", tmp_path)}

    assert set(kinds) == {"devices", "routes"}
    assert int(kinds["devices"].rows[0]["line"]) == 3
