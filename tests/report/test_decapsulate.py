"""Captures with the tunnel taken off hold what tshark finds inside the tunnel, frame for frame."""

from pathlib import Path

import pytest

from tests.report.recorded import paths, run
from tests.tools import tshark
from vxlanalyze.export.decapsulate import decapsulate

SPEAKING = "tcp || dns || icmp || icmpv6.type >= 128"
PORT = ("-d", "udp.port==8472,vxlan")
COMMON = ("frame.number", "eth.src", "eth.dst", "tcp.srcport", "tcp.seq_raw", "tcp.len", "dns.id", "icmp.seq")
IPV4 = ("ip.src", "ip.dst", "ip.id", "ip.len")
IPV6 = ("ipv6.src", "ipv6.dst", "ipv6.plen", "icmpv6.echo.sequence_number")


def rows(capture: Path, names: tuple[str, ...], *arguments: str) -> list[list[str]]:
    """The last occurrence of each field in every frame, as tshark reads them."""
    wanted = [argument for name in names for argument in ("-e", name)]
    told = tshark(capture, *arguments, "-T", "fields", "-E", "occurrence=l", "-E", "separator=|", *wanted)
    return [line.split("|") for line in told.splitlines()]


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("healthy-light", IPV4),
        ("healthy-geneve", IPV4),
        ("healthy-nested", IPV4),
        ("healthy-ipv6-pods", IPV6),
        ("healthy-ipv6-underlay", IPV4),
    ],
)
def test_what_was_inside_is_what_tshark_finds_inside(name: str, network: tuple[str, ...], tmp_path: Path):
    found = run(name)

    decapsulate(found.comparison, tmp_path)

    ports = [argument for port in found.comparison.ports for argument in ("-d", f"udp.port=={port},vxlan")]
    for capture, path in zip(found.comparison.captures, paths(name), strict=True):
        inside = rows(tmp_path / f"{capture.name}.pcapng", (*COMMON, *network), "-Y", SPEAKING)
        expected = rows(path, (*COMMON, *network), *PORT, *ports, "-Y", SPEAKING)
        assert len(inside) > 50
        assert inside == expected


def test_frames_keep_their_number_and_time(tmp_path: Path):
    found = run("healthy-light")

    decapsulate(found.comparison, tmp_path)

    assert rows(tmp_path / "node1.pcapng", ("frame.number", "frame.time_epoch")) == rows(
        paths("healthy-light")[0], ("frame.number", "frame.time_epoch")
    )


def test_the_tunnel_is_gone_and_the_rest_stays(tmp_path: Path):
    found = run("healthy-light")

    decapsulate(found.comparison, tmp_path)

    tunnelled = rows(tmp_path / "node1.pcapng", ("frame.number",), "-Y", "udp.port == 8472")
    assert tunnelled == []
    arp = rows(paths("healthy-light")[0], ("frame.number",), "-Y", "arp && !vxlan")
    assert rows(tmp_path / "node1.pcapng", ("frame.number",), "-Y", "arp") == arp


def test_inner_packets_are_whole(tmp_path: Path):
    """tshark complains of no frame that is longer on the wire than it says, or cut."""
    found = run("healthy-light")

    decapsulate(found.comparison, tmp_path)

    cut = rows(
        tmp_path / "node1.pcapng", ("frame.number",), "-Y", "frame.cap_len != frame.len || _ws.malformed"
    )
    assert cut == []
