"""Requests that share a connection, recorded with known times, and as tshark reads their frames."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import vxlanalyze as vx
from tests.recorded import recording
from tests.tools import tool, tshark
from vxlanalyze.analysis.messages.columns import Protocol
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.tcp import message_streams
from vxlanalyze.analysis.tcp.exchanges import exchanges
from vxlanalyze.analysis.tcp.framed_requests import framed_requests, message_name
from vxlanalyze.analysis.tcp.late_answers import late_answers
from vxlanalyze.export.exchange_table import exchange_frame

CAPTURES = Path(__file__).parents[2] / "captures"
MS = 1_000_000
# The server's time for each call, in milliseconds, as the scenarios have it.
THINKS = {
    "calls-share-a-connection": (20, 1800, 30, 30, 20, 20),
    "calls-share-a-connection-healthy": (20, 150, 30, 30, 20, 20),
    "calls-wait-to-continue": (20, 100, 20),
}
VXLAN = ("-n", "-d", "udp.port==8472,vxlan", "-d", "tcp.port==9200,http2")


@pytest.mark.parametrize("name", THINKS)
def test_each_call_has_the_time_that_its_server_took(name):
    found = framed_requests(recording(name))

    assert found is not None
    assert found.whole.all()
    took = np.rint((found.gone_ns - found.came_ns) / MS)
    assert took[np.argsort(found.left_ns)].tolist() == pytest.approx(THINKS[name], abs=15)


def test_pipelined_requests_are_answered_in_order():
    every = exchanges(recording("calls-pipelined"))
    assert every is not None
    data = every.at(every.framing == Protocol.HTTP1)

    assert len(data) == 5
    assert (np.diff(data.request_row) >= 0).all()
    assert data.latency_ns[2:].min() > 1500 * MS > 100 * MS > data.latency_ns[:2].max()
    names = exchange_frame(recording("calls-pipelined"))["message"].tolist()
    assert [name for name in names if name != "SYN"] == [f"POST /calls/{n}" for n in range(5)]


@pytest.mark.parametrize("name", ["calls-share-a-connection", "calls-share-a-connection-healthy"])
def test_tshark_reads_the_same_streams_in_the_same_packets(name):
    table = exchange_frame(recording(name))
    ours = {
        int(message.rpartition(" ")[2]): frame
        for message, frame in zip(table["message"], table["request_frame"], strict=True)
        if message != "SYN"
    }
    said = tshark(
        CAPTURES / name / "node1.pcap.gz",
        *VXLAN,
        *("-Y", "http2.type == 1 && tcp.dstport == 9200"),
        *("-T", "fields", "-e", "http2.streamid", "-e", "frame.number"),
    )
    theirs = {}
    for line in said.splitlines():
        streams, frame = line.split()
        for stream in streams.split(","):
            theirs.setdefault(int(stream), int(frame))

    assert ours == {stream: theirs[stream] for stream in ours}
    assert sorted(ours) == [1, 3, 5, 7, 9, 11]


def test_one_slow_call_among_quick_ones_is_late_and_named():
    (late,) = late_answers(recording("calls-share-a-connection"))

    assert late.waited_ns == pytest.approx(1800 * MS, abs=30 * MS)
    assert late.message == "a gRPC call (HTTP/2 stream 3)"


def test_names():
    assert message_name(0) is None
    assert message_name(Protocol.HTTP1) == "an HTTP/1 request"
    assert message_name(7 << 8 | Protocol.HTTP2) == "a request in HTTP/2 stream 7"
    assert message_name(Protocol.TLS) == "a request in TLS"


def test_services_count_each_call():
    every = exchanges(recording("calls-share-a-connection"))
    assert every is not None
    data = every.at(~every.opens)

    assert len(data) == 6
    assert set(pairs(recording("calls-share-a-connection")).port[data.pair].tolist()) == {9200}


def test_with_little_room_the_beginning_of_a_connection_is_followed(monkeypatch):
    monkeypatch.setattr(message_streams, "_most_packets", lambda point: 30)
    recording.cache_clear()
    pair = recording("calls-share-a-connection")
    found, every = framed_requests(pair), exchanges(pair)
    recording.cache_clear()

    assert found is not None
    assert every is not None
    assert 0 < len(found) < 6
    assert found.until_ns.max() < np.iinfo(np.int64).max
    later = every.at((every.framing == Protocol.NONE) & ~every.opens)
    assert (later.sent_ns > found.until_ns.max()).all()


def test_a_call_whose_end_the_snap_length_cuts_is_not_divided(tmp_path):
    """Its server's time would contain the rest of its transfer."""
    for node in ("node1", "node2"):
        source = CAPTURES / "calls-share-a-connection" / f"{node}.pcap.gz"
        subprocess.run(
            [tool("editcap"), "-F", "pcap", "-s", "160", source, tmp_path / f"{node}.pcap"], check=True
        )
    found = framed_requests(vx.compare(*sorted(tmp_path.iterdir())).of_captures.comparison)

    assert found is not None
    took = np.rint((found.gone_ns - found.came_ns)[found.whole] / MS)
    assert len(took) < 6
    assert all(np.abs(np.array(THINKS["calls-share-a-connection"]) - each).min() <= 15 for each in took)
