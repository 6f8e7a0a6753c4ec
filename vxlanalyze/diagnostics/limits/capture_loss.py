"""A capture lacks packets that its host received or sent.

What it checks
    Did the kernel drop packets before they were written, or do other packets prove that a capture lacks some?
Why it matters
    A packet that was not captured looks like one that was lost. Where captures lose packets, loss between the
    nodes is only bounded from above.
How it decides
    There are three kinds of evidence, each sufficient by itself. The counters of the capture (pcapng's
    interface statistics, tcpdump's closing lines). TCP data that is acknowledged in this capture but never
    appears in it. Packets that arrived at the other point while this one was capturing, between others of the
    same conversation that it has. A capture that shows no packet of a direction of which some were answered
    does not record arrivals, as with tcpdump's `-Q out`; one that shows no packet of a direction of which the
    other shows many does not record departures.
When it cannot tell
    A classic pcap holds no counters; without TCP in it and without packets that only the other side saw,
    there is no evidence.
What looks like it
    A capture that began late or ended early lacks packets outside of its window. Super-packets contain all
    their bytes. Outer fragments of which only the first one passed the capture's filter are left out, and so
    are truncated headers.
What to do
    Give tcpdump a larger buffer and less to write: `-B 65536 -s 192`, a filter, a faster disk.
Sources
    Zeek, policy/misc/capture-loss; pcap_stats(3PCAP); draft-ietf-opsawg-pcapng section 4.6 (isb_ifdrop,
    isb_osdrop).
"""

from shlex import quote
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import drop_counts, exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import forged
from vxlanalyze.analysis.requests.answers import opposite
from vxlanalyze.analysis.tcp.tcp_streams import seen
from vxlanalyze.analysis.underlay import capturing, tunnel_ends
from vxlanalyze.pairing.model import NO_DELAY, CaptureFacts, Comparison, Direction, Outcome, Point, Reason
from vxlanalyze.pairing.one_sided import hides_arrivals, hides_departures, unrelated
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import CHECK_MASK, INNER_L4_SHIFT, Checksum

CODE = "capture-loss"


class _Witness(NamedTuple):
    """Evidence against one capture; `dropped` is None without counters."""

    facts: CaptureFacts
    point: Point
    dropped: int | None
    holes: int
    hole_bytes: int
    streams: int
    hole_rows: NDArray[np.int32]
    uncaptured: int
    received: list[tuple[Point, NDArray[np.int32]]]
    answered: int
    deaf_to: list[str]  # senders of whose packets it shows none although its node answered them
    mute_to: list[str]  # receivers of its node's packets, of which it shows none
    other_card: list[str]  # addresses that these come from and that are never sent to

    @property
    def lacks(self) -> bool:
        return bool(self.dropped or self.holes or self.uncaptured or self.answered or self.mute_to)

    @property
    def stated(self) -> bool:
        return self.lacks or self.dropped is not None or self.streams > 0


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for evidence of packets that captures lack."""
    if any(unrelated(hop) for hop in pair.hops):
        return []  # the captures have no packets in common: see no-common-traffic
    witnesses = [_witness(pair, capture) for capture in range(len(pair.captures))]
    lacking = [w for w in witnesses if w.lacks]
    if lacking:
        return [_finding(pair, lacking)]
    silent = [w.facts.name for w in witnesses if w.facts.packets and not w.stated]
    if not silent:
        return []
    why = "no drop counters and no TCP: nothing would show if packets were missing"
    return [NotAssessed(CODE, f"{listed(silent)}: {why}")]


def _witness(pair: Comparison, capture: int) -> _Witness:
    facts = pair.captures[capture]
    places = [i for i, p in enumerate(pair.points) if p.capture == capture and p.name == facts.name]
    each = seen(pair)[places[0]]
    sent = [(d, _uncaptured(pair, d)) for d in pair.directions if d.sender.capture == capture]
    came = [d for d in pair.directions if d.receiver.capture == capture]
    # A capture need not hold answers forged in its node's name.
    answered = sum(
        int(((d.reason == Reason.CAPTURE_LOSS) & (d.outcome == Outcome.UNKNOWN)).sum()) - d.maybe_lost
        for d in came
        if not len(forged.proved(pair, opposite(pair, d)))
    )
    rows = each.missing.row[each.missing.holes > 0]
    mute = [d for d, _ in sent if hides_departures(d) and facts.tunnel_packets]
    return _Witness(
        facts=facts,
        point=each.point,
        dropped=drop_counts.stated(pair, facts),
        holes=int(each.missing.holes.sum()),
        hole_bytes=int(each.missing.octets.sum()),
        streams=int(np.count_nonzero(each.progress.segments)),
        hole_rows=rows.astype(np.int32),
        uncaptured=sum(len(rows) for _, rows in sent),
        received=[(d.receiver, rows) for d, rows in sent if len(rows)],
        answered=answered,
        deaf_to=[d.sender.name for d in came if hides_arrivals(d)],
        mute_to=[d.receiver.name for d in mute],
        other_card=[a for d in mute for a in tunnel_ends.other_sources(d, opposite(pair, d))],
    )


def _uncaptured(pair: Comparison, direction: Direction) -> NDArray[np.int32]:
    """Rows at the receiver of packets missing at the sender, which has those before and after.

    Only packets of conversations in the sender's capture count, and none with damaged content (its partner
    cannot be found). They are ordered by the receiver's clock alone.
    """
    rows = direction.unsent_row[direction.unsent_reason != Reason.OTHER_PEER]
    rows = rows[~np.isin(rows, forged.proved(pair, direction))]
    delivered = direction.delivered & (direction.delay_ns != NO_DELAY)
    if not len(rows) or not delivered.any():
        return np.empty(0, np.int32)
    index, flows = direction.receiver.index, direction.receiver.flows
    arrived = index.time_ns[direction.received_row[delivered]]
    delay_ns = direction.delay_ns[delivered]
    # With Python's integers: damaged files have times at the limits of int64.
    spread_ns = int(delay_ns.max()) - int(delay_ns.min())
    times = index.time_ns[rows]
    between = (times > int(arrived.min()) + spread_ns) & (times < int(arrived.max()) - spread_ns)
    state = index.checks[rows] >> INNER_L4_SHIFT & CHECK_MASK
    sound = (state != Checksum.BAD) & (state != Checksum.ALL_ONES)
    known = np.isin(flows.identity[index.flow[rows]], direction.sender.flows.identity[direction.flow])
    chosen: NDArray[np.int32] = rows[between & sound & known]
    return chosen


def _finding(pair: Comparison, lacking: list[_Witness]) -> Finding:
    parts = [f"{w.facts.name} ({_stated(w)})" for w in lacking]
    shown = exhibits.of_rows(pair, [side for w in lacking for side in ((w.point, w.hole_rows), *w.received)])
    evidence: dict[str, Quantity] = {}
    for w in lacking:
        evidence |= {
            f"{w.facts.name} dropped_by_kernel": Quantity(w.dropped, "packets"),
            f"{w.facts.name} acknowledged_unseen": Quantity(w.hole_bytes, "bytes"),
            f"{w.facts.name} received_elsewhere": Quantity(w.uncaptured, "packets"),
            f"{w.facts.name} answered_unseen": Quantity(w.answered, "packets"),
        }
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        summary=f"Captures lack packets that their hosts had: {listed(parts)}",
        explanation=_explanation(pair),
        remedy=_remedy(pair, lacking),
        evidence=evidence,
        explained_by=("capture-damaged",) if all(w.facts.damages for w in lacking) else (),
        ruled_out=(
            *_delivered(lacking),
            RuledOut("windows-disjoint", "what lies before the first or after the last frame is not counted"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _explanation(pair: Comparison) -> str:
    """State the consequences for each direction's loss: an uncaptured packet looks like a lost one."""
    maybe = [_maybe(d) for d in pair.directions if d.maybe_lost]
    text = "A packet that was not captured looks like a lost one. "
    if maybe:
        text += (
            "The captures state that they dropped as many packets, so these count as unknown, not as lost: "
            f"{'; '.join(maybe)}. "
        )
    return text + (
        "Packets whose arrival is proved otherwise are not counted as lost. Any further loss in these "
        "directions is bounded from above only."
    )


def _delivered(lacking: list[_Witness]) -> tuple[RuledOut, ...]:
    """Rule out loss in the network for packets proved to have passed it."""
    if not any(w.holes or w.uncaptured or w.answered for w in lacking):
        return ()
    why = "the network delivered what was acknowledged, answered or received elsewhere"
    return (RuledOut("packet-loss", why),)


def _maybe(direction: Direction) -> str:
    """Name the missing packets of a direction that its capture may have dropped."""
    missing = f"{count(direction.maybe_lost, 'missing packet')} {direction.label}"
    if direction.lost.any():
        return f"{missing}, besides {int(np.count_nonzero(direction.lost)):,} that were lost"
    most = direction.maybe_lost / (int(np.count_nonzero(direction.judged)) + direction.maybe_lost)
    return f"{missing} (between 0 and {100 * most:.3g} % loss)"


def _remedy(pair: Comparison, lacking: list[_Witness]) -> str:
    captures = [witness.facts for witness in lacking]
    elsewhere = [w for w in lacking if w.other_card]
    if elsewhere:
        where = [f"{w.facts.name} from {listed(w.other_card)}" for w in elsewhere]
        return written(
            f"Packets leave {listed(where)}, by another network card. Capture all of them:",
            *(on(w.facts.name, f"tcpdump -ni any -B 65536 -w {quote(w.facts.name)}.pcap") for w in elsewhere),
        )
    deaf = [w.facts.name for w in lacking if w.deaf_to]
    mute = [w.facts.name for w in lacking if w.mute_to]
    missed = [f"what {does} {listed(who)}" for does, who in (("arrives at", deaf), ("leaves", mute)) if who]
    if missed:
        return written(
            f"Capture {listed(missed)}, too: without the option -Q (--direction), and without a filter on "
            "source or destination addresses (NIC: the node's network card):",
            capturing.on_both(pair, captures),
        )
    if all(facts.mirror is not None for facts in captures):
        return (
            "Capture on the nodes instead of mirroring, or mirror less: the collector lacks copies that were "
            "lost on the path to it, or that it did not write."
        )
    return written(
        "Capture with a larger buffer and less of each packet, to a local disk or tmpfs (NIC: the node's "
        "network card). The closing line of tcpdump says how many packets the kernel dropped:",
        capturing.on_both(pair, captures, "-B 65536 -s 192"),
    )


def _stated(witness: _Witness) -> str:
    parts = []
    if witness.mute_to:
        source = f" from {listed(witness.other_card)}" if witness.other_card else ""
        parts.append(f"nothing that it sends to {listed(witness.mute_to)}{source}, which holds it")
    if witness.deaf_to:
        return "; ".join(
            [*parts, f"nothing that arrives from {listed(witness.deaf_to)}, though it was answered"]
        )
    if witness.dropped:
        whole = witness.facts.packets + witness.dropped
        lost = f"{witness.dropped:,}, {100 * witness.dropped / whole:.3g} %"
        mirror = witness.facts.mirror
        parts.append(
            f"the sequence numbers of its mirror lack {lost}"
            if mirror is not None and mirror.missing == witness.dropped
            else f"the kernel dropped {lost}"
        )
    if witness.holes:
        parts.append(
            f"{count(witness.hole_bytes, 'byte')} of TCP in {count(witness.holes, 'place')} were "
            "acknowledged and never seen"
        )
    if witness.uncaptured:
        parts.append(f"{count(witness.uncaptured, 'packet')} of it arrived at the other point")
    if witness.answered:
        parts.append(f"{count(witness.answered, 'packet')} that it lacks were answered")
    return "; ".join(parts)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, slow=True)
