"""Packets above a size are silently dropped while smaller ones pass.

What it checks
    Is there a length above which no outer packet of a direction arrives, without an ICMP error about it?
Why it matters
    The tunnel adds 50 bytes (70 over IPv6). A link that carries less than the nodes assume drops only
    full-size packets: ping, DNS and handshakes work, every transfer hangs.
How it decides
    Packets longer than any that arrived (from the start, or from some moment on) are reported if size is the
    best explanation of the losses and random loss would look like this at most once in ten thousand
    directions; a limit below 1280 bytes, which links rarely have, needs more evidence. Super-packets of
    segmentation offload are segmented into wire packets first and lengths are taken from the IP headers, so
    neither offload nor the snap length matters. Additional random loss is kept separate.
When it cannot tell
    No packet above 1280 bytes was sent, or too few: this is stated, since there may still be a limit. The
    exact limit between the largest packet that arrived and the smallest that did not is unknown; the MTU to
    set is the safe end, but at least what every link carries.
What looks like it
    A router that reports "fragmentation needed" (`mtu-icmp-needed`), lost fragments (`fragments-lost`), a
    blocked service that is the only one to send large packets, one large packet lost at random.
What to do
    Lower the MTU of the pods and tunnel devices to the limit minus the overhead, or raise the MTU of the
    link.
Sources
    RFC 7348 section 4.3; RFC 2923 section 2.1 (black holes); RFC 8899 (path MTU discovery without ICMP).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, inside_finding, loss, path_mtu
from vxlanalyze.analysis.loss.hypotheses import SMALLEST_LIKELY_MTU
from vxlanalyze.analysis.loss.path_mtu import Limit
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.analysis.underlay import fragmented, underlay_errors
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.commands import written
from vxlanalyze.text.words import count
from vxlanalyze.wire.model import Anomaly

CODE = "mtu-blackhole"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction with a length above which everything is silently lost."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        if picture.of(LossKind.SIZE):
            if not underlay_errors.about(pair, picture.direction, underlay_errors.TOO_BIG):
                answers.append(_finding(pair, picture))
        elif (why := _cannot_tell(picture)) is not None:
            answers.append(NotAssessed(CODE, why, picture.direction.label))
    return [*answers, *inside_finding.findings(pair, CODE)]


def _cannot_tell(picture: Picture) -> str | None:
    """State why there may be an undetected limit; None where there is none."""
    direction = picture.direction
    largest = int(direction.wire_length[direction.judged].max())
    if picture.of(LossKind.PATH) and not direction.delivered.any():
        return None  # nothing arrives: size does not matter
    if largest <= SMALLEST_LIKELY_MTU:
        return f"the largest packet sent has {largest:,} bytes: a limit above that would not show"
    passed = direction.largest_delivered or 0
    above = int(np.count_nonzero(direction.wire_length[picture.unexplained] > passed))
    if 2 * above > len(picture.unexplained):  # else it is random loss that included large ones
        return (
            f"{count(above, 'packet')} above {passed:,} bytes {'was' if above == 1 else 'were'} sent and "
            "none arrived: too few to distinguish a size limit from random loss"
        )
    return None


def _finding(pair: Comparison, picture: Picture) -> Finding:
    direction, explanations = picture.direction, picture.of(LossKind.SIZE)
    lost = picture.packets_of(explanations)
    found = limit(pair, picture, lost)
    shown = exhibits.of_packets(pair, direction, lost)
    from_to = f"from {direction.sender.name} to {direction.receiver.name}"
    above = f"{count(int(lost.sum()), 'packet')} {from_to} longer than {found.passes:,} bytes"
    since = loss.since(explanations)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{since}{'all' if since else 'All'} {above} are silently dropped: {_measured(found)}",
        explanation=_explanation(picture, lost, found) + loss.by_chance(explanations),
        remedy=_remedy(pair, direction, lost, found),
        evidence=_evidence(direction, lost, found, max(e.chance for e in explanations)),
        ruled_out=_ruled_out(direction, lost),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=f"({shown.display_filter}) && {_longer_than(direction, found.passes)}",
    )


def _remedy(pair: Comparison, direction: Direction, lost: NDArray[np.bool_], found: Limit) -> str:
    inside = inside_finding.remedy_of(direction, CODE, lost)
    if inside is not None:
        return written(inside, path_mtu.settings(pair, direction, found))
    return written(
        path_mtu.settings(pair, direction, found),
        f"Or raise the MTU of the link between the nodes to {_needed(direction, lost):,} or more.",
        path_mtu.probe(pair, direction, found),
    )


def _measured(found: Limit) -> str:
    """State the sizes seen to arrive and to be lost, or the limit itself where these leave no gap."""
    if found.blocked is None or found.blocked == found.passes + 1:
        return f"the path carries {found.text}"
    return f"the largest that arrived has {found.passes:,} bytes, the smallest lost {found.blocked:,}"


def limit(pair: Comparison, picture: Picture, lost: NDArray[np.bool_]) -> Limit:
    """Give the limit shown by the lost packets: the largest that arrived, and the smallest that did not."""
    direction = picture.direction
    passes = max(e.rule.above_bytes or 0 for e in picture.of(LossKind.SIZE))
    lengths = direction.wire_length[lost]
    packets = lengths[(lengths > passes) & (lengths <= path_mtu.LARGEST_FRAME)]
    blocked = int(packets.min() if len(packets) else lengths.max())
    found = path_mtu.limit(direction, lost, passes, blocked)
    hop = loss.hop_of(pair, direction)
    back = fragmented.of(hop.backward if direction.label == hop.forward.label else hop.forward).mtu
    return found if back is None or not passes < back[0] < blocked else replace(found, measured=back[0])


def _needed(direction: Direction, lost: NDArray[np.bool_]) -> int:
    lengths = direction.wire_length[lost]
    packets = lengths[lengths <= path_mtu.LARGEST_FRAME]
    return int(packets.max() if len(packets) else lengths.max())


def _explanation(picture: Picture, lost: NDArray[np.bool_], found: Limit) -> str:
    direction = picture.direction
    rest = direction.judged & ~lost
    gone = int(np.count_nonzero(direction.lost & ~lost))
    df = direction.sender.index.anomalies[direction.sent_row[lost]] & np.uint32(Anomaly.OUTER_DF.value) != 0
    larger_before = bool((direction.wire_length[rest & direction.delivered] > found.passes).any())
    others = "before that and smaller" if larger_before else f"up to {found.passes:,} bytes"
    text = (
        f"{count(int(lost.sum()), 'packet')} of {affected.sizes(direction, lost)} were sent and none "
        f"arrived; of the {count(int(rest.sum()), 'packet')} {others}, "
        f"{f'{gone:,} were' if gone else 'none was'} lost. No ICMP error about them is in either capture, "
        "so the sender keeps sending that size. "
    )
    if found.added:
        most = found.inner_mtu_at_most
        text += found.added + (f", and at most {most:,}. " if most > found.inner_mtu else ". ")
    if direction.sender.encapsulated and not df.any():
        text += "Their Don't Fragment bit is clear: a router should have fragmented them. "
    if any(LossKind.FLOW in e.rivals for e in picture.of(LossKind.SIZE)):
        text += "All of them go to one service, so a filter on that service would look the same. "
    return text + path_mtu.encryption(direction)


def _evidence(
    direction: Direction, lost: NDArray[np.bool_], found: Limit, chance: float
) -> dict[str, Quantity]:
    rest = direction.judged & ~lost
    return {
        "largest_delivered": Quantity(found.passes, "bytes"),
        "smallest_lost": Quantity(found.blocked, "bytes"),
        "lost_above": Quantity(int(lost.sum()), "packets"),
        "sent_below": Quantity(int(rest.sum()), "packets"),
        "lost_below": Quantity(int(np.count_nonzero(rest & direction.lost)), "packets"),
        "overhead": Quantity(found.overhead.bytes, "bytes"),
        "inner_mtu": Quantity(found.inner_mtu, "bytes"),
        "inner_mtu_at_most": Quantity(found.inner_mtu_at_most, "bytes"),
        "chance": Quantity(chance, "ratio"),
        **inside_finding.evidence_of(direction),
    }


def _ruled_out(direction: Direction, lost: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    rest = direction.judged & ~lost
    rate = f"{np.count_nonzero(rest & direction.lost):,} of {np.count_nonzero(rest):,} smaller ones"
    ruled_out = [
        RuledOut("packet-loss", f"all of the large packets are lost, and {rate}"),
        RuledOut("path-blocked", f"{count(int(np.count_nonzero(direction.delivered)), 'packet')} arrive"),
        RuledOut("mtu-icmp-needed", "no ICMP error that quotes an outer packet is in either capture"),
    ]
    if direction.sender.segment_bytes[direction.sent_row[lost]].any():
        why = "the sizes are those of the wire packets that the network card makes of each captured frame"
        ruled_out.append(RuledOut("checksum-offload", why))
    return tuple(ruled_out)


def _longer_than(direction: Direction, length_bytes: int) -> str:
    """Filter by the length of the outer, or only, IP packet; IPv6 counts it without its header."""
    flows, used = direction.sender.flows, present(direction.flow)
    family = flows.outer_family[used].max() or flows.family[used].max()
    return f"ipv6.plen > {length_bytes - 40}" if family == 6 else f"ip.len > {length_bytes}"


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
