"""Inner checksums arrive invalid, while the packets are otherwise as they were sent.

What it checks
    Do packets reach the other node with an invalid inner TCP, UDP, ICMP or IPv4 header checksum?
Why it matters
    The node decapsulates the packet and passes it on; the pod's kernel discards it and counts a checksum
    error (`InCsumErrors`) that is rarely checked. If all packets of a protocol are affected, nothing works;
    if some are, retransmissions slow transfers down.
How it decides
    The checksum is recomputed from packets captured in full at the receiver. An invalid one is not an effect
    of offload, which only shows at the sender; packets with a damaged payload are left to
    `corrupted-in-transit`. Checksums that were never completed count only where nothing of these flows is
    answered, beyond a probability of `chance`, or where DHCP clients ignore three such answers: they repeat
    the same message with the same identifier.
When it cannot tell
    No packet was captured in full (a snap length, fragments). The checksums are invalid, but the packets are
    answered nevertheless.
What looks like it
    Offload at the sender (`checksum-offload`); frames that the receiving kernel merged; paths inside one
    host, over which checksums travel unfilled and are known to be correct.
What to do
    Let the sending kernel compute them: disable the card's offload for tunnel packets, update firmware,
    driver or hypervisor. With non-zero Ethernet padding inside the tunnel: the hypervisor wrongly includes it
    in the sum.
Sources
    RFC 9293 section 3.1, RFC 768, RFC 792, RFC 1071; Broadcom KB 385625 (non-zero padding); calico
    issue 7040, cilium issue 21801 (vmxnet3); netdev, "virtio-net: fix hdr_len" (segmentation).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import alone, checksums
from vxlanalyze.analysis.integrity.checksums import Checks
from vxlanalyze.analysis.loss.affected import protocol_name
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.analysis.underlay.tunnel_ends import origins
from vxlanalyze.diagnostics.integrity import unfilled_dhcp
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, share
from vxlanalyze.wire.model import INNER_IP_SHIFT, INNER_L4_SHIFT, UNFILLED, Anomaly, Checksum

CODE = "inner-checksum-bad"


_PADDED = "nearly all carry Ethernet padding that is not zero, and "


class _Wrong(NamedTuple):
    """Packets invalid on arrival, of those that could be verified, shape ``(m,)``, and the origin."""

    packets: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    verdict: str
    words: str


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Verify the inner checksums of each direction's packets on arrival.

    `chance` is the false alarm probability accepted for a direction.
    """
    return alone.run(pair, CODE, lambda looked_at: _run(looked_at, chance))


def _run(pair: Comparison, chance: float) -> list[DiagnosticResult]:
    results = (_direction(pair, direction, chance) for direction in pair.directions)
    return [answer for answer in results if answer is not None]


def _direction(pair: Comparison, direction: Direction, chance: float) -> DiagnosticResult | None:
    checks, header = checksums.of(direction, INNER_L4_SHIFT), checksums.of(direction, INNER_IP_SHIFT)
    at_origin = any(direction is d for d in origins(pair))
    wrong = checksums.where_it_became(checks.wrong, checks.sent, origin=at_origin)
    wrong |= checksums.where_it_became(header.wrong, header.sent, origin=at_origin)
    wrong &= ~direction.corrupted
    unfilled = checks.unfilled & checks.judged
    if not wrong.any() and not unfilled.any():
        return _not_seen(direction, checks)
    responses = answers.of(direction)
    if wrong.any():
        accepted = checksums.fate_of(wrong, direction, responses).accepted
        if accepted:
            why = (
                f"{count(int(wrong.sum()), 'packet')} arrive with an invalid inner checksum, but "
                f"{count(accepted, 'flow')} of nothing else are answered: they are accepted"
            )
            return NotAssessed(CODE, why, direction.label)
        verdict, words = _origin(direction, checks, wrong)
        return _finding(
            pair, direction, _Wrong(wrong, checks.judged | header.judged, verdict, words), responses
        )
    if (of_dhcp := unfilled_dhcp.find(pair, direction)) is not None:
        return of_dhcp
    fate = checksums.fate_of(unfilled, direction, responses)
    if fate.accepted or _before_the_card(pair, direction):
        return None
    if responses.silent(chance, fate.ignored):
        chosen = unfilled & fate.ignored[responses.flow]
        verdict = "they were never completed"
        words = (
            "They hold the sum of the pseudo-header alone, as the sending kernel leaves it for the card, and "
            "nothing of these flows is answered: the card did not fill them in."
        )
        return _finding(pair, direction, _Wrong(chosen, checks.judged, verdict, words), responses)
    why = (
        f"{count(int(unfilled.sum()), 'packet')} arrive with an inner checksum that was never completed, as "
        "on a path inside one host; whether they are accepted is not known"
    )
    return NotAssessed(CODE, why, direction.label)


def _before_the_card(pair: Comparison, direction: Direction) -> bool:
    """Whether the packets have so far only crossed from a pod to another point of its own node."""
    last = direction in (pair.hops[-1].forward, pair.hops[0].backward) if pair.hops else True
    return not direction.sender.encapsulated and not last


def _not_seen(direction: Direction, checks: Checks) -> NotAssessed | None:
    if not (direction.received_row != NO_ROW).any():
        return NotAssessed(CODE, "no packet was seen to arrive", direction.label)
    if checks.judged.any() or not (checks.received == Checksum.UNVERIFIABLE).any():
        return None
    return NotAssessed(
        CODE, "no packet was captured in full, so no checksum can be verified", direction.label
    )


def _origin(direction: Direction, checks: Checks, wrong: NDArray[np.bool_]) -> tuple[str, str]:
    """State where they became invalid, by the same packets in the sender's capture."""
    if alone.is_alone(direction):
        untold = "a capture at the sender would show where they become invalid"
        return untold, "One capture does not show whether they left like this or were damaged on the path."
    near = direction.sender.name
    sent = checks.sent[wrong]
    unfilled = int(checksums.among(sent, UNFILLED).sum())
    left_wrong = int(checksums.among(sent, checksums.WRONG).sum())
    if 2 * unfilled > len(sent):
        return (
            "the sending card or hypervisor completes them wrongly",
            f"The capture of {near} shows partial checksums, which the network card completes "
            f"({unfilled:,} of "
            f"{len(sent):,}), so the card, or the hypervisor after it, computes them wrongly.",
        )
    if 2 * left_wrong > len(sent):
        return (
            f"they are already invalid when they leave {near}",
            f"The capture of {near} shows them invalid too ({left_wrong:,} of {len(sent):,}): the pod or its "
            "node computes them wrongly, for example by address translation that does not renew them.",
        )
    return (
        "something on the path changes them",
        f"The capture of {near} shows right checksums, so what lies between the captures rewrites them, "
        "though the payload is as it was sent.",
    )


def _finding(pair: Comparison, direction: Direction, wrong: _Wrong, responses: Answers) -> Finding:
    far = direction.receiver.name
    packets, judged = int(wrong.packets.sum()), int(wrong.judged.sum())
    by_protocol = listed(_by_protocol(direction, wrong))
    padded, padding_words = _padding(direction, wrong.packets)
    unanswered = int((responses.unanswered() & wrong.packets).sum())
    silence = f" {count(unanswered, 'request')} among them got no answer." if unanswered else ""
    shown = exhibits.of_packets(pair, direction, wrong.packets)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"Inner checksums from {direction.sender.name} are invalid on arrival "
        f"({share(packets, judged)} packets; {by_protocol}): "
        f"{_PADDED if padded else ''}{wrong.verdict}",
        explanation=f"{share(packets, judged).capitalize()} packets reach {far} with a wrong inner "
        f"checksum: {by_protocol}. {wrong.words}{padding_words} {far} takes them out of the tunnel, "
        f"and the pods' kernels discard them.{silence}",
        remedy=_remedy(direction, underlay.of(direction, pair.cluster).far, padded > 0),
        evidence={
            "wrong": Quantity(packets, "packets"),
            "judged": Quantity(judged, "packets"),
            "by_protocol": Quantity(by_protocol),
            "where": Quantity(wrong.verdict),
            "with_padding": Quantity(padded, "packets"),
            "unanswered_requests": Quantity(unanswered, "packets"),
        },
        ruled_out=_ruled_out(direction, packets),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _ruled_out(direction: Direction, packets: int) -> tuple[RuledOut, ...]:
    excluded = [
        RuledOut("checksum-offload", "offload leaves checksums unfilled at the sender, not at the receiver"),
        RuledOut("packet-loss", f"all {packets:,} packets are in the receiver's capture"),
    ]
    if not alone.is_alone(direction):
        same = "the payload of these packets is the same at both points"
        excluded.append(RuledOut("corrupted-in-transit", same))
    return tuple(excluded)


def _by_protocol(direction: Direction, wrong: _Wrong) -> list[str]:
    """Invalid packets among the verified ones, by inner protocol, the most frequent first."""
    protocol = direction.sender.flows.protocol[direction.flow]
    bad = np.bincount(protocol[wrong.packets], minlength=256)
    judged = np.bincount(protocol[wrong.judged], minlength=256)
    order = np.argsort(-bad, kind="stable")[: int((bad > 0).sum())]
    return [f"{bad[p]:,} of {judged[p]:,} {protocol_name(int(p))}" for p in order]


def _padding(direction: Direction, wrong: NDArray[np.bool_]) -> tuple[int, str]:
    """Invalid packets with non-zero Ethernet padding, where the two mostly coincide."""
    padded = direction.sender.index.anomalies[direction.sent_row] & Anomaly.PADDING_NOT_ZERO.value != 0
    both, among = int((padded & wrong).sum()), int((padded & (direction.received_row != NO_ROW)).sum())
    if 2 * both <= int(wrong.sum()) or 2 * both <= among:
        return 0, ""
    return both, (
        f" {both:,} of them, of {among:,} such packets, carry Ethernet padding that is not zero inside the "
        "tunnel: a known fault of ESXi sums it up."
    )


def _remedy(direction: Direction, peer: str, padded: bool) -> str:
    near, far = direction.sender.name, direction.receiver.name
    return written(
        f"On {near}, let the kernel compute them (NIC is the device named in the route; where only large "
        "transfers suffer, the second is enough):",
        on(near, f"ip route get {peer}"),
        on(near, "ethtool -K NIC tx off", "ethtool -K NIC tx-udp_tnl-segmentation off"),
        "To undo it: the same with on. If that fixes it, update the card's firmware and driver. On ESXi with "
        "vmxnet3: update to 8.0 U3 or later, or Linux 5.14 or later in the guest.",
        "For the padding: Broadcom KB 385625." if padded else "",
        "In the network namespace of a receiving pod, what is discarded is counted:",
        on(far, "nstat -az TcpInCsumErrors UdpInCsumErrors"),
    )


DIAGNOSTIC = base.Diagnostic(
    code=CODE, check=check, explained_by=("corrupted-in-transit", "outer-checksum-bad")
)
