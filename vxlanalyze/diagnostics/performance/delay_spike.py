"""The one-way delay of a direction jumps.

What it checks
    Is there a time in which all packets of a direction take longer than usual?
Why it matters
    A path change, a queue of other traffic, a policer or a paused host delays every packet: answers are late,
    transfers slow down, and packets beyond the retransmission time-out are sent twice.
How it decides
    In each 10 ms, the fastest packet counts, since a burst delays itself. It is slow if it exceeds the usual
    delay (that of the fastest fifth) by 1 ms, by eight times the spread of the fast ones, and by half of the
    usual delay. A run of slow ones is reported if random delays would produce it with a probability below
    `chance`, if it stands out from slow packets at other times, and if it lasts at least 200 ms and longer
    than the delay itself. Packets that were held back and arrive all at once count from 200 ms on, when TCP
    begins to retransmit.
When it cannot tell
    Too few packets; packets in one direction only, where a permanent change of delay may be a clock that was
    set; a clock that was set at that time; individual packets that are equally slow at other times; an
    irregular increase of less than 5 ms, as processes on a busy host wait for their turn; more load of its
    own at that time, which fills queues; flows that are slow from their first packet to their last.
What looks like it
    A clock that was set (`clock-step`): the other direction becomes faster by the same amount. Single late
    packets (`reordering`). The very first packet, which waits for address resolution. Queues that a transfer
    in the same direction fills itself.
What to do
    Find out what happened on the path at that time: routes, a failover, other load, a hypervisor that paused
    or moved the machine.
Sources
    RFC 7679 (one-way delay metric); S. Moon, P. Skelly, D. Towsley, INFOCOM 1999 (clocks under delays); Linux
    include/net/tcp.h, TCP_RTO_MIN; pcap-tstamp(7).
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.timing import delays
from vxlanalyze.analysis.timing.delays import Doubt, Series, Spike
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, moment, span

CODE = "delay-spike"


def check(pair: Comparison, *, chance: float = 1e-4) -> list[DiagnosticResult]:
    """Look for runs of slow packets in each direction.

    `chance` is the false alarm probability accepted for a direction.
    """
    results = (_direction(pair, direction, chance) for direction in pair.directions)
    return [answer for answer in results if answer is not None]


def _direction(pair: Comparison, direction: Direction, chance: float) -> DiagnosticResult | None:
    clock = pair.clock_of(direction)
    found = delays.series(direction, clock)
    needed = delays.least_slots(chance)
    if len(found) < needed:
        why = (
            f"packets with a known delay in {count(len(found), 'slot')} of 10 ms; a spike among fewer than "
            f"{needed} may be random"
        )
        return NotAssessed(CODE, why, direction.label)
    spikes = delays.spikes(direction, answers.opposite(pair, direction), clock, chance)
    certain = [s for s in spikes if s.doubt is Doubt.NONE]
    if certain:
        return _finding(pair, direction, found, certain)
    if spikes:
        worst = max(spikes, key=lambda s: s.by_ns)
        why = (
            f"{count(len(worst.packets), 'packet')} in a row take {span(worst.by_ns)} longer from "
            f"{moment(worst.from_ns)} on, but {worst.doubt.value}"
        )
        return NotAssessed(CODE, why, direction.label)
    return None


def _finding(pair: Comparison, direction: Direction, found: Series, spikes: list[Spike]) -> Finding:
    clock = pair.clock_of(direction)
    worst = max(spikes, key=lambda s: s.by_ns)
    packets = np.zeros(len(direction), np.bool_)
    packets[np.concatenate([s.packets for s in spikes])] = True
    shown = exhibits.of_packets(pair, direction, packets)
    usual = "" if clock.relative else f" above its usual {span(found.usual_ns)}"
    times = f" ({len(spikes)} times, this the worst)" if len(spikes) > 1 else ""
    how = (
        f"They arrive within {span(_arrival_span(direction, worst))} of each other: something held them "
        "back and let them go together, as a paused host or a full queue does."
        if worst.held_back
        else "They arrive with the spacing at which they were sent, each later than usual: the path has "
        "become longer."
    )
    since = moment(worst.from_ns)[:19].replace("T", " ")
    looks = (f"journalctl --utc --since '{since} UTC'", "tc -s qdisc show")
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=f"The delay from {direction.sender.name} to {direction.receiver.name} rises by "
        f"{span(worst.by_ns)}{usual} {_when(worst)}{times}",
        explanation=f"{count(len(worst.packets), 'packet')} sent one after the other, from "
        f"{moment(worst.from_ns)} to {moment(worst.to_ns)}, all take longer than usual, by "
        f"{span(worst.by_ns)} in the median and {span(worst.most_ns)} at most. {how}",
        remedy=written(
            f"Look at what happened on the path to {direction.receiver.name} at {moment(worst.from_ns)}: a "
            "route or link that changed, load of others, a policer, the hypervisor's log (live migration, "
            "snapshot), the counters of the switches between them. On the nodes:",
            *(on(name, *looks) for name in (direction.sender.name, direction.receiver.name)),
        ),
        evidence={
            "jump": Quantity(worst.by_ns, "ns"),
            "largest_excess": Quantity(worst.most_ns, "ns"),
            "usual_delay": Quantity(None if clock.relative else found.usual_ns, "ns"),
            "from": Quantity(moment(worst.from_ns)),
            "to": Quantity(moment(worst.to_ns)),
            "duration": Quantity(worst.to_ns - worst.from_ns, "ns"),
            "slow_packets": Quantity(int(packets.sum()), "packets"),
            "spikes": Quantity(len(spikes)),
        },
        ruled_out=_ruled_out(pair, direction),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _when(spike: Spike) -> str:
    lasting = span(spike.to_ns - spike.from_ns)
    if spike.at_end:
        return f"from {moment(spike.from_ns)} to the end ({lasting})"
    if spike.at_start:
        return f"from the beginning until {moment(spike.to_ns)} ({lasting})"
    return f"for {lasting} from {moment(spike.from_ns)} on"


def _arrival_span(direction: Direction, spike: Spike) -> int:
    times = direction.received_time_ns[spike.packets]
    return int(times.max() - times.min())


def _ruled_out(pair: Comparison, direction: Direction) -> tuple[RuledOut, ...]:
    excluded = [RuledOut("reordering", "all packets in a row are late, not single ones")]
    if pair.clock_of(direction).relative:
        excluded.append(RuledOut("clock-step", "the delay returns to what it was"))
    else:
        excluded.append(RuledOut("clock-step", "the opposite direction does not become faster at that time"))
    return tuple(excluded)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
