"""Outer UDP checksums arrive invalid: the receiving kernel discards the packets before it looks inside.

What it checks
    Do packets reach the other node with an outer UDP checksum that is neither valid, nor absent, nor a
    partial one left by offload?
Why it matters
    tcpdump shows these packets on the receiver, so the path looks fine, but the kernel drops them ("UDP: bad
    checksum", `UdpInCsumErrors`). Known bugs of NAT combined with checksum offload, of network cards and of
    hypervisors affect all tunnel packets, or some.
How it decides
    The checksum is recomputed from packets captured in full. An invalid one at the receiver is not an effect
    of offload, which only shows at the sender. A sample at both points shows which kind it is: all ones;
    equal at both points, so invalid when sent; the source port rewritten (the original follows from the
    checksum); an address rewritten; or computed incorrectly between the captures. Unfilled checksums count
    only where nothing of these flows is answered, beyond a probability of `chance`.
When it cannot tell
    No packet with an outer checksum was captured in full (a snap length, fragments). Checksums are invalid,
    but the packets are accepted nevertheless (a receiver need not verify: RFC 7348 section 4.1).
What looks like it
    Offload at the sender (`checksum-offload`); unfilled checksums over a path inside one host, which are
    answered; frames that the receiving kernel merged; packets damaged on the path, whose checksum is invalid
    for that reason (`corrupted-in-transit`).
What to do
    All ones, or a rewritten port: exempt the tunnel's packets from NAT, or disable checksum offload: `ethtool
    -K <tunnel device> tx-checksum-ip-generic off`, Calico ChecksumOffloadBroken. Filled in incorrectly:
    disable the tunnel offload of that card, update its firmware or the hypervisor.
Sources
    RFC 768; RFC 1624; RFC 7348 section 5; calico issues 3145 and 4865, pull requests 6842 and 9036; rke2
    issue 1541; kubernetes issues 88986 and 92035; Linux net/core/utils.c, inet_proto_csum_replace4, and
    commit ea64d8d6c675; Broadcom KB 385625.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import alone, checksums, forensics, outer_checksum_kinds
from vxlanalyze.analysis.integrity.checksums import Checks
from vxlanalyze.analysis.integrity.forensics import ChecksumKind, Forensics
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.analysis.underlay.tunnel_ends import origins
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.text.words import count, listed, share
from vxlanalyze.wire.model import OUTER_L4_SHIFT, Checksum
from vxlanalyze.wire.protocols import TITLES

CODE = "outer-checksum-bad"


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Verify the outer checksums of each direction's packets on arrival.

    `chance` is the false alarm probability accepted for a direction.
    """
    return alone.run_directions(
        pair, CODE, lambda looked_at, direction: _direction(looked_at, direction, chance)
    )


def _direction(pair: Comparison, direction: Direction, chance: float) -> DiagnosticResult | None:
    checks = checksums.of(direction, OUTER_L4_SHIFT)
    at_origin = any(direction is d for d in origins(pair))
    wrong = checksums.where_it_became(checks.wrong, checks.sent, origin=at_origin) & ~direction.corrupted
    unfilled = checks.unfilled & checks.judged
    if not wrong.any() and not unfilled.any():
        return _not_seen(direction, checks)
    responses = answers.of(direction)
    if wrong.any():
        accepted = checksums.fate_of(checks.wrong, direction, responses).accepted
        if accepted:
            why = (
                f"{count(int(wrong.sum()), 'packet')} arrive with an invalid outer checksum, but "
                f"{count(accepted, 'flow')} of nothing else are answered: {direction.receiver.name} "
                "accepts them"
            )
            return NotAssessed(CODE, why, direction.label)
        examined = forensics.examine(pair, direction, wrong, checks.received, chance)
        return _finding(pair, direction, checks, wrong, examined)
    fate = checksums.fate_of(unfilled, direction, responses)
    if fate.accepted:
        return None
    if responses.silent(chance, fate.ignored):
        chosen = unfilled & fate.ignored[responses.flow]
        examined = Forensics(ChecksumKind.NEVER_FILLED, int(chosen.sum()), int(chosen.sum()), 0)
        return _finding(pair, direction, checks, chosen, examined)
    why = (
        f"{count(int(unfilled.sum()), 'packet')} arrive with a checksum that was never completed, as on a "
        "path inside one host; whether they are accepted is not known"
    )
    return NotAssessed(CODE, why, direction.label)


def _not_seen(direction: Direction, checks: Checks) -> NotAssessed | None:
    """Clear, unless nothing could be judged; an absent checksum cannot be invalid."""
    arrived = direction.received_row != NO_ROW
    if not arrived.any():
        return NotAssessed(CODE, "no packet was seen to arrive", direction.label)
    if checks.judged.any() or not (checks.received == Checksum.UNVERIFIABLE).any():
        return None
    return NotAssessed(
        CODE, "no packet was captured in full, so no checksum can be verified", direction.label
    )


def _finding(
    pair: Comparison,
    direction: Direction,
    checks: Checks,
    wrong: NDArray[np.bool_],
    examined: Forensics,
) -> Finding:
    responses = answers.of(direction)
    near, far = direction.sender.name, direction.receiver.name
    packets, judged = int(wrong.sum()), int(checks.judged.sum())
    flows = direction.sender.flows
    ports = np.unique(flows.outer_sport[responses.flow[wrong]])
    kinds = np.unique(flows.protocol[responses.flow[wrong]])
    unanswered = int((responses.unanswered() & wrong).sum())
    below = underlay.of(direction, pair.cluster, wrong)
    described = outer_checksum_kinds.KINDS[examined.kind](
        outer_checksum_kinds.ChecksumCase(examined, near, far, below)
    )
    shown = exhibits.of_packets(pair, direction, wrong)
    silence = f" {count(unanswered, 'request')} among them got no answer." if unanswered else ""
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"Outer UDP checksums from {near} are invalid on arrival "
        f"({share(packets, judged)} packets "
        f"{_that_have_one(checks)}): {described.verdict}",
        explanation=f"{share(packets, judged).capitalize()} packets with an outer checksum reach {far} "
        f"with an invalid one, from {count(len(ports), 'outer source port')}, with {listed(_names(kinds))} "
        f"inside. {described.words} The kernel of {far} discards them before it takes them out of the "
        f"tunnel.{silence}",
        remedy=described.remedy,
        evidence={
            "wrong": Quantity(packets, "packets"),
            "judged": Quantity(judged, "packets"),
            "kind": Quantity(examined.kind.value),
            "same_at_both_points": Quantity(examined.same_at_both, "packets of the sample"),
            "sampled": Quantity(examined.sampled, "packets"),
            "outer_source_ports": Quantity(len(ports)),
            "unanswered_requests": Quantity(unanswered, "packets"),
            **described.evidence,
        },
        ruled_out=_ruled_out(direction, checks, wrong),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _that_have_one(checks: Checks) -> str:
    """Describe the packets whose checksum can be judged."""
    cut = bool((checks.received == Checksum.UNVERIFIABLE).any())
    return "that have one and were captured in full" if cut else "that have one"


def _names(protocols: NDArray[np.uint8]) -> list[str]:
    return [TITLES.get(int(p), f"protocol {p}") for p in protocols]


def _ruled_out(direction: Direction, checks: Checks, wrong: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    damaged = int((direction.corrupted & checks.wrong).sum())
    excluded = [
        RuledOut("checksum-offload", "offload leaves checksums unfilled at the sender, not at the receiver")
    ]
    if damaged == 0 and not alone.is_alone(direction):
        excluded.append(
            RuledOut("corrupted-in-transit", "the inner bytes of these packets arrive as they were sent")
        )
    excluded.append(
        RuledOut("path-blocked", f"all {int(wrong.sum()):,} packets are in the receiver's capture")
    )
    return tuple(excluded)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=("corrupted-in-transit",))
