"""What a node's own tables say stands in the finding, with file and line; what contradicts does not."""

import pytest

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, Quantity, Severity
from vxlanalyze.diagnostics import facts_check
from vxlanalyze.kubernetes.facts import read_facts
from vxlanalyze.kubernetes.gather import with_facts
from vxlanalyze.kubernetes.model import Cluster

FLOW = Flow()
RULES = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n"
DEVICE = (
    "1: eth0: <BROADCAST,UP> mtu 1500 qdisc mq state UP\n"
    "    link/ether 52:54:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n"
    "2: vx0: <BROADCAST,UP> mtu {mtu} qdisc noqueue state UNKNOWN\n"
    "    link/ether 0e:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff\n"
    "    vxlan id {vni} local 172.26.50.201 dev eth0 srcport 0 0 dstport {port} ttl auto\n"
)


@pytest.fixture
def after(tmp_path):
    """The finding, after a node's files were held against it."""

    def held(code: str, files: dict[str, str], node: str = "node2", **evidence: int) -> Finding:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        cluster = with_facts(Cluster(), read_facts(node, tmp_path))
        pair = comparison([Traffic(packets=20)], cluster=cluster)
        figures = {name: Quantity(value, "packets") for name, value in evidence.items()}
        finding = Finding(
            code, Severity.CRITICAL, "So", "E.", "R.", direction="node1>node2", evidence=figures
        )
        (result,) = facts_check.with_evidence([finding], pair)
        return result

    return held


def drop(port: int = 8472, source: str = "172.26.50.0/24") -> dict[str, str]:
    return {"rules.txt": RULES.format(rule=f"-A INPUT -s {source} -p udp -m udp --dport {port} -j DROP")}


def test_a_rule_that_drops_the_tunnel_is_the_cause(after):
    found = after("not-answered", drop())

    assert found.summary == "So; the cause stands in rules.txt, line 5"
    assert "-A INPUT -s 172.26.50.0/24 -p udp -m udp --dport 8472 -j DROP" in found.explanation
    assert found.remedy.splitlines()[1:] == [
        "node2# iptables -t filter -I INPUT -s 172.26.50.200 -p udp --dport 8472 -j ACCEPT",
        "To undo it:",
        "node2# iptables -t filter -D INPUT -s 172.26.50.200 -p udp --dport 8472 -j ACCEPT",
    ]
    assert found.evidence["fact_1"].value == "rules.txt, line 5"


@pytest.mark.parametrize("rules", [drop(port=4789), drop(source="10.0.0.0/8")])
def test_a_rule_for_something_else_is_not(after, rules):
    found = after("not-answered", rules)

    assert (found.summary, found.explanation, found.remedy) == ("So", "E.", "R.")


def test_the_rule_of_the_other_node_says_nothing(after):
    assert after("not-answered", drop(), node="node1").summary == "So"


def test_a_rule_behind_the_capture_does_not_explain_a_blocked_path(after):
    found = after("path-blocked", drop())

    assert found.summary == "So"
    assert "it is not what loses them now" in found.explanation


def test_a_rule_that_drops_what_comes_out_of_the_tunnel(after):
    rule = RULES.format(rule="-A FORWARD -m mark --mark 0x1 -j ACCEPT\n[20:900] -A FORWARD -j DROP")
    found = after("endpoint-silent", {"rules.txt": rule})

    assert found.summary == "So"  # the mark may have accepted it
    assert "may drop what comes out of the tunnel" in found.explanation
    assert "counted 20 packets" in found.explanation


@pytest.mark.parametrize(("port", "vni", "what"), [(4789, FLOW.vni, "dstport 4789"), (8472, 77, "id 77")])
def test_a_device_that_does_not_take_the_packets_is_the_cause(after, port, vni, what):
    found = after("not-answered", {"link.txt": DEVICE.format(mtu=1450, vni=vni, port=port)})

    assert what in found.explanation
    assert found.summary.endswith("the cause stands in link.txt, line 5")


def test_a_device_that_fits_is_not(after):
    found = after("not-answered", {"link.txt": DEVICE.format(mtu=1450, vni=FLOW.vni, port=8472)})

    assert found.summary == "So"


def test_an_mtu_without_room_for_the_headers_is_noted(after):
    found = after("mtu-blackhole", {"link.txt": DEVICE.format(mtu=1500, vni=1, port=8472)})

    assert "0 bytes for 50 of headers, which leaves too little" in found.explanation


def counters(before: int, after_: int) -> dict[str, str]:
    line = "#kernel\nTcpExtIPReversePathFilter {:>12} 0.0\n"
    return {"before/nstat.txt": line.format(before), "after/nstat.txt": line.format(after_)}


def test_a_counter_that_rose_by_what_is_missing_is_the_cause(after):
    found = after("not-answered", counters(7, 29), unanswered_requests=22)

    assert (
        "TcpExtIPReversePathFilter of node2 rose by 22, and 22 packets are missing here" in found.explanation
    )
    assert found.summary.endswith("the cause stands in nstat.txt, line 2")
    assert found.remedy == "R."


@pytest.mark.parametrize("grown", [3, 500])
def test_a_counter_that_rose_by_something_else_is_a_note(after, grown):
    found = after("not-answered", counters(7, 7 + grown), unanswered_requests=22)

    assert found.summary == "So"
    assert f"rose by {grown}" in found.explanation


def test_a_full_table_of_connections_is_the_cause(after):
    text = "net.netfilter.nf_conntrack_count = 65530\nnet.netfilter.nf_conntrack_max = 65536\n"
    found = after("new-flows-blocked", {"sysctl.txt": text})

    assert "65,530 entries of 65,536" in found.explanation
    assert "node2# sysctl -w net.netfilter.nf_conntrack_max=131072" in found.remedy


def test_a_strict_reverse_path_filter_is_noted(after):
    found = after("not-answered", {"sysctl.txt": "net.ipv4.conf.all.rp_filter = 1\n"})

    assert "is strict" in found.explanation
    assert found.summary == "So"
