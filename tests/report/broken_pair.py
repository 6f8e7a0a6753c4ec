"""A pair of captures with a size limit on the way, as comparison and as report."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.diagnostics import Diagnosis
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.build import build
from vxlanalyze.report.model import Report

HOUR_NS = 3_600_000_000_000
WEB = Flow(protocol=TCP, sport=40000, dport=8080)
DNS = Flow(src="10.233.64.11", dst="10.233.65.250", sport=51000, dport=53)
LARGEST = 1302  # outer IP length of a payload of 1200


def broken(packets: int = 600, points: tuple[str, ...] = ("node1", "node2")) -> Comparison:
    """Payloads above 1,200 bytes vanish on the last hop; each point's clock is an hour ahead of the last."""
    random = np.random.default_rng(1)
    payload = random.choice([0, 200, 1200, 1360, 1410], packets)
    lost = payload > 1200
    onward = [
        Traffic(
            WEB,
            packets=packets,
            every_s=0.005,
            payload=payload,
            lost=lost,
            hop=len(points) - 2,
            delay_s=0.0003 + random.gamma(2, 5e-5, packets),
        ),
        Traffic(DNS, packets=20, every_s=0.1, payload=40),
    ]
    acknowledged = np.cumsum(np.where(lost, 0, payload))
    home = [
        Traffic(WEB.reverse(), packets=packets, every_s=0.005, start_s=0.001, payload=0, ack=acknowledged),
        Traffic(DNS.reverse(), packets=20, every_s=0.1, start_s=0.001, payload=120),
    ]
    offsets = [HOUR_NS * i for i in range(len(points))]
    return comparison(forward=onward, backward=home, points=points, clock_offset_ns=offsets)


def findings(pair: Comparison) -> tuple[Finding, ...]:
    """A cause with its frames, and its consequence."""
    direction = pair.hops[-1].forward
    frames = direction.sender.frame(direction.sent_row[direction.lost])
    cause = Finding(
        code="mtu-blackhole",
        severity=Severity.CRITICAL,
        summary=f"{direction.label}: all {len(frames)} packets longer than {LARGEST} bytes were lost",
        explanation="No packet longer than 1,302 bytes arrives; shorter ones do.",
        remedy="Set the MTU of the pods: `--set MTU=1252`.",
        direction=direction.label,
        evidence={
            "largest_delivered": Quantity(LARGEST, "bytes"),
            "loss_ratio_below": Quantity(0.0, "ratio"),
            "first_after": Quantity(1_500_000, "ns"),
        },
        ruled_out=(RuledOut("packet-loss", "chance does not stop at one size"),),
        frames={direction.sender.name: frames[:100]},
        frame_count=len(frames),
        display_filter="udp.dstport == 8472 && ip.len > 1302",
    )
    effect = Finding(
        code="tcp-stalled",
        severity=Severity.WARNING,
        summary="1 connection stalls",
        explanation="",
        remedy="",
        direction=direction.label,
        because=cause.key,
    )
    return cause, effect


def report(pair: Comparison | None = None) -> Report:
    """What is said of it."""
    pair = pair or broken()
    unsure = (NotAssessed("vni-mismatch", "one VNI only", pair.directions[0].label),)
    asked = ("path-blocked", "mtu-blackhole", "tcp-stalled", "vni-mismatch")
    return build(pair, Diagnosis(findings(pair), unsure, (), asked))
