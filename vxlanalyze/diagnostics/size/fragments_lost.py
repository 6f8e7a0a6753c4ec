"""Outer packets are fragmented, and not all of the fragments arrive.

What it asks
    Do fragments of outer packets arrive without the others of the same packet?
Why it matters
    One missing fragment loses the whole packet. Clouds, load balancers and firewalls often pass the first
    fragment, which has the UDP header, and drop the others: then every large packet is lost.
How it decides
    A datagram of which some fragments are in the receiver's capture and others are not is incomplete. It
    is reported when more of the fragmented packets are lost than random loss, at twice the rate of the
    whole packets, takes at most once in ten thousand directions.
When it cannot tell
    A capture filtered by UDP port holds first fragments only, since later ones carry no port. Where the
    receiver's capture has no later fragment of any packet and nothing outside of the tunnel, it looks so.
What looks like it
    A capture filter; a black hole, which lets not even the first fragment through; random loss.
What to do
    Never rely on fragments: lower the MTU of the pods and tunnel devices so that no outer packet is
    fragmented. Or allow fragments in the security groups and firewalls between the nodes.
Sources
    RFC 7348 section 4.3 (a tunnel endpoint may discard fragments); RFC 791 section 3.2; RFC 8900
    (fragments are fragile); cilium issue 46100.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import Answer, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, loss, path_mtu
from vxlanalyze.analysis.loss.loss import Picture
from vxlanalyze.analysis.underlay import pieces
from vxlanalyze.analysis.underlay.pieces import Pieces
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.words import count, share

CODE = "fragments-lost"


def check(pair: Comparison) -> list[Answer]:
    """Report each direction in which fragmented packets arrive incomplete."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[Answer] = list(not_assessed)
    for picture in pictures:
        travelled = pieces.of(picture.direction)
        if len(picture.in_pieces):
            answers.append(_finding(pair, picture, travelled))
        elif (travelled.without_rest & picture.direction.delivered).any():
            answers.append(
                NotAssessed(CODE, _filtered(picture.direction, travelled), picture.direction.label)
            )
    return answers


def _filtered(direction: Direction, travelled: Pieces) -> str:
    return (
        f"{direction.receiver.name}'s capture holds the first fragment of "
        f"{count(int(travelled.without_rest.sum()), 'packet')}, no later fragment of any packet, and "
        "nothing outside of the tunnel: as a filter by UDP port leaves it. Capture with `udp port PORT or "
        "(ip[6:2] & 0x1fff != 0)` to see the others"
    )


def _finding(pair: Comparison, picture: Picture, travelled: Pieces) -> Finding:
    direction = picture.direction
    lost = np.zeros(len(direction), np.bool_)
    lost[picture.in_pieces] = True
    sent = int(np.count_nonzero(travelled.any & direction.judged))
    limit = path_mtu.limit(direction, lost, travelled.mtu[0] if travelled.mtu else 0, None)
    shown = exhibits.of_packets(pair, direction, lost)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{share(int(lost.sum()), sent)[0].upper()}{share(int(lost.sum()), sent)[1:]} fragmented "
        f"outer packets from {direction.sender.name} to {direction.receiver.name} arrive incomplete: some "
        "of their fragments are dropped on the way",
        explanation=_explanation(direction, lost, travelled, sent),
        remedy=(path_mtu.settings(pair, direction, limit) if travelled.mtu else "Lower the pods' MTU.")
        + " Or allow fragments between the nodes: security groups, firewalls and load balancers that match "
        "on UDP ports drop later fragments, which carry none (`iptables -A INPUT -f -j ACCEPT`).",
        evidence={
            "incomplete": Quantity(int(lost.sum()), "packets"),
            "fragmented": Quantity(sent, "packets"),
            "largest_fragment": Quantity(travelled.largest_bytes, "bytes"),
            "smallest_lost": Quantity(int(direction.wire_length[lost].min()), "bytes"),
            "inner_mtu": Quantity(limit.inner_mtu if travelled.mtu else None, "bytes"),
        },
        ruled_out=_ruled_out(direction, lost, travelled),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter="ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr",
    )


def _explanation(direction: Direction, lost: NDArray[np.bool_], travelled: Pieces, sent: int) -> str:
    where = f"at {direction.sender.name}" if travelled.at_sender.any() else "on the way"
    firsts = int(np.count_nonzero(travelled.without_rest & lost))
    text = (
        f"{count(sent, 'outer packet')} of {affected.sizes(direction, travelled.any)} were fragmented "
        f"{where}. Of {count(int(lost.sum()), 'packet')}, {direction.receiver.name} received only a part"
    )
    if firsts:
        text += f": of {firsts:,} the first fragment and not the rest"
    if travelled.mtu:
        text += (
            f". The largest fragment has {travelled.largest_bytes:,} bytes, so the link that fragments "
            f"carries {travelled.mtu[0]:,} to {travelled.mtu[1]:,}"
        )
    return text + ". The node cannot put them together, and the pods get nothing."


def _ruled_out(direction: Direction, lost: NDArray[np.bool_], travelled: Pieces) -> tuple[RuledOut, ...]:
    whole = direction.judged & ~travelled.any
    gone = int(np.count_nonzero(whole & direction.lost))
    return (
        RuledOut("packet-loss", f"of {count(int(whole.sum()), 'packet')} in one piece, {gone:,} are lost"),
        RuledOut("mtu-blackhole", "a part of each of these packets does arrive"),
        RuledOut("capture-loss", f"{direction.receiver.name}'s capture is not filtered by port"),
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
