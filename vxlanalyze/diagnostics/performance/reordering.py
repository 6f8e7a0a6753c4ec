"""Packets of a flow are reordered on the path.

What it checks
    Do packets arrive after others of the same flow that were sent later?
Why it matters
    TCP interprets three packets out of order as a loss: it retransmits packets that were never lost and
    halves its rate. Receivers deliver nothing until the gap is filled, and can no longer merge packets (GRO).
How it decides
    A packet is late if a later one of its flow arrived before it, in the receiver's capture and by its clock,
    by more than the captures' own stamps are out of order. It is reported if more than `tolerable_ratio` of
    the packets are late, beyond a probability of `chance` (below that no transfer suffers), and if one of
    them is more than 50 µs or three packets late.
When it cannot tell
    Fewer than two packets of any flow arrived. Packets identical to others are left out: they may be paired
    crosswise.
What looks like it
    The end of a `delay-spike`, when later packets overtake earlier ones: then it is a consequence of the
    spike. Flows on different paths (only packets of one flow are compared); retransmissions, which are
    separate packets; a card with several queues that stamps packets out of order.
What to do
    Find what spreads the packets of one flow over several paths: per-packet instead of per-flow balancing
    (bonding mode balance-rr, packet spraying in switches), or a path in which some packets wait longer.
Sources
    RFC 4737 sections 3.3, 4.2 and 4.3; RFC 5681 section 3.2 (three duplicate acknowledgements); Linux
    Documentation/networking/bonding.rst (balance-rr).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss.affected import protocols
from vxlanalyze.analysis.requests import answers, silence
from vxlanalyze.analysis.timing import delays, order
from vxlanalyze.analysis.timing.delays import Doubt
from vxlanalyze.analysis.timing.order import LatePackets
from vxlanalyze.pairing.model import Clock, Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, share, span
from vxlanalyze.wire.model import Encryption

CODE = "reordering"
_DUPLICATE_ACKNOWLEDGEMENTS = 3
_NEARLY_ALL = 0.9
# Neighbours handled by two processors are stamped and passed on in either order; pcap-tstamp(7).
_STAMP_NS = 50_000


def check(pair: Comparison, *, tolerable_ratio: float = 1e-4, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Compare the orders in which each flow's packets were sent and arrived.

    A `tolerable_ratio` of late packets does no harm; `chance` is the false alarm probability accepted for a
    direction with exactly that ratio.
    """
    results: list[DiagnosticResult] = []
    for direction in pair.directions:
        found = order.late(direction)
        if found.judged < 2:
            why = "fewer than two packets whose order could be compared arrived"
            results.append(NotAssessed(CODE, why, direction.label))
        elif (
            _matters(found, pair.clock_of(direction))
            and silence.chance(len(found.packets), found.judged, tolerable_ratio) < chance
        ):
            results.append(_finding(pair, direction, found, chance))
    return results


def _matters(found: LatePackets, clock: Clock) -> bool:
    """Whether any packet is late by more than time stamping and parallel processing explain."""
    if not len(found.packets) or found.by_ns.max() <= clock.contradiction_ns:
        return False
    return bool(found.by_ns.max() > _STAMP_NS or found.extent.max() >= _DUPLICATE_ACKNOWLEDGEMENTS)


def _finding(pair: Comparison, direction: Direction, found: LatePackets, chance: float) -> Finding:
    late = np.zeros(len(direction), np.bool_)
    late[found.packets] = True
    packets = len(found.packets)
    median_ns, most_ns = int(np.median(found.by_ns)), int(found.by_ns.max())
    harmful = int((found.extent >= _DUPLICATE_ACKNOWLEDGEMENTS).sum())
    flows = len(np.unique(direction.flow[found.packets]))
    kinds = listed([f"{n:,} {p}" for p, n in protocols(direction, late).items()])
    shown = exhibits.of_packets(pair, direction, late)
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=f"{share(packets, found.judged).capitalize()} packets from {direction.sender.name} arrive "
        f"after packets of their flow that were sent later, typically by {span(median_ns)}",
        explanation=f"{count(packets, 'packet')} ({kinds}) of {count(flows, 'flow')} are late by "
        f"{span(median_ns)} in the median and {span(most_ns)} at most, past up to "
        f"{count(int(found.extent.max()), 'packet')}. {harmful:,} "
        f"{'is' if harmful == 1 else 'are'} overtaken by three packets or more, which TCP takes for a "
        f"loss.{_likely(found)}",
        remedy=written(
            "Look for balancing by packet: a bond in mode balance-rr, link aggregation or switches that "
            "spray packets, two paths of different length with per-packet routing."
            f"{_by_flow(direction, late)} The modes of bonds:",
            *(on(d.name, "grep -H Mode /proc/net/bonding/*") for d in (direction.sender, direction.receiver)),
            "To see how TCP is affected, in the network namespace of a sending pod:",
            on(direction.sender.name, "nstat -az TcpExtTCPDSACKRecv TcpExtTCPSACKReorder"),
            *_replay_window(direction, late, found),
        ),
        evidence={
            "late": Quantity(packets, "packets"),
            "judged": Quantity(found.judged, "packets"),
            "late_ratio": Quantity(packets / found.judged, "ratio"),
            "late_by_median": Quantity(median_ns, "ns"),
            "late_by_most": Quantity(most_ns, "ns"),
            "largest_extent": Quantity(int(found.extent.max()), "packets"),
            "past_three_or_more": Quantity(harmful, "packets"),
            "flows": Quantity(flows, "flows"),
        },
        ruled_out=_ruled_out(direction),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
        explained_by=("delay-spike",) if _at_the_end_of_spikes(pair, direction, found, chance) else (),
    )


def _encryption(direction: Direction, late: NDArray[np.bool_]) -> Encryption:
    """What the late packets are encrypted with, where they all are."""
    kinds = np.unique(direction.sender.flows.encryption[direction.flow[late]])
    return Encryption(int(kinds[0])) if len(kinds) == 1 else Encryption.NONE


def _by_flow(direction: Direction, late: NDArray[np.bool_]) -> str:
    """What balancing by flow does to these packets."""
    flows = direction.sender.flows
    ports = (flows.outer_sport | flows.outer_dport)[direction.flow[late]] > 0
    encrypted = _encryption(direction, late) is not Encryption.NONE
    if encrypted:
        ports |= (flows.sport | flows.dport)[direction.flow[late]] > 0
    if ports.all():
        return " Packets of a flow share an outer source port, so balancing by UDP ports keeps them in order."
    return " They have no ports; balancing by addresses keeps them in order." if not ports.any() else ""


def _replay_window(direction: Direction, late: NDArray[np.bool_], found: LatePackets) -> tuple[str, ...]:
    """What a receiver of encrypted packets makes of disorder: beyond its replay window, it drops them."""
    if _encryption(direction, late) is not Encryption.ESP:
        return ()
    most, receiver = count(int(found.extent.max()), "packet"), direction.receiver.name
    return (
        f"ESP drops packets that are late by more packets than its replay window has (here, up to {most}): "
        "see the window of the states, and whether the counter rises during a test:",
        on(receiver, "ip xfrm state | grep -E 'src|replay'", "nstat -az XfrmInStateSeqError"),
        "If it does, use a larger window (strongSwan: replay_window of the connection; at least 128).",
    )


def _at_the_end_of_spikes(pair: Comparison, direction: Direction, found: LatePackets, chance: float) -> bool:
    """Whether nearly all late packets were sent during increased delay, and overtaken when it fell."""
    back, clock = answers.opposite(pair, direction), pair.clock_of(direction)
    spikes = [s for s in delays.spikes(direction, back, clock, chance) if s.doubt is Doubt.NONE]
    slow = np.zeros(len(direction), np.bool_)
    for spike in spikes:
        slow[spike.packets] = True
    return bool(slow[found.packets].mean() > _NEARLY_ALL)


def _likely(found: LatePackets) -> str:
    """A second path makes all late packets about equally late; a queue does not."""
    low, high = np.percentile(found.by_ns, [10, 90])
    if len(found.by_ns) < 10 or high > 1.5 * low:
        return ""
    return " They are late by about the same time each, as on a second, longer path."


def _ruled_out(direction: Direction) -> tuple[RuledOut, ...]:
    excluded = [RuledOut("packet-loss", "these packets arrive")]
    disorder = max(order.disorder_ns(direction.sender), order.disorder_ns(direction.receiver))
    if disorder:
        excluded.append(
            RuledOut("clock-step", f"stamps within the captures are out of order by {span(disorder)} at most")
        )
    return tuple(excluded)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=("delay-spike",))
