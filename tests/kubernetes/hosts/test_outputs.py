"""What the tools of a host print is recognised, and read with its lines."""

import time
from pathlib import Path

import pytest

from vxlanalyze.kubernetes.facts import read_facts

OUTPUTS = Path(__file__).parent / "outputs"
KINDS = {
    "bridge-j-fdb.json": "bridge-fdb",
    "conntrack-L.txt": "connections",
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


@pytest.mark.parametrize("name", ["iptables-save-c.txt", "nft-ruleset.txt", "ip-route.txt", "ip-d-link.txt"])
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
