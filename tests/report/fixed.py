"""One report made by hand, with something of everything: what all renderers are compared on."""

from dataclasses import replace
from typing import Any

from vxlanalyze.report.model import CaptureRecord, FindingRecord, HopRecord, Report

ESCAPE, OVERRIDE = "\x1b[31m", "\u202e"
HOSTILE = f"<script>alert(1)</script>{ESCAPE}\r\n::error::x{OVERRIDE}|[x](http://e.example)@all`;=1+1\x07"
"""A name such as nobody should give a pod."""
TIME = "2026-11-23T10:00:0{}.000000001Z"


def capture(name: str, packets: int, **changes: Any) -> CaptureRecord:
    record: CaptureRecord = {
        "name": name,
        "files": [
            {
                "path": f"captures/{name}.pcap.gz",
                "bytes": 123456,
                "sha256": "0123456789abcdef" * 4,
                "format": "pcap",
                "compression": "gzip",
            }
        ],
        "link_types": ["Ethernet"],
        "packets": packets,
        "tunnel_packets": packets - 4,
        "first": TIME.format(0),
        "last": TIME.format(9),
        "snaplen": None,
        "dropped_by_kernel": None,
        "node_addresses": ["172.26.50.200"],
        "node_addresses_by": "its own packets",
        "accounting": {"judged": packets - 2, "control": 2},
    }
    return record | changes  # type: ignore[return-value]


def hop(from_: str, to: str, **changes: Any) -> HopRecord:
    record: dict[str, Any] = {
        "from": from_,
        "to": to,
        "direction": f"{from_}>{to}",
        "sent": 1200,
        "delivered": 1200,
        "lost": 0,
        "unknown": 0,
        "unknown_reasons": {},
        "loss_ratio": 0.0,
        "low": 0.0,
        "high": 0.0032,
        "bytes_lost": 0,
        "delay_ns": {
            "min": 250_000,
            "p50": 312_000,
            "p90": 400_000,
            "p99": 1_200_000,
            "max": 5_300_000,
            "uncertainty": 40_000,
        },
        "reordered": 0,
        "duplicated": 0,
        "corrupted": 0,
        "largest_delivered": 1500,
        "smallest_lost": None,
        "window": {"first": TIME.format(0), "last": TIME.format(9), "by": "both cover the whole time"},
        "not_assessed": None,
    }
    return record | changes  # type: ignore[return-value]


NO_DELAY = dict.fromkeys(("min", "p50", "p90", "p99", "max", "uncertainty"))


def finding(code: str, severity: str, direction: str | None = None, **changes: Any) -> FindingRecord:
    record: dict[str, Any] = {
        "code": code,
        "severity": severity,
        "direction": direction,
        "summary": f"{direction}: something is {severity}",
        "explanation": "",
        "remedy": "",
        "evidence": {},
        "ruled_out": [],
        "because": None,
        "frames": {},
        "frame_count": 0,
        "display_filter": "",
    }
    return record | changes  # type: ignore[return-value]


BLACK_HOLE = finding(
    "mtu-blackhole",
    "critical",
    "node1>node2",
    summary="node1>node2: all 65 packets longer than 1,450 bytes are lost, and shorter ones arrive",
    explanation="65 of 65 packets above 1,450 bytes are lost and 3 of 1,132 of the others. It is not chance.",
    remedy="Set the MTU of the pods to 1400: `--set MTU=1400`, or raise that of the link.",
    evidence={
        "largest_delivered": {"value": 1450, "unit": "bytes"},
        "loss_ratio_below": {"value": 0.00265, "unit": "ratio"},
        "first_lost": {"value": TIME.format(3), "unit": ""},
    },
    ruled_out=[
        {"code": "packet-loss", "why": "chance does not stop at one size."},
        {"code": "mtu-icmp-needed", "why": "no router said anything"},
    ],
    frames={"node1": [3, 4, 5, 9, 11, 12, 20, 22, 24, 26, 28, 30, 32, 34]},
    frame_count=65,
    display_filter="ip.src == 172.26.50.200 && udp.dstport == 8472 && ip.len > 1450",
)
STALLED = finding(
    "tcp-stalled",
    "warning",
    "node1>node2",
    summary="4 of 5 connections stop in the middle",
    because="mtu-blackhole@node1>node2",
)
HOSTILE_DNS = finding(
    "dns-unanswered",
    "warning",
    "node1>node2",
    summary=f"10.233.65.250 ({HOSTILE}) answers none of 12 queries for {'a' * 65_536}",
    explanation=f"Line one\nLine two of {HOSTILE}",
    remedy=f"Restart {HOSTILE}",
    display_filter=f'dns.qry.name == "{HOSTILE}"',
)
OFFLOAD = finding("checksum-offload", "info", "node1>pod", summary="Checksums at node1 are left to the NIC")

REPORT = Report(
    tool={"name": "vxlanalyze", "version": "0.0.0"},
    verdict="node1>node2: all 65 packets longer than 1,450 bytes are lost, and shorter ones arrive.",
    captures=[
        capture("pod", 2400, snaplen=96, node_addresses=["10.233.64.10"], dropped_by_kernel=7),
        capture("node1", 2404),
        capture("node2", 4, first=None, last=None, node_addresses=[]),
    ],
    clock=[
        {
            "from": "pod",
            "to": "node1",
            "offset_ns": 250_000,
            "drift_ppm": 1.25,
            "uncertainty_ns": 40_000,
            "method": "hull of the delays of 1200 packets there and 1100 back, half the difference",
        },
        {
            "from": "node1",
            "to": "node2",
            "offset_ns": None,
            "drift_ppm": None,
            "uncertainty_ns": None,
            "method": "packets in one direction only",
        },
    ],
    hops=[
        hop("pod", "node1"),
        hop("node1", "pod", sent=1100, delivered=1090, unknown=10, unknown_reasons={"window": 10}),
        hop(
            "node1",
            "node2",
            delivered=1129,
            lost=68,
            unknown=3,
            unknown_reasons={"other-peer": 2, "window": 1},
            loss_ratio=68 / 1197,
            low=0.0450,
            high=0.0713,
            bytes_lost=100_000,
            reordered=2,
            duplicated=1,
            corrupted=3,
            largest_delivered=1450,
            smallest_lost=102,
        ),
        hop(
            "node2",
            "node1",
            sent=0,
            delivered=0,
            loss_ratio=None,
            low=None,
            high=None,
            delay_ns=NO_DELAY,
            largest_delivered=None,
            window=None,
        ),
    ],
    findings=[BLACK_HOLE, HOSTILE_DNS, OFFLOAD, STALLED],
    not_assessed=[
        {"code": "path-blocked", "direction": "node2>node1", "reason": "nothing was sent"},
        {"code": "packet-loss", "direction": "node2>node1", "reason": "nothing was sent"},
        {"code": "vni-mismatch", "direction": None, "reason": "one VNI only"},
    ],
    services=[
        {
            "protocol": "dns",
            "client": "10.233.64.10",
            "server": "10.233.65.250:53",
            "service": "kube-system/kube-dns",
            "requests": 12,
            "answered": 0,
            "refused": 0,
            "unanswered": 12,
            "latency_ns": {"p50": None, "p99": None},
        },
        {
            "protocol": "tcp",
            "client": "10.233.64.10",
            "server": "10.233.65.20:8080",
            "service": None,
            "requests": 5,
            "answered": 4,
            "refused": 1,
            "unanswered": 0,
            "latency_ns": {"p50": 640_000, "p99": 2_000_000},
        },
    ],
    names={"10.233.64.10": HOSTILE, "10.233.65.20": "default/web"},
    plots={},
    broken=[{"code": "reordering", "error": "IndexError: index 3 is out of bounds"}],
    diagnostics=["path-blocked", "mtu-blackhole", "packet-loss", "reordering", "vni-mismatch", "tcp-stalled"],
    facts=[
        {"capture": None, "kind": "kube", "path": "kube.json"},
        {"capture": "node1", "kind": "unknown", "path": "facts/node1/readme"},
    ],
)
HEALTHY = replace(
    REPORT,
    verdict="Nothing is wrong.",
    hops=REPORT.hops[:2],
    clock=REPORT.clock[:1],
    captures=REPORT.captures[:2],
    findings=[],
    not_assessed=[],
    broken=[],
    facts=[],
)
