"""The questions that are asked of a Comparison, and what comes of asking them all.

`DIAGNOSTICS` stands in causal order: what comes first explains what comes later. Where two findings
are equally bad, the earlier one is the better answer to "what is wrong?".
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from vxlanalyze.diagnostics import (
    burst_outage,
    capture_damaged,
    capture_loss,
    causes,
    checksum_offload,
    clock_offset,
    clock_step,
    corrupted_in_transit,
    delay_spike,
    dns_unanswered,
    duplicate_tunnel_mac,
    duplication,
    ecmp_member_blocked,
    encrypted_underlay,
    endpoint_refused,
    endpoint_silent,
    facts_check,
    flow_blocked,
    fragments_lost,
    inner_checksum_bad,
    mtu_blackhole,
    mtu_icmp_needed,
    nested_tunnel,
    no_common_traffic,
    no_tunnel_traffic,
    not_answered,
    not_encapsulated,
    outer_address_rewritten,
    outer_checksum_bad,
    outer_fragmentation,
    packet_loss,
    path_blocked,
    port_unreachable,
    protocol_blocked,
    reordering,
    same_capture,
    stale_tunnel_mac,
    tcp_stalled,
    truncated_capture,
    vni_mismatch,
    windows_disjoint,
    wrong_tunnel_endpoint,
)
from vxlanalyze.diagnostics.base import Diagnostic, Finding, NotAssessed
from vxlanalyze.errors import UsageError, VxlanalyzeError
from vxlanalyze.nearest import nearest
from vxlanalyze.pairing.model import Comparison

DIAGNOSTICS: tuple[Diagnostic, ...] = (
    # What leaves no answer at all:
    same_capture.DIAGNOSTIC,
    windows_disjoint.DIAGNOSTIC,
    no_tunnel_traffic.DIAGNOSTIC,
    no_common_traffic.DIAGNOSTIC,
    # What leaves wrongly:
    not_encapsulated.DIAGNOSTIC,
    wrong_tunnel_endpoint.DIAGNOSTIC,
    # What the way takes: path-blocked, protocol-blocked, ecmp-member-blocked, flow-blocked,
    # mtu-icmp-needed, mtu-blackhole, fragments-lost, burst-outage
    path_blocked.DIAGNOSTIC,
    protocol_blocked.DIAGNOSTIC,
    ecmp_member_blocked.DIAGNOSTIC,
    flow_blocked.DIAGNOSTIC,
    mtu_icmp_needed.DIAGNOSTIC,
    mtu_blackhole.DIAGNOSTIC,
    fragments_lost.DIAGNOSTIC,
    burst_outage.DIAGNOSTIC,
    # What arrives damaged:
    corrupted_in_transit.DIAGNOSTIC,
    outer_checksum_bad.DIAGNOSTIC,
    inner_checksum_bad.DIAGNOSTIC,
    # What dies inside the receiver:
    port_unreachable.DIAGNOSTIC,
    vni_mismatch.DIAGNOSTIC,
    stale_tunnel_mac.DIAGNOSTIC,
    duplicate_tunnel_mac.DIAGNOSTIC,
    not_answered.DIAGNOSTIC,
    # What suffers:
    outer_fragmentation.DIAGNOSTIC,
    packet_loss.DIAGNOSTIC,
    delay_spike.DIAGNOSTIC,
    reordering.DIAGNOSTIC,
    duplication.DIAGNOSTIC,
    # What the pods see of it:
    endpoint_refused.DIAGNOSTIC,
    endpoint_silent.DIAGNOSTIC,
    dns_unanswered.DIAGNOSTIC,
    tcp_stalled.DIAGNOSTIC,
    # What limits the answer without being a fault:
    capture_loss.DIAGNOSTIC,
    capture_damaged.DIAGNOSTIC,
    truncated_capture.DIAGNOSTIC,
    clock_step.DIAGNOSTIC,
    # What only looks like a fault: checksum-offload, outer-address-rewritten, nested-tunnel,
    # encrypted-underlay, clock-offset
    checksum_offload.DIAGNOSTIC,
    outer_address_rewritten.DIAGNOSTIC,
    nested_tunnel.DIAGNOSTIC,
    encrypted_underlay.DIAGNOSTIC,
    clock_offset.DIAGNOSTIC,
)


@dataclass(frozen=True, slots=True)
class Broken:
    """A diagnostic that raised: a bug of ours, never a property of the captures."""

    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What all diagnostics said; the first finding is the answer to "what is wrong?".

    `asked` are the codes of those that ran: what is asked and told nowhere is clear.
    """

    findings: tuple[Finding, ...]
    not_assessed: tuple[NotAssessed, ...]
    broken: tuple[Broken, ...]
    asked: tuple[str, ...] = ()


def diagnose(
    comparison: Comparison,
    select: Collection[str] | None = None,
    ignore: Collection[str] | None = None,
    diagnostics: tuple[Diagnostic, ...] = DIAGNOSTICS,
) -> Diagnosis:
    """Ask every question, and put the answers in causal order.

    Parameters
    ----------
    select : collection of codes, optional
        Ask only these.
    ignore : collection of codes, optional
        Do not ask these.
    """
    asked = [d for d in diagnostics if (select is None or d.code in select) and d.code not in (ignore or ())]
    findings: list[Finding] = []
    not_assessed: list[NotAssessed] = []
    broken: list[Broken] = []
    for diagnostic in asked:
        try:
            answers = diagnostic.check(comparison)
        except (VxlanalyzeError, MemoryError):
            raise  # a capture changed, the memory is full: nothing that the question can help
        except Exception as error:  # noqa: BLE001  one broken question must not silence the others
            broken.append(Broken(diagnostic.code, f"{type(error).__name__}: {error}"))
            continue
        findings += [a for a in answers if isinstance(a, Finding)]
        not_assessed += [a for a in answers if isinstance(a, NotAssessed)]
    ordered = facts_check.with_evidence(causes.order(findings, diagnostics, comparison), comparison)
    return Diagnosis(ordered, tuple(not_assessed), tuple(broken), tuple(d.code for d in asked))


def demand_codes(codes: Iterable[str]) -> None:
    """Check that codes are those of diagnostics.

    Raises
    ------
    UsageError
        Names the first that is not, and the nearest known one.
    """
    known = [diagnostic.code for diagnostic in DIAGNOSTICS]
    for code in codes:
        if code not in known:
            raise UsageError(f"no diagnostic is called {code}{nearest(code, known)}")
