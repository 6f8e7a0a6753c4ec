"""Queries, echoes and connections of recorded captures, counted by tshark."""

from collections import Counter
from pathlib import Path

import pytest

from tests.lab import __main__ as lab
from tests.tools import tshark
from vxlanalyze import wire
from vxlanalyze.analysis.requests.services import services
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import pair

CHOSEN = ("dns-server-silent", "healthy-light", "pod-refuses", "endpoint-silent", "healthy-ipv6-pods")
FOLDERS = [folder for _, folder in lab.recordings() if folder.name in CHOSEN]


def asked(capture: Path, port: int, display: str, *fields: str) -> list[tuple[str, ...]]:
    """Fields of the innermost packets that a filter shows; the last of several values is the innermost."""
    columns = [argument for name in fields for argument in ("-e", name)]
    shown = tshark(
        capture,
        "-d",
        f"udp.port=={port},vxlan",
        "-Y",
        display,
        "-T",
        "fields",
        "-E",
        "occurrence=l",
        *columns,
    )
    return [tuple(line.split("\t")) for line in shown.splitlines()]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_queries_and_answers_are_those_that_tshark_pairs(folder: Path):
    capture = min(folder.glob("*.pcap*"))
    (source,) = open_sources([str(capture)])
    told = Counter[str]()
    for figures in services(pair([(source, wire.decode(source))])):
        told[f"{figures.protocol} asked"] += figures.requests + figures.open
        told[f"{figures.protocol} answered"] += figures.answered
    queries = asked(capture, 8472, "dns && !icmp && !icmpv6", "udp.srcport", "dns.id", "dns.flags.response")
    syns = asked(capture, 8472, "tcp.flags.syn == 1", "tcp.stream", "tcp.flags.ack")

    assert told["dns asked"] == len([q for q in queries if q[2] in ("0", "False")])
    assert told["tcp asked"] == len([stream for stream, ack in syns if ack in ("0", "False")])
    assert told["tcp answered"] == len({stream for stream, ack in syns if ack in ("1", "True")})
