"""Outer packets are fragmented, but not all fragments arrive.

What it checks
    Do only some fragments of outer packets arrive, or none, although unfragmented packets of the same size
    arrive?
Why it matters
    One missing fragment loses the whole packet. Clouds, load balancers and firewalls often pass the first
    fragment, which has the UDP header, and drop the others: then every large packet is lost.
How it decides
    A datagram with only some fragments in the receiver's capture is incomplete. One that the sender's capture
    shows in fragments, none of which arrived, also counts if its flow delivers others and unfragmented
    packets at least as large as the largest fragment arrive. It is reported if random loss, at twice the rate
    of unfragmented packets, would lose this many fragmented packets at most once in ten thousand directions.
When it cannot tell
    A capture filtered by UDP port holds first fragments only, since later ones carry no port. This is assumed
    where the receiver's capture has no later fragment of any packet and nothing outside of the tunnel, unless
    every TCP connection that sent such packets stopped there: then the rest of them never arrived.
What looks like it
    A capture filter; a black hole, which also drops unfragmented packets of the fragments' size; random loss.
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
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, loss, path_mtu
from vxlanalyze.analysis.tcp.stopped_at_fragments import stopped
from vxlanalyze.analysis.underlay import fragmented
from vxlanalyze.analysis.underlay.fragmented import Fragmented
from vxlanalyze.pairing.hop import shows_later_fragments
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text import commands
from vxlanalyze.text.words import count, share
from vxlanalyze.wire.addresses import text as address_text
from vxlanalyze.wire.model import NO_FLOW

CODE = "fragments-lost"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction in which fragmented packets arrive incomplete."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        travelled = fragmented.of(picture.direction)
        if len(picture.in_pieces):
            lost = np.zeros(len(picture.direction), np.bool_)
            lost[picture.in_pieces] = True
            answers.append(_finding(pair, picture.direction, lost, travelled))
        elif (lost := stopped(pair, picture.direction)).any():
            answers.append(_finding(pair, picture.direction, lost, travelled))
        elif (travelled.without_rest & picture.direction.delivered).any():
            answers.append(
                NotAssessed(CODE, _filtered(picture.direction, travelled), picture.direction.label)
            )
    return answers


def _filtered(direction: Direction, travelled: Fragmented) -> str:
    return (
        f"{direction.receiver.name}'s capture holds the first fragment of "
        f"{count(int(travelled.without_rest.sum()), 'packet')}, no later fragment of any packet, and "
        "nothing outside of the tunnel: as a filter by UDP port leaves it. Capture with the filter 'udp "
        "port PORT or (ip[6:2] & 0x1fff != 0)' to see the others"
    )


def _finding(
    pair: Comparison, direction: Direction, lost: NDArray[np.bool_], travelled: Fragmented
) -> Finding:
    sent = int(np.count_nonzero(travelled.any & direction.judged))
    limit = path_mtu.limit(direction, lost, travelled.mtu[0] if travelled.mtu else 0, None)
    shown = exhibits.of_packets(pair, direction, lost)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=_summary(direction, lost, travelled, sent),
        explanation=_explanation(direction, lost, travelled, sent, limit),
        remedy=_remedy(pair, direction, limit, bool(travelled.mtu)),
        evidence={
            "incomplete": Quantity(int(lost.sum()), "packets"),
            "fragmented": Quantity(sent, "packets"),
            "without_any_fragment": Quantity(int(np.count_nonzero(travelled.vanished & lost)), "packets"),
            "largest_fragment": Quantity(travelled.largest_bytes, "bytes"),
            "smallest_lost": Quantity(int(direction.wire_length[lost].min()), "bytes"),
            "inner_mtu": Quantity(limit.inner_mtu if travelled.mtu else None, "bytes"),
        },
        ruled_out=_ruled_out(direction, lost, travelled),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter="ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr",
    )


def _summary(direction: Direction, lost: NDArray[np.bool_], travelled: Fragmented, sent: int) -> str:
    shown = share(int(lost.sum()), sent)
    from_to = f"from {direction.sender.name} to {direction.receiver.name}"
    what = f"{shown[0].upper()}{shown[1:]} fragmented outer packets {from_to}"
    if not (travelled.vanished & lost).any():
        return f"{what} arrive incomplete: some of their fragments are dropped on the path"
    return f"{what} are lost, because fragments are dropped on the path, whatever their size"


def _explanation(
    direction: Direction, lost: NDArray[np.bool_], travelled: Fragmented, sent: int, limit: path_mtu.Limit
) -> str:
    far = direction.receiver.name
    where = f"by {direction.sender.name} itself" if travelled.at_sender.any() else "on the path"
    parts = [
        f"{count(sent, 'outer packet')} of {affected.sizes(direction, travelled.any)} were fragmented {where}"
    ]
    firsts = int(np.count_nonzero(travelled.without_rest & lost))
    partly = int(np.count_nonzero(travelled.incomplete & lost))
    none = int(np.count_nonzero(travelled.vanished & lost))
    if partly:
        rest = f" ({_first_only(firsts, partly)})" if firsts else ""
        parts.append(f"{far} received only a part of {_of_these(partly, sent)}{rest}")
    if hidden := int(np.count_nonzero(lost & direction.delivered)):
        parts.append(
            f"{far}'s capture holds the first fragment only of {_of_these(hidden, sent)}. A filter by port "
            "would hide the others, but every TCP connection that sent such packets stopped there: nothing "
            "of them was ever acknowledged"
        )
    if none:
        longest, largest = _longest_whole(direction, travelled), travelled.largest_bytes or 0
        which = f"none is larger than {largest:,} bytes" if largest <= longest else "some of them are smaller"
        than = "" if largest <= longest else " than that"
        parts.append(
            f"No fragment of {_of_these(none, sent)} arrived at {far}, though packets of {longest:,} bytes "
            f"arrive in one piece and {which}{than}: size alone does not stop them"
        )
    if travelled.mtu:
        parts.append(
            f"The largest fragment has {travelled.largest_bytes:,} bytes, so the link that fragments "
            f"carries {travelled.mtu[0]:,} to {travelled.mtu[1]:,}"
        )
    parts.append("The node cannot reassemble incomplete packets, and the pods get nothing")
    if limit.added:
        parts.append(limit.added)
    return ". ".join(parts) + "."


def _of_these(number: int, fragmented: int) -> str:
    return f"all {number:,}" if number == fragmented else f"{number:,} of them"


def _first_only(firsts: int, partly: int) -> str:
    return "the first fragment only" if firsts == partly else f"of {firsts:,} the first fragment only"


def _longest_whole(direction: Direction, travelled: Fragmented) -> int:
    """IP length of the largest packet that arrived in one piece."""
    return int(direction.wire_length[direction.delivered & ~travelled.any].max())


def _remedy(pair: Comparison, direction: Direction, limit: path_mtu.Limit, known: bool) -> str:
    """State the MTU that avoids fragments, and how to allow fragments of this peer."""
    far, peers = direction.receiver.name, _peers(direction)
    text = path_mtu.settings(pair, direction, limit) if known else "Lower the pods' MTU."
    text += (
        "\nOr allow fragments between the nodes: security groups, firewalls and load balancers that match "
        "UDP ports drop later fragments, which carry none."
    )
    if shows_later_fragments(direction.receiver):  # then it is not the node's own firewall
        return text
    text += f" If it is the firewall of {far}, whose capture cannot show them (its filter names a port):"
    by_family = {4: [a for a in peers if ":" not in a], 6: [a for a in peers if ":" in a]}
    matches = {4: "-f", 6: "-m ipv6header --header frag --soft"}
    return text + "".join(commands.allow(far, by_family[f], matches[f]) for f in (4, 6) if by_family[f])


def _peers(direction: Direction) -> list[str]:
    """Addresses that the outermost packets of a direction come from."""
    flows, rows = direction.sender.flows, np.unique(direction.flow[direction.flow != NO_FLOW])
    outer = flows.outer_family[rows] != 0
    family = np.where(outer, flows.outer_family[rows], flows.family[rows])
    source = np.where(outer[:, None], flows.outer_src[rows], flows.src[rows])
    both = np.unique(np.column_stack((family, source)), axis=0)
    return list(address_text(both[:, 1:], both[:, 0]))


def _ruled_out(direction: Direction, lost: NDArray[np.bool_], travelled: Fragmented) -> tuple[RuledOut, ...]:
    whole = direction.judged & ~travelled.any
    gone = int(np.count_nonzero(whole & direction.lost))
    ruled_out = [
        RuledOut("packet-loss", f"of {count(int(whole.sum()), 'unfragmented packet')}, {gone:,} are lost")
    ]
    if not (travelled.vanished & lost).any():
        ruled_out.append(RuledOut("mtu-blackhole", "a part of each of these packets does arrive"))
        far = direction.receiver.name
        whole_capture = f"{far}'s capture is not filtered by port"
        proved = "the receiving ends acknowledge nothing of these packets, and all of others"
        hidden = (lost & direction.delivered).any()
        ruled_out.append(RuledOut("capture-loss", proved if hidden else whole_capture))
    else:
        longest = _longest_whole(direction, travelled)
        why = f"whole packets of {longest:,} bytes arrive, and fragments no larger than that do not"
        ruled_out.append(RuledOut("mtu-blackhole", why))
    return tuple(ruled_out)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
