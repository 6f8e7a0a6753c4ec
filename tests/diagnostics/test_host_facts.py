"""What a node's own tables say stands in the finding, with file and line; what contradicts does not."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.simulate import START_NS, Flow, Traffic, comparison
from vxlanalyze.analysis import exhibits
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

    assert found.summary == "So; the cause stands in node2/rules.txt, line 5"
    assert "-A INPUT -s 172.26.50.0/24 -p udp -m udp --dport 8472 -j DROP" in found.explanation
    assert found.remedy.splitlines()[1:] == [
        "node2# iptables -t filter -I INPUT -s 172.26.50.200 -p udp --dport 8472 -j ACCEPT",
        "To undo it:",
        "node2# iptables -t filter -D INPUT -s 172.26.50.200 -p udp --dport 8472 -j ACCEPT",
    ]
    assert found.evidence["fact_1"].value == "node2/rules.txt, line 5"


@pytest.mark.parametrize("rules", [drop(port=4789), drop(source="10.0.0.0/8")])
def test_a_rule_for_something_else_is_not(after, rules):
    found = after("not-answered", rules)

    assert (found.summary, found.remedy) == ("So", "R.")
    assert "The saved rules of node2 drop none of these packets (node2/rules.txt)." in found.explanation


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
    assert found.summary.endswith("the cause stands in node2/link.txt, line 5")


def test_a_device_that_fits_is_not(after):
    found = after("not-answered", {"link.txt": DEVICE.format(mtu=1450, vni=FLOW.vni, port=8472)})

    assert found.summary == "So"


def test_an_mtu_without_room_for_the_headers_is_noted(after):
    found = after("mtu-blackhole", {"link.txt": DEVICE.format(mtu=1500, vni=1, port=8472)})

    assert "50 bytes longer below, where eth0 has MTU 1500: full packets do not fit" in found.explanation


def counters(before: int, after_: int) -> dict[str, str]:
    line = "#kernel\nTcpExtIPReversePathFilter {:>12} 0.0\n"
    return {"before/nstat.txt": line.format(before), "after/nstat.txt": line.format(after_)}


def test_a_counter_that_rose_by_what_is_missing_is_the_cause(after):
    found = after("not-answered", counters(7, 29), unanswered_requests=22)

    assert (
        "TcpExtIPReversePathFilter of node2 rose by 22, and 22 packets are missing here" in found.explanation
    )
    assert found.summary.endswith("the cause stands in node2/after/nstat.txt, line 2")
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


ROUTES = (
    "default via 172.26.0.1 dev eth0\n{route}\n"
    "local 172.26.50.201 dev eth0 table local proto kernel scope host\n"
)
VX0 = DEVICE.format(mtu=1450, vni=FLOW.vni, port=8472)
STRICT = {"sysctl.txt": "net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.vx0.rp_filter = 0\n"}


def routes(route: str, **more: str) -> dict[str, str]:
    return {"route.txt": ROUTES.format(route=route), "link.txt": VX0, **more}


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_a_route_that_discards_the_answers_is_the_cause(after, kind):
    found = after("source-unanswered", routes(f"{kind} 10.233.64.0/24"))

    assert found.summary == "So; the cause stands in node2/route.txt, line 2"
    assert f"node2# ip route del {kind} 10.233.64.0/24" in found.remedy


def test_a_strict_filter_and_a_route_by_another_device_are_the_cause_together(after):
    found = after("source-unanswered", routes("10.233.64.0/24 dev eth0 scope link") | STRICT)

    assert found.summary.endswith("node2/route.txt, line 2 and node2/sysctl.txt, line 1")
    assert "node2# sysctl -w net.ipv4.conf.all.rp_filter=2" in found.remedy
    assert "node2# sysctl -w net.ipv4.conf.all.rp_filter=1" in found.remedy


def test_a_strict_filter_accepts_what_is_reached_by_the_tunnel(after):
    files = routes("10.233.64.0/24 via 10.233.64.0 dev vx0 onlink") | STRICT
    found = after("source-unanswered", files)

    assert found.summary == "So"
    assert "accepts these requests: their sources are reached by the tunnel" in found.explanation


def test_a_policy_rule_that_may_choose_another_table_leaves_a_note(after):
    rules = "0:\tfrom all lookup local\n100:\tfrom all lookup 77\n32766:\tfrom all lookup main\n"
    found = after("source-unanswered", routes("blackhole 10.233.64.0/24", **{"rule.txt": rules}))

    assert found.summary == "So"
    assert "discards answers to 10.233.64.10" in found.explanation


def test_the_routes_of_an_agent_that_tunnels_by_its_own_map_are_no_cause(after):
    link = VX0.replace("vxlan id", "vxlan external id")
    files = {"route.txt": ROUTES.format(route="10.233.64.0/24 dev cilium_host"), "link.txt": link}

    assert after("source-unanswered", files).summary == "So"


NEIGHBOUR = "10.233.65.0 dev vx0 lladdr {mac} PERMANENT\n"


@pytest.fixture
def of_both(tmp_path):
    """The finding, after the files of both nodes were held against it."""

    def held(code: str, near: dict[str, str], far: dict[str, str]) -> Finding:
        facts = []
        for node, files in (("node1", near), ("node2", far)):
            (tmp_path / node).mkdir()
            for name, text in files.items():
                (tmp_path / node / name).write_text(text)
            facts += read_facts(node, tmp_path / node)
        pair = comparison([Traffic(packets=20)], cluster=with_facts(Cluster(), facts))
        finding = Finding(code, Severity.CRITICAL, "So", "E.", "R.", direction="node1>node2")
        return facts_check.with_evidence([finding], pair)[0]

    return held


def test_a_neighbour_entry_with_a_mac_that_the_far_device_has_not_is_the_cause(of_both):
    near = {"neigh.txt": NEIGHBOUR.format(mac="0e:00:00:00:00:02"), "link.txt": VX0}
    far = {"link.txt": VX0.replace("0e:00:00:00:00:02", "0e:00:00:00:00:77")}
    found = of_both("not-answered", near, far)

    assert found.summary == "So; the cause stands in node1/neigh.txt, line 1"
    assert (
        "node1# ip neigh replace 10.233.65.0 lladdr 0e:00:00:00:00:77 dev vx0 nud permanent" in found.remedy
    )


BRIDGED = VX0.replace("0e:00:00:00:00:02", "0e:00:00:00:00:77").replace("noqueue", "noqueue master br0")


@pytest.mark.parametrize("device", [VX0, BRIDGED], ids=["the same MAC", "a bridge takes all"])
def test_the_same_mac_or_a_bridged_device_is_no_cause(of_both, device):
    near = {"neigh.txt": NEIGHBOUR.format(mac="0e:00:00:00:00:02"), "link.txt": VX0}

    assert of_both("not-answered", near, {"link.txt": device}).summary == "So"


def test_a_forwarding_entry_to_an_address_that_the_far_node_has_not_is_the_cause(of_both):
    near = {"fdb.txt": "0e:00:00:00:00:02 dev vx0 dst 172.26.50.201 self permanent\n"}
    far = {"route.txt": "local 172.26.50.77 dev eth0 table local proto kernel scope host\n"}
    found = of_both("path-blocked", near, far)

    assert found.summary == "So; the cause stands in node1/fdb.txt, line 1"
    assert "node1# bridge fdb del 0e:00:00:00:00:02 dev vx0 dst 172.26.50.201" in found.remedy


def test_a_forwarding_entry_to_the_far_node_is_no_cause(of_both):
    near = {"fdb.txt": "0e:00:00:00:00:02 dev vx0 dst 172.26.50.201 self permanent\n"}
    far = {"route.txt": "local 172.26.50.201 dev eth0 table local proto kernel scope host\n"}

    assert of_both("path-blocked", near, far).summary == "So"


ENTRY = (
    "udp 17 29 src=10.233.64.10 dst={dst} sport=4 dport=53 {flag} src=10.233.65.20 dst=10.233.64.10 sport=53 "
    "dport=4\n"
)


@pytest.mark.parametrize(("target", "cause"), [("10.233.65.99", True), ("10.233.65.20", False)])
def test_an_entry_to_a_pod_that_no_rule_translates_to_is_the_cause(of_both, target, cause):
    rule = f"-A PREROUTING -d 10.233.0.3/32 -p udp -j DNAT --to-destination {target}:53"
    near = {
        "conntrack.txt": ENTRY.format(dst="10.233.0.3", flag="[UNREPLIED]"),
        "rules.txt": "*nat\n:PREROUTING ACCEPT [0:0]\n" + rule + "\nCOMMIT\n",
    }
    found = of_both("endpoint-silent", near, {})

    assert found.summary == ("So; the cause stands in node1/conntrack.txt, line 1" if cause else "So")
    assert ("node1# conntrack -D -p udp -d 10.233.0.3 -r 10.233.65.20" in found.remedy) == cause


def test_an_entry_of_the_far_node_without_a_reply_says_how_far_requests_came(of_both):
    entry = ENTRY.format(dst="10.233.65.20", flag="[UNREPLIED]").replace("dport=53 [", "dport=5201 [")
    found = of_both("endpoint-silent", {}, {"conntrack.txt": entry})

    assert "passed all chains of node2 and saw no reply" in found.explanation
    assert found.summary == "So"


@pytest.mark.parametrize(
    ("source", "cause"), [("10.233.64.10", True), ("10.233.64.11", False)], ids=["of these", "of others"]
)
def test_a_drop_that_an_agent_saw_is_the_cause_where_it_is_of_these_packets(after, source, cause):
    summary = f'{{"source":"{source}","destination":"10.233.65.20"}}'
    line = f'{{"type":"drop","reason":"Policy denied","summary":{summary}}}\n'
    found = after("endpoint-silent", {"drops.json": line * 3})

    assert ("node2 dropped 3 of the 20 packets: Policy denied" in found.explanation) == cause
    assert found.summary == ("So; the cause stands in node2/drops.json, line 1" if cause else "So")


PWRU = (
    "{skb} 0 <empty>:0 4026531840 0 vx0:5 0x0800 1450 128 "
    "10.233.64.10:{sport}->10.233.65.20:5201({over}) {function}\n"
)


def traced(sport: int, packets: int, over: str = "udp") -> str:
    """What pwru prints of packets that a rule drops: where each went, and that it was freed."""
    reason = "kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP)"
    steps = ("ip_rcv", "nf_hook_slow", reason, "kfree_skbmem")
    lines = [
        PWRU.format(skb=f"{n:#x}", sport=sport, over=over, function=f) for n in range(packets) for f in steps
    ]
    return "SKB CPU PROCESS NETNS MARK/x IFACE PROTO MTU LEN TUPLE FUNC\n" + "".join(lines)


def lossy_finding(pair):
    (direction,) = (d for d in pair.directions if d.label == "node1>node2")
    exhibit = exhibits.of_packets(pair, direction, direction.lost)
    finding = Finding("packet-loss", Severity.WARNING, "So", "E.", "R.", "node1>node2", frames=exhibit.frames)
    return finding, int(direction.lost.sum())


@pytest.fixture
def lossy(tmp_path):
    """A finding of packets that are lost, after what a tracer on node2 printed was held against it."""

    def held(text: str) -> tuple[Finding, int]:
        (tmp_path / "trace.txt").write_text(text)
        cluster = with_facts(Cluster(), read_facts("node2", tmp_path))
        traffic = [
            Traffic(FLOW, packets=40, lost=np.arange(40) % 5 == 0),
            Traffic(Flow(sport=4001), packets=20),
        ]
        pair = comparison(traffic, cluster=cluster)
        finding, lost = lossy_finding(pair)
        (result,) = facts_check.with_evidence([finding], pair)
        return result, lost

    return held


def test_lost_packets_are_matched_to_the_drops_that_a_tracer_saw(lossy):
    """Drops of a flow that delivers everything (its earlier packets) are none of the lost."""
    of_these = traced(FLOW.sport, 6)
    found, lost = lossy(of_these + traced(4001, 3).partition("\n")[2])

    assert lost == 8
    assert "node2 dropped 6 of the 8 lost packets in nf_hook_slow: NETFILTER_DROP" in found.explanation
    assert "dropped 3" not in found.explanation
    assert found.summary == "So; the cause stands in node2/trace.txt, line 4"


def test_no_more_drops_are_counted_than_packets_are_lost(lossy):
    found, _ = lossy(traced(FLOW.sport, 30))

    assert "node2 dropped all 8 lost packets in nf_hook_slow" in found.explanation


def test_drops_of_another_protocol_are_not_of_these_packets(lossy):
    assert lossy(traced(FLOW.sport, 6, "tcp"))[0].summary == "So"


@pytest.mark.parametrize(("second", "cause"), [("20", True), ("50", False)], ids=["meanwhile", "later"])
def test_drops_outside_of_the_time_are_of_others(second, cause, lossy):
    layers = '"IP":{"source":"10.233.64.10","destination":"10.233.65.20"}'
    ports = f'"l4":{{"UDP":{{"source_port":{FLOW.sport},"destination_port":5201}}}}'
    place = '"file":{"name":"bpf_lxc.c","line":1965}'
    time = f'"time":"2023-11-14T22:13:{second}.500Z"'
    reason = '"verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED"'
    found, _ = lossy(f'{{"flow":{{{time},{reason},{layers},{ports},{place}}}}}\n')

    assert ("dropped 1 of the 8 lost packets (bpf_lxc.c:1965): POLICY_DENIED" in found.explanation) == cause


SOCKETS = "State Recv-Q Send-Q Local Address:Port Peer\n{rest}\n"


def test_nothing_that_listens_on_the_tunnel_s_port_is_the_cause(of_both):
    sockets = SOCKETS.format(rest="UNCONN 0 0 0.0.0.0:68 0.0.0.0:*")

    assert of_both("not-answered", {}, {"ss.txt": sockets}).summary == "So; the cause stands in node2/ss.txt"


@pytest.mark.parametrize(("state", "cause"), [("LISTEN 129 128", True), ("LISTEN 0 128", False)])
def test_a_full_listen_queue_is_the_cause(tmp_path, state, cause):
    (tmp_path / "ss.txt").write_text(SOCKETS.format(rest=f"{state} 0.0.0.0:5201 0.0.0.0:*"))
    cluster = with_facts(Cluster(), read_facts("node2", tmp_path))
    pair = comparison([Traffic(Flow(protocol=6), packets=20)], cluster=cluster)
    finding = Finding("endpoint-silent", Severity.WARNING, "So", "E.", "R.", direction="node1>node2")
    (found,) = facts_check.with_evidence([finding], pair)

    assert found.summary == ("So; the cause stands in node2/ss.txt, line 2" if cause else "So")


def test_a_socket_on_the_tunnel_s_port_is_no_cause(of_both):
    sockets = "State Recv-Q Send-Q Local Address:Port Peer\nUNCONN 0 0 0.0.0.0:8472 0.0.0.0:*\n"

    assert of_both("not-answered", {}, {"ss.txt": sockets}).summary == "So"


def test_a_counted_rule_that_may_match_and_counts_what_is_missing_is_the_cause(after):
    rule = "[{n}:900] -A FORWARD -m set --match-set banned src -j DROP"
    files = {
        "before/rules.txt": RULES.format(rule=rule.format(n=100)),
        "after/rules.txt": RULES.format(rule=rule.format(n=120)),
    }
    found = after("not-answered", files, unanswered_requests=20)

    assert found.summary == "So; the cause stands in node2/after/rules.txt, line 5"
    assert "It has counted 20 packets, and 20 packets are missing here." in found.explanation


def test_a_rule_that_counted_nothing_between_the_saves_is_no_cause(after):
    rule = RULES.format(rule="[100:900] -A FORWARD -j DROP")
    found = after("not-answered", {"before/rules.txt": rule, "after/rules.txt": rule}, unanswered_requests=20)

    assert found.summary == "So"


def test_a_rule_that_an_agent_keeps_is_changed_by_its_policy(after):
    rule = "-A FORWARD -j cali-tw-x\n-A cali-tw-x -j DROP"
    rules = RULES.format(rule=rule).replace(":INPUT", ":cali-tw-x - [0:0]\n:INPUT")
    found = after("endpoint-silent", {"rules.txt": rules})

    assert "Calico writes cali-tw-x" in found.remedy
    assert "$ kubectl get networkpolicies -A" in found.remedy


def test_a_rule_that_drops_the_answers_is_the_cause(after):
    rules = RULES.format(rule="-A FORWARD -s 10.233.65.20/32 -j DROP")
    found = after("endpoint-silent", {"rules.txt": rules})

    assert "drops the responses on their way to the tunnel" in found.explanation


def test_what_was_not_saved_and_would_decide_is_named(after):
    found = after("stale-tunnel-mac", {"route.txt": ROUTES.format(route="10.233.64.0/24 dev vx0")})

    assert "Not saved on node2, and would decide: ip -d link." in found.explanation


def test_where_nothing_was_saved_nothing_is_named(after):
    found = after("not-answered", {"tcpdump.txt": "20 packets captured\n0 packets dropped by kernel\n"})

    assert found.explanation == "E."


@pytest.mark.parametrize(("grown", "cause"), [(32, True), (900, False)])
def test_a_core_or_card_that_drops_explains_a_capture_that_lacks_packets(tmp_path, grown, cause):
    line = (
        "00001000 {:08x} 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n"
    )
    for when, dropped in (("before", 5), ("after", 5 + grown)):
        (tmp_path / when).mkdir()
        (tmp_path / when / "softnet_stat.txt").write_text(line.format(dropped))
    pair = comparison([Traffic(packets=20)], cluster=with_facts(Cluster(), read_facts("node2", tmp_path)))
    evidence = {"node2 dropped_by_kernel": Quantity(32, "packets")}
    finding = Finding("capture-loss", Severity.WARNING, "So", "E.", "R.", evidence=evidence)
    (found,) = facts_check.with_evidence([finding], pair)

    assert f"softnet dropped of node2 rose by {grown}, and its capture lacks 32 packets" in found.explanation
    assert ("the cause stands in node2/after/softnet_stat.txt, line 1" in found.summary) == cause
    assert ("node2# sysctl -w net.core.netdev_max_backlog" in found.remedy) == cause


def test_a_node_that_asks_by_its_own_address_is_reached_outside_of_the_tunnel(tmp_path):
    (tmp_path / "route.txt").write_text(ROUTES.format(route="172.26.50.0/24 dev eth0"))
    (tmp_path / "link.txt").write_text(VX0)
    finding = Finding("source-unanswered", Severity.CRITICAL, "So", "E.", "R.", direction="node1>node2")
    for rp_filter, summary in (("0", "So"), ("1", "So; the cause stands in ")):
        (tmp_path / "sysctl.txt").write_text(f"net.ipv4.conf.all.rp_filter = {rp_filter}\n")
        cluster = with_facts(Cluster(), read_facts("node2", tmp_path))
        pair = comparison([Traffic(Flow(src=FLOW.outer_src), packets=20)], cluster=cluster)
        (found,) = facts_check.with_evidence([finding], pair)

        assert found.summary.startswith(summary)
        assert (found.summary == "So") == (rp_filter == "0")


@pytest.mark.parametrize(("network", "cause"), [("10.233.64.0/24", False), ("10.233.65.20", True)])
def test_one_silent_endpoint_is_not_for_want_of_a_way_back(after, network, cause):
    found = after("endpoint-silent", routes(f"blackhole {network}"))

    assert ("discards packets to 10.233.65.20" in found.explanation) == cause
    assert found.summary == ("So; the cause stands in node2/route.txt, line 2" if cause else "So")


LONG = "9" * 5000
GARBLED = {
    "conntrack.txt": "udp 17 20 src=10.0.0.1 dst=10.0.0.2 sport=5 dport=8\ufffd72 [UNREPLIED] src=10.0.0.2\n",
    "ss.txt": f"State Recv-Q Send-Q Local Peer\nLISTEN {LONG} 1 10.0.0.1:80 0.0.0.0:*\n",
    "nstat.txt": f"#kernel\nUdpNoPorts {LONG} 0.0\n",
    "rules.txt": RULES.format(rule=f"[{LONG}:1] -A INPUT -p udp -m udp --dport {LONG}:8472 -j DROP"),
    "listed.txt": f"Chain INPUT (policy DROP {LONG} packets, 1 bytes)\n",
    "nft.json": (
        '{"nftables": [{"chain": {"family": "inet", "table": "f", "name": "c", "hook": "input", '
        '"type": "filter", "prio": "first", "policy": "accept"}}]}'
    ),
    "link.txt": DEVICE.format(mtu=LONG, vni=LONG, port=LONG),
    "sysctl.txt": f"net.netfilter.nf_conntrack_count = {LONG}\nnet.netfilter.nf_conntrack_max = {LONG}\n",
}


@pytest.mark.parametrize("code", ["not-answered", "mtu-blackhole", "new-flows-blocked"])
@pytest.mark.parametrize("name", sorted(GARBLED))
def test_figures_that_are_none_decide_nothing(after, code, name):
    files = {f"{when}{name}": GARBLED[name] for when in ("", "before/", "after/")}
    found = after(code, files, unanswered_requests=3, smallest_lost=1450)

    assert "fact_1" not in found.evidence or name in ("link.txt", "rules.txt")


@pytest.mark.parametrize(
    ("shift_s", "seen"),
    [
        (0, True),
        (3600, True),
        (-5.75 * 3600, True),
        (450, False),
    ],
)
def test_drops_at_another_time_are_those_of_other_packets(lossy, shift_s, seen):
    """pwru prints the node's local time, whose zone is unknown."""
    begin = datetime.fromtimestamp(START_NS / 1e9 + shift_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000")
    head, *lines = traced(FLOW.sport, 6).splitlines(keepends=True)
    found, _ = lossy("".join([f"TIME {head}", *(f"{begin} {line}" for line in lines)]))

    assert ("node2 dropped 6 of the 8 lost packets" in found.explanation) is seen
