"""The same recorded connections by tshark's and tcptrace's analysis, and why figures differ where they do.

- *Data sent again*: tcptrace counts as this program does. tshark calls a part of it "out of order", by the
  time since the data before it; both of its names together are the same number.
- *Windows of zero*: tcptrace and tshark count every packet that advertises one, this program how often the
  window closes. Probes are answered, so one closed window is advertised several times.
- *Window full*: tshark marks each segment that fills the window; this program adds up the time until there is
  room again, so the two agree on which connections, and not on a number.
"""

import re
import subprocess
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import vxlanalyze as vx
from tests.tools import tool, tshark
from vxlanalyze.analysis.tcp import limits
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import connections
from vxlanalyze.analysis.tcp.waiting_columns import Cause

CAPTURES = Path(__file__).parents[2] / "captures"
NAMES = (
    "reader-stops",
    "reader-stops-twin",
    "reader-is-slow",
    "window-upload",
    "loss-slows-tcp",
    "send-buffer",
)
VXLAN = ("-n", "-d", "udp.port==8472,vxlan")
IN_FRONT_BYTES = 50  # outer Ethernet, IPv4, UDP and VXLAN headers
FIELDS = ("zero_window", "window_full", "retransmission", "out_of_order")

each = pytest.mark.parametrize("name", NAMES)


class Ours(NamedTuple):
    """What is found of the client's data, and the share of time in which its window was full."""

    client: str
    again: int
    closed: int
    segments: int
    window: float
    zero: float


@cache
def ours(name: str) -> Ours:
    files = [CAPTURES / name / f"node{n}.pcap.gz" for n in (1, 2)]
    pair = vx.compare(*files).of_captures.comparison
    found = connections(pair)
    assert found is not None
    client = int(found.client[0])
    figures = found.figures[client]
    shares = [float(limits.shares(found, cause)[client]) for cause in (Cause.WINDOW, Cause.ZERO_WINDOW)]
    return Ours(
        limits.ends(pair, found, client).sender,
        *(int(figures[column]) for column in (at.RESENT, at.ZERO_TIMES, at.SEGMENTS)),
        *shares,
    )


@cache
def by_tshark(name: str, sender: str, *, is_sender: bool = True) -> np.ndarray:
    """Give tshark's marks of the packets of one end, in order, at the client's node; shape ``(k, 4)``."""
    asked = [part for field in FIELDS for part in ("-e", f"tcp.analysis.{field}")]
    arguments = ("-Y", "tcp", "-T", "fields", "-E", "occurrence=l", "-e", "ip.src", *asked)
    lines = tshark(CAPTURES / name / "node1.pcap.gz", *VXLAN, *arguments).splitlines()
    rows = [line.split("\t") for line in lines]
    return np.array([[mark != "" for mark in marks] for src, *marks in rows if (src == sender) == is_sender])


def by_tcptrace(name: str, folder: Path) -> dict[str, tuple[int, int]]:
    """Give tcptrace's figures of the first connection, by name, of both ends, at the client's node."""
    inside, bare = folder / "inside.pcapng", folder / "bare.pcap"
    tshark(CAPTURES / name / "node1.pcap.gz", *VXLAN, "-Y", "vxlan", "-w", str(inside))
    cut = [tool("editcap"), "-F", "pcap", "-L", "-C", str(IN_FRONT_BYTES), str(inside), str(bare)]
    subprocess.run(cut, check=True, capture_output=True)
    text = subprocess.run(
        [tool("tcptrace"), "-n", "-l", str(bare)], check=True, capture_output=True, text=True
    ).stdout
    found = re.findall(r"^\s+(\S[^:]*):\s+(\d+)(?: times)?\s+\1:\s+(\d+)", text, re.MULTILINE)
    return {key: (int(one), int(other)) for key, one, other in found}


@each
def test_data_sent_again_is_the_same_for_tcptrace(name: str, tmp_path: Path):
    assert by_tcptrace(name, tmp_path)["rexmt data pkts"] == (ours(name).again, 0)


@each
def test_data_sent_again_is_what_tshark_calls_retransmission_or_out_of_order(name: str):
    found = ours(name)
    marks = by_tshark(name, found.client)

    assert int(np.count_nonzero(marks[:, 2] | marks[:, 3])) == found.again


@each
def test_a_window_closes_as_often_as_packets_that_say_so_follow_others(name: str, tmp_path: Path):
    found = ours(name)
    zero = by_tshark(name, found.client, is_sender=False)[:, 0]

    assert sum(1 for closed, _ in groupby(zero.tolist()) if closed) == found.closed
    assert by_tcptrace(name, tmp_path)["zero win adv"] == (0, int(zero.sum()))


@each
def test_windows_are_full_for_the_same_connections(name: str):
    found = ours(name)
    full = int(np.count_nonzero(by_tshark(name, found.client)[:, 1]))

    if found.window + found.zero > 0.3:
        assert full > 0
    if full == 0:
        assert found.window + found.zero < 0.01
    if full > 0.25 * found.segments:
        assert found.window + found.zero > 0.3
