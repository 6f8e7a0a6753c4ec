"""The frames of a finding are Wireshark's numbers, and its filter is one that Wireshark accepts."""

import subprocess

import numpy as np
import pytest

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis import exhibits


def test_frames_are_counted_from_one_and_at_most_a_hundred_are_shown():
    pair = comparison([Traffic(packets=300)])
    forward = pair.hops[0].forward

    shown = exhibits.of_packets(pair, forward, np.arange(300) >= 150)

    assert shown.frames["node1"].tolist() == list(range(151, 251))
    assert shown.frames["node2"].tolist() == list(range(151, 251))
    assert shown.frame_count == 300


def test_a_lost_packet_is_shown_at_its_sender_only():
    pair = comparison([Traffic(packets=4, lost=True)])

    shown = exhibits.of_packets(pair, pair.hops[0].forward, np.ones(4, bool))

    assert list(shown.frames) == ["node1"]
    assert shown.frame_count == 4


def test_the_filter_names_the_tunnel_and_the_source_ports_of_the_flows():
    pair = comparison([Traffic(Flow(outer_sport=40001)), Traffic(Flow(sport=9, outer_sport=50002))])

    shown = exhibits.of_packets(pair, pair.hops[0].forward, np.ones(200, bool))

    assert shown.display_filter == (
        "ip.src == 172.26.50.200 && ip.dst == 172.26.50.201 && udp.dstport == 8472"
        " && udp.srcport in {40001, 50002}"
    )


@pytest.mark.parametrize(
    ("flow", "condition"),
    [
        (Flow(protocol=6, sport=5000, dport=80, outer_dport=4789), "tcp.flags.reset == 1"),
        (Flow(protocol=17, sport=5000, dport=53, outer_dport=4789), "dns"),
        (Flow(protocol=17, sport=5000, dport=4000, outer_dport=4789), ""),
        (Flow(protocol=17, sport=5000, dport=53, outer_dport=8472), ""),
    ],
)
def test_the_filter_says_what_all_frames_are_where_wireshark_decodes_the_tunnel(flow, condition):
    pair = comparison([Traffic(flow, tcp_flags=0x014)])
    shown = exhibits.of_packets(pair, pair.hops[0].forward, np.ones(100, bool))
    assert shown.display_filter.endswith(condition and f" && {condition}")
    assert ("dns" in shown.display_filter) == (condition == "dns")


@pytest.mark.parametrize("kind", ["ipv6", "rewritten", "bare"])
def test_wireshark_takes_the_filter(kind, tmp_path):
    flow = Flow(outer_src="fd00::1", outer_dst="fd00::2") if kind == "ipv6" else Flow()
    bare = ("node1",) if kind == "bare" else ()
    pair = comparison([Traffic(flow)], bare=bare)
    shown = exhibits.of_packets(pair, pair.hops[0].forward, np.ones(100, bool))
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))

    done = subprocess.run(
        ["tshark", "-r", empty, "-Y", shown.display_filter], capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr
