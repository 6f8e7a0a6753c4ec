"""Which addresses a node has by the tables saved on it; where packets contradict them, both are said."""

import vxlanalyze as vx
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import World

LEFT, RIGHT, THIRD = "10.61.0.5", "10.61.0.6", "10.61.0.7"
IP_ADDR = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP group default qlen 1000
    link/ether {mac} brd ff:ff:ff:ff:ff:ff
    inet {address}/24 brd 10.61.0.255 scope global eth0
       valid_lft forever preferred_lft forever
"""
ROUTES = """\
default via 10.61.0.1 dev eth0 proto static
local {address} dev eth0 table local proto kernel scope host src {address}
broadcast 10.61.0.255 dev eth0 table local proto kernel scope link src {address}
"""
OTHER_MAC = "52:54:00:00:00:99"


def saved(folder, name, text, **values):
    path = folder / f"{name}-facts"
    path.mkdir(exist_ok=True)
    (path / "ip.txt").write_text(text.format(**values))
    return path


def world(folder, *, third=False, right_sends=True):
    """Two nodes that talk, perhaps with a third one that was not captured."""
    w = World(64)
    left, right = w.node("left", LEFT), w.node("right", RIGHT)
    a, b = left.pod("10.244.8.2"), right.pod("10.244.9.3")
    ping(a, b, 0.1, count=8)
    if right_sends:
        tcp_talk(b, a, 8080, 0.3, repeat=4)
    if third:
        ping(a, w.node("third", THIRD, captured=False).pod("10.244.10.4"), 0.2, count=8)
    if not right_sends:

        @w.fate
        def silent(t):
            t.lost = True

    w.run()
    return [c.write(folder) for c in w.captures], left.mac, right.mac


def text(mac):
    return mac if isinstance(mac, str) else mac.hex(":")


def reasons(result):
    assert not [f for f in result.findings if f.severity != "info"]
    return {n["reason"] for n in result.not_assessed if n["code"] == "path-blocked"}


def test_addresses_of_the_other_node_are_said_with_what_the_packets_show(tmp_path):
    captures, *_ = world(tmp_path, third=True)
    facts = {
        "left": saved(tmp_path, "left", ROUTES, address=RIGHT),
        "right": saved(tmp_path, "right", IP_ADDR, address=LEFT, mac=OTHER_MAC),
    }
    (reason,) = reasons(vx.compare(*captures, facts=facts))

    assert f"{LEFT} is an address of right by its own tables (right/ip.txt, line 5)" in reason
    assert "and of left by being an end of every packet" in reason
    assert "the capture or the tables may be another node's" in reason


def test_packets_that_come_too_late_contradict_the_tables(tmp_path):
    captures, *_ = world(tmp_path)
    facts = {"left": saved(tmp_path, "left", ROUTES, address=RIGHT)}
    (reason,) = reasons(vx.compare(*captures, facts=facts))

    assert f"{RIGHT} is left's by its own tables (left/ip.txt, line 2)" in reason
    assert "later than the capture right does: the capture or the tables may be another node's" in reason


def test_a_mac_of_the_other_nodes_device_is_said(tmp_path):
    captures, left, right = world(tmp_path)
    devices = IP_ADDR.replace("    inet {address}/24 brd 10.61.0.255 scope global eth0\n", "")
    facts = {
        "left": saved(tmp_path, "left", devices, mac=text(right)),
        "right": saved(tmp_path, "right", devices, mac=text(left)),
    }
    (reason,) = reasons(vx.compare(*captures, facts=facts))

    assert f"packets leave left with the MAC {text(left)}" in reason
    assert "right/ip.txt" in reason


def test_both_ends_of_the_tunnel_on_one_node_are_said(tmp_path):
    captures, left, _ = world(tmp_path)
    both = IP_ADDR + f"    inet {RIGHT}/32 scope global eth0\n"
    (reason,) = reasons(
        vx.compare(*captures, facts={"left": saved(tmp_path, "left", both, address=LEFT, mac=text(left))})
    )
    assert f"{LEFT} and {RIGHT} are addresses of left by its own tables" in reason


def test_tables_that_fit_change_nothing(tmp_path):
    captures, left, _ = world(tmp_path, third=True)
    facts = {
        "left": saved(tmp_path, "left", IP_ADDR, address=LEFT, mac=text(left)),
        "right": saved(tmp_path, "right", IP_ADDR, address=RIGHT, mac=OTHER_MAC),
    }
    result, alone = vx.compare(*captures, facts=facts), vx.compare(*captures)
    assert [dict(h) for h in result.hops] == [dict(h) for h in alone.hops]
    assert not reasons(result)


def test_tables_say_which_of_several_peers_an_empty_capture_belongs_to(tmp_path):
    captures, *_ = world(tmp_path, third=True, right_sends=False)
    facts = {"right": saved(tmp_path, "right", ROUTES, address=RIGHT)}
    alone, result = vx.compare(*captures), vx.compare(*captures, facts=facts)

    assert any("which of 2 peers" in n["reason"] for n in alone.not_assessed)
    assert result.findings["path-blocked"].direction == "left>right"
