"""A direction fills the queue of its slowest link: delay grows with the load (bufferbloat).

What it checks
    Does the one-way delay grow when more is sent than a link carries, so that everything waits?
Why it matters
    A transfer that fills a deep queue loses nothing and is as fast as the link, but everybody else's requests
    wait for the entire queue each time: name resolution takes seconds, and health checks time out.
How it decides
    When a packet waits in a queue, the packets ahead of it arrive first. The bytes that arrive during a
    packet's extra delay over the fastest one, divided by that delay, give the rate of the link: the same for
    all packets (quartiles within a quarter of the median). More than 1.2 times that rate was sent within the
    preceding 200 ms, and less than 0.85 times that rate where nothing waits. It is reported from 100 ms of
    waiting that lasts for half a second in total. It is a note, unless packets of other conversations wait
    for a second, which their users notice.
When it cannot tell
    With one capture, a queue and a congestion window look the same. If other traffic, which is not in the
    captures, shares the link, delay does not follow the load. The queue was full from the first packet to the
    last. The queue is in the sender's own node, before its capture: then packets leave at the link's rate,
    and none waits between the captures.
What looks like it
    A path that became longer (`delay-spike`), whatever the rate. A full window (`window-limited`), whose data
    does not wait on the path. A policer, which drops instead of queueing (`rate-limited`).
What to do
    Use a short or fair queue at the slowest link (fq_codel, cake), a limit just below its rate if others
    operate it, or a limit for the transfer itself.
Sources
    RFC 8289 (CoDel), RFC 8290 (FQ-CoDel); J. Gettys, K. Nichols, "Bufferbloat: dark buffers in the internet"
    (2011); ITU-T G.114; tc-cake(8).
"""

from collections.abc import Iterator

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.tcp.connections import connections
from vxlanalyze.analysis.tcp.waiting_columns import Cause
from vxlanalyze.analysis.timing import queues
from vxlanalyze.analysis.timing.queues import Queue
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import bit_rate, count, listed, moment, span
from vxlanalyze.wire.addresses import text

CODE = "queueing-delay"
_NOTICED_NS, _NOTICED_PACKETS = 1_000_000_000, 3
_MOST_NAMED = 3
_LEAST_NS = 500_000_000
_BELOW = 0.95  # of the link's rate: then the queue builds up where it can be managed


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for a queue in each direction."""
    if not pair.hops:
        return list(_of_one_capture(pair))
    found = ((d, queues.queue(d, pair.clock_of(d))) for d in pair.directions)
    return [_finding(pair, direction, queue) for direction, queue in found if queue is not None]


def _of_one_capture(pair: Comparison) -> Iterator[NotAssessed]:
    """State where connections wait for acknowledgements for a reason that one capture cannot show."""
    found = connections(pair)
    if found is not None and (found.waited_ns[:, Cause.ACKNOWLEDGEMENT] >= _LEAST_NS).any():
        why = "one capture cannot tell data that waits in a queue from a congestion window"
        yield NotAssessed(CODE, why)


def _finding(pair: Comparison, direction: Direction, queue: Queue) -> Finding:
    shown = np.zeros(len(direction), np.bool_)
    shown[queue.packets] = True
    exhibit = exhibits.of_packets(pair, direction, shown)
    waited = queue.waited_ns
    middle, most = int(np.median(waited)), int(waited.max())
    others = waited[queue.others]
    noticed = int(np.count_nonzero(others >= _NOTICED_NS)) >= _NOTICED_PACKETS
    relative = pair.clock_of(direction).relative
    path = "" if relative else f", in addition to the {span(queue.floor_ns)} of the path"
    return Finding(
        code=CODE,
        severity=Severity.WARNING if noticed else Severity.INFO,
        direction=direction.label,
        summary=f"What {direction.sender.name} sends to {direction.receiver.name} waits in a queue for "
        f"{span(middle)} in the median, {span(most)} at most{path}: the slowest link carries "
        f"{bit_rate(queue.bits_per_s)}",
        explanation=" ".join(_explanation(direction, queue, most)),
        remedy=_remedy(direction, queue),
        evidence={
            "waited_median": Quantity(middle, "ns"),
            "waited_most": Quantity(most, "ns"),
            "lasting": Quantity(queue.lasting_ns, "ns"),
            "smallest_delay": Quantity(None if relative else queue.floor_ns, "ns"),
            "link_rate": Quantity(round(queue.bits_per_s), "bit/s"),
            "sent_most": Quantity(round(queue.sent_bits_per_s), "bit/s"),
            "queue_most": Quantity(_held_bytes(queue, most), "bytes"),
            "packets": Quantity(len(queue.packets), "packets"),
            "packets_of_others": Quantity(len(others), "packets"),
            "others_waited_median": Quantity(int(np.median(others)) if len(others) else None, "ns"),
        },
        ruled_out=tuple(_ruled_out(direction)),
        frames=exhibit.frames,
        frame_count=exhibit.frame_count,
        display_filter=exhibit.display_filter,
    )


def _explanation(direction: Direction, queue: Queue, most: int) -> Iterator[str]:
    first = int(direction.sent_ns(queue.packets[:1])[0])
    rate, sent = bit_rate(queue.bits_per_s), bit_rate(queue.sent_bits_per_s)
    yield (
        f"From {moment(first)} on, for {span(queue.lasting_ns)} in all, packets arrive at {rate} though up "
        f"to {sent} are sent: up to {_held_bytes(queue, most):,} bytes stand before the slowest link."
    )
    yield f"The queue is filled by {listed(_named(direction, queue), at_most=_MOST_NAMED)}."
    others = queue.waited_ns[queue.others]
    if len(others):
        number = count(len(others), "packet")
        yield f"{number} of other conversations waited too, {span(int(np.median(others)))} in the median."


def _held_bytes(queue: Queue, most: int) -> int:
    return round(queue.bits_per_s * most / 8e9)


def _named(direction: Direction, queue: Queue) -> list[str]:
    flows = direction.sender.flows
    ends = [text(side[queue.bulk], flows.family[queue.bulk]) for side in (flows.src, flows.dst)]
    ports = [side[queue.bulk].tolist() for side in (flows.sport, flows.dport)]
    return [
        f"{endpoint_text(src, sport)} to {endpoint_text(dst, dport)}"
        for src, dst, sport, dport in zip(*ends, *ports, strict=True)
    ]


def _remedy(direction: Direction, queue: Queue) -> str:
    near = direction.sender.name
    kbit = max(1, round(_BELOW * queue.bits_per_s / 1000))
    return written(
        f"Limit the transfer itself to less than {bit_rate(queue.bits_per_s)} where it can be, or give the "
        "device before the slowest link a short, fair queue. See whether it is one of the node's own:",
        on(near, "tc -s qdisc show"),
        "If the device is not yours, send just below its rate, so that the queue stands here, and fair. This "
        f"limits all that {near} sends (NIC: the card with the node's address):",
        on(near, f"tc qdisc replace dev NIC root cake bandwidth {kbit}kbit"),
        "To undo it:",
        on(near, "tc qdisc del dev NIC root"),
    )


def _ruled_out(direction: Direction) -> Iterator[RuledOut]:
    if not direction.lost.any():
        yield RuledOut("rate-limited", "nothing is dropped: what is sent too fast waits")
    yield RuledOut("delay-spike", "the delay follows what the direction itself sends")


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
