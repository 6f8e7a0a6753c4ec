"""Every frame has its class, and the classes sum up to the frames."""

from tests.simulate import Flow, Traffic, comparison, ping
from vxlanalyze.analysis.underlay.accounting import FrameClass, accounts
from vxlanalyze.wire.model import Encryption, Tunnel

NODES = {"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)}
WORLD = "203.0.113.7"


def classes(*at_node2: Traffic, at_node1: tuple[Traffic, ...] = (), **changes: object) -> dict[str, int]:
    pair = comparison(
        [Traffic(packets=10)],
        [Traffic(Flow().reverse(), packets=10)],
        seen_only={"node1": list(at_node1), "node2": list(at_node2)},
        addresses=NODES,
        **changes,  # type: ignore[arg-type]
    )
    for account, facts in zip(accounts(pair), pair.captures, strict=True):
        assert sum(account.frames.values()) == facts.packets
    return {place.code: frames for place, frames in accounts(pair)[1].frames.items()}


def test_packets_of_directions_are_judged_at_both_points():
    assert classes() == {"judged": 20}


def test_unencapsulated_pod_traffic_has_a_class_of_its_own():
    outside = Flow(tunnel=Tunnel.NONE, src=WORLD, dst=Flow().dst).reverse()
    assert classes(Traffic(outside, packets=5))["unencapsulated"] == 5


def test_an_answer_that_leaves_natively_and_never_arrives_is_named():
    asks = Flow(tunnel=Tunnel.NONE, src="10.233.64.77", dst="10.233.65.99", sport=50000, dport=443)
    found = classes(
        Traffic(asks, packets=4), Traffic(asks.reverse(), packets=4), at_node1=(Traffic(asks, packets=4),)
    )
    assert (found["unencapsulated"], found["not-arrived"]) == (4, 4)


def test_native_routing_that_works_is_not_called_missing():
    asks = Flow(tunnel=Tunnel.NONE, src="10.233.64.77", dst="10.233.65.99", sport=50000, dport=443)
    both = (Traffic(asks, packets=4), Traffic(asks.reverse(), packets=4))
    assert classes(*both, at_node1=both) == {"judged": 20, "unencapsulated": 8}


def test_other_tunnels_are_named_by_what_is_other_about_them():
    found = classes(
        Traffic(Flow(vni=9, sport=1), packets=1),
        Traffic(Flow(outer_src="fd00::1", outer_dst="fd00::2", sport=2), packets=2),
        Traffic(Flow(outer_src="172.26.50.77", sport=3), packets=3),
        Traffic(Flow(outer_dst="239.1.1.1", sport=4), packets=4),
    )
    del found["judged"]
    assert found == {"other-vni": 1, "other-family": 2, "other-peer": 3, "group": 4}


def test_junk_of_a_stranger_on_the_tunnels_port_is_no_other_network():
    junk = Traffic(Flow(src=WORLD, vni=9, outer_src="198.51.100.66", sport=1), packets=3)
    pair = comparison(
        [Traffic(packets=10)],
        [Traffic(Flow().reverse(), packets=10)],
        seen_only={"node2": [junk]},
        addresses=NODES,
    )
    flows = pair.points[1].flows
    flows.family[flows.vni == 9] = 0  # no packet in it

    assert accounts(pair)[1].frames[FrameClass.OTHER_PEER] == 3


def test_what_the_nodes_say_to_each_other_is_control_or_their_own():
    host = {"tunnel": Tunnel.NONE, "src": "172.26.50.200", "dst": "172.26.50.201"}
    found = classes(
        Traffic(ping(**host), packets=1),
        Traffic(Flow(**host, protocol=6, dport=22), packets=2),
        Traffic(Flow(**host, protocol=6, dport=9100), packets=3),
        Traffic(Flow(**host, protocol=50, encryption=Encryption.ESP), packets=4),
    )
    del found["judged"]
    assert found == {"control": 3, "node": 3, "encrypted": 4}


def test_a_lone_capture_is_accounted_for_too():
    pair = comparison(
        points=("node1",), seen_only={"node1": [Traffic(packets=7), Traffic(ping(), packets=2)]}
    )
    assert accounts(pair)[0].frames == {FrameClass.TUNNEL: 9}
