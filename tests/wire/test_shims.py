"""Headers between Ethernet and IP; merged datagrams.

| section | statement | test |
| --- | --- | --- |
| RFC 3032 2.1 | labels up to the one with the bottom bit | test_what_stands_before_ip_is_passed_over |
| RFC 2516 4 | session data is PPP; the length bounds it | likewise |
| RFC 8300 2.2 | Length words, next protocol | likewise |
| IEEE 802.1Q 9.7 | I-TAG, then the customer's addresses | likewise |
"""

from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.reported.pairs.k15_merged import merge
from tests.wire import build
from tests.wire.build import POD1
from tests.wire.decoding import assert_row, row
from tests.wire.test_mirrors import underlay, write
from vxlanalyze.capture import open_source
from vxlanalyze.report.formats import as_html
from vxlanalyze.wire import decode
from vxlanalyze.wire.model import UNDECODED_KIND_MASK, Anomaly
from vxlanalyze.wire.shims import NOT_DECODED

PACKET = build.small_packet()
LABELS = bytes.fromhex("0006403f0006513f")
PPPOE = bytes.fromhex("11000007") + (len(PACKET) + 2).to_bytes(2, "big") + bytes.fromhex("0021")
NSH = bytes.fromhex("0fc201030000010f")
SHIMS = {
    "mpls": (0x8847, LABELS + PACKET),
    "pseudowire": (0x8847, LABELS + bytes(4) + build.ethernet(PACKET)),
    "pppoe": (0x8864, PPPOE + PACKET + bytes(9)),
    "backbone": (0x88E7, bytes.fromhex("00000abc") + build.ethernet(PACKET)),
    "nsh-ethernet": (0x894F, NSH + build.ethernet(PACKET)),
    "nsh-ip": (0x894F, bytes.fromhex("0fc201010000010f") + PACKET),
}


@pytest.mark.parametrize("name", SHIMS)
def test_what_stands_before_ip_is_passed_over(name: str) -> None:
    ethertype, payload = SHIMS[name]

    assert_row(
        row(build.ethernet(payload, ethertype)), outer_src=POD1, outer_dport=5678, tunnel=None, anomalies=[]
    )


@pytest.mark.parametrize("name", SHIMS)
def test_inside_a_tunnel_too(name: str) -> None:
    ethertype, payload = SHIMS[name]
    frame = build.ethernet(build.vxlan(build.ethernet(payload, ethertype)))

    assert_row(row(frame), tunnel="vxlan", src=POD1, dport=5678)


@pytest.mark.parametrize("ethertype", [0x88E5, 0x8926, 0x8903])
def test_what_is_not_decoded_is_marked(ethertype: int) -> None:
    assert_row(row(build.ethernet(PACKET, ethertype)), outer_src=None, anomalies=["undecoded_link"])


def test_headers_that_are_not_decoded_are_counted_by_name(tmp_path: Path) -> None:
    """In a tunnel too; text, HTML and JSON name them."""
    odd = [build.ethernet(PACKET, ethertype) for ethertype in (0x88E5, 0x88E5, 0x8926)]
    odd.append(build.ethernet(build.vxlan(build.ethernet(PACKET, 0x8903))))
    result = vx.compare(write(tmp_path / "a.pcap", [underlay(), *odd]))
    said = "not decoded: 1 frame with VN-Tag, 1 frame with FabricPath and 2 frames with MACsec"

    assert result.captures[0]["undecoded"] == {"VN-Tag": 1, "FabricPath": 1, "MACsec": 2}
    assert said in " ".join(str(result).split())
    assert said in as_html.render(result.report)


def test_every_header_that_is_not_decoded_has_a_number() -> None:
    assert len(NOT_DECODED) <= UNDECODED_KIND_MASK + 1


@pytest.mark.parametrize("packets", [2, 3, 9])
def test_each_packet_of_a_merged_datagram_has_a_row(packets: int, tmp_path: Path) -> None:
    frames = [underlay(number=number) for number in range(packets)]
    source = open_source(write(tmp_path / "a.pcap", [underlay(), merge(frames), underlay(False)]))
    decoded = decode(source)
    alone = decode(open_source(write(tmp_path / "b.pcap", frames)))

    assert decoded.frame is not None
    assert decoded.frame.tolist() == [1] + [2] * packets + [3]
    here = slice(1, packets + 1)
    for column in ("digest", "length", "outer_length", "payload_length"):
        assert getattr(decoded.index, column)[here].tolist() == getattr(alone.index, column).tolist(), column
    assert bool(decoded.index.anomalies[1] & Anomaly.MERGED_DATAGRAM)
    assert [bool(a & Anomaly.FURTHER_PACKET) for a in decoded.index.anomalies[here]] == [False] + [True] * (
        packets - 1
    )
