"""What the formulas allow, against what a recorded connection reached."""

from pathlib import Path

import pytest

import vxlanalyze as vx
from vxlanalyze.analysis.tcp.loss_limit import LossLimit

FOLDER = Path(__file__).parents[2] / "captures"


def limit(**changes) -> LossLimit:
    values = {
        "connections": 1,
        "share": 0.9,
        "rtt_ns": 100_000_000,
        "reno_bits_per_s": 1e6,
        "cubic_bits_per_s": 2e6,
        "reached_bits_per_s": 1.5e6,
    }
    return LossLimit(**(values | changes))


def test_the_loss_of_a_recorded_upload_limits_it():
    found = vx.compare(*(FOLDER / "loss-slows-tcp" / f"node{n}.pcap.gz" for n in (1, 2))).findings
    evidence = found["packet-loss@node1>node2"].evidence
    ratio, allowed = evidence["loss_ratio"], evidence["tcp_allowed"]
    # Mathis: MSS / RTT * sqrt(3 / 2p), of segments of 1,398 bytes over a round trip of some 32 ms.
    by_hand = 8 * 1398 / 0.0325 * (1.5 / ratio) ** 0.5

    assert allowed == pytest.approx(by_hand, rel=0.2)
    assert 0.4 < evidence["tcp_reached"] / allowed < 2.0
    assert evidence["connections_slowed"] == 1
    assert "of its active time on recovery" in found["packet-loss@node1>node2"].explanation


def test_cubic_is_named_where_it_is_faster():
    assert "and 2 Mbit/s with CUBIC" in limit().text
    assert "CUBIC" not in limit(cubic_bits_per_s=0.9e6).text
    assert limit(cubic_bits_per_s=0.9e6).allowed_bits_per_s == 1e6


def test_much_more_than_loss_allows_is_another_congestion_control():
    assert "as BBR does" in limit(reached_bits_per_s=20e6).text
    assert "90 % of its active time" in limit().text


def test_nothing_is_said_where_no_connection_suffers():
    found = vx.compare(*(FOLDER / "random-loss" / f"node{n}.pcap.gz" for n in (1, 2))).findings
    evidence = [f.evidence for f in found if f.code == "packet-loss"]

    assert evidence
    assert all(each["connections_slowed"] is None for each in evidence)
