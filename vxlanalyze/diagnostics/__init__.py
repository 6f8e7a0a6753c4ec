"""Run the diagnostics on a Comparison and collect their results.

`DIAGNOSTICS` is in causal order: earlier ones explain later ones. Of two equally severe findings, the earlier
one is the better answer to "what is wrong?".
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from vxlanalyze.analysis.finding import Diagnostic, DiagnosticResult, Finding, NotAssessed
from vxlanalyze.diagnostics import causes
from vxlanalyze.errors import UsageError, VxlanalyzeError
from vxlanalyze.memory import heap
from vxlanalyze.memory.threads import threads
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.nearest import nearest

_MODULES = (
    # Nothing can be compared:
    "limits.same_capture",
    "limits.windows_disjoint",
    "limits.no_tunnel_traffic",
    "limits.no_common_traffic",
    # Sent incorrectly:
    "path.not_encapsulated",
    "path.wrong_tunnel_endpoint",
    # Lost on the path:
    "path.ttl_exceeded",
    "path.foreign_reset",
    "path.path_blocked",
    "path.group_blocked",
    "path.protocol_blocked",
    "path.new_flows_blocked",
    "path.ecmp_member_blocked",
    "path.flow_blocked",
    "path.header_blocked",
    "size.mtu_icmp_needed",
    "size.mtu_blackhole",
    "size.fragments_lost",
    "size.reassembly_timeout",
    "path.burst_outage",
    # Damaged on arrival:
    "integrity.merged_datagram",
    "integrity.corrupted_in_transit",
    "integrity.outer_checksum_bad",
    "integrity.inner_checksum_bad",
    # Dropped inside the receiver:
    "receiver.port_unreachable",
    "receiver.vni_mismatch",
    "receiver.stale_tunnel_mac",
    "receiver.duplicate_tunnel_mac",
    "receiver.duplicate_address",
    "translation.reply_not_translated",
    "receiver.not_answered",
    "receiver.source_unanswered",
    "receiver.answer_not_accepted",
    # Degraded performance:
    "size.outer_fragmentation",
    "path.rate_limited",
    "path.packet_loss",
    "performance.delay_spike",
    "performance.queueing_delay",
    "performance.reordering",
    "performance.duplication",
    "performance.zero_window",
    "performance.window_limited",
    "performance.slow_answer",
    "path.flooded_unicast",
    # Symptoms that pods notice:
    "symptoms.endpoint_silent",
    "symptoms.dns_unanswered",
    "symptoms.endpoint_refused",
    "symptoms.tcp_stalled",
    "symptoms.connection_reset",
    # Limits of the analysis that are not faults:
    "limits.capture_loss",
    "limits.capture_damaged",
    "limits.truncated_capture",
    "limits.clock_step",
    # Artefacts that only look like a fault:
    "artefacts.checksum_offload",
    "translation.outer_address_rewritten",
    "translation.service_translation",
    "artefacts.inner_fragmentation",
    "artefacts.nested_tunnel",
    "artefacts.mirrored_capture",
    "artefacts.encrypted_underlay",
    "artefacts.clock_offset",
)


def _diagnostic(module: str) -> Diagnostic:
    """Take a diagnostic from its module."""
    diagnostic: Diagnostic = import_module(f"{__name__}.{module}").DIAGNOSTIC
    return diagnostic


# With fewer packets, threads cost more than they gain; with more, two diagnostics need too much memory.
_MANY_PACKETS, _TOO_MANY_PACKETS = 100_000, 3_000_000

DIAGNOSTICS: tuple[Diagnostic, ...] = tuple(_diagnostic(module) for module in _MODULES)


@dataclass(frozen=True, slots=True)
class Broken:
    """A diagnostic that raised: a bug of ours, never a property of the captures."""

    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The results of all diagnostics; the first finding is the answer to "what is wrong?".

    `ran` are the codes of those that ran: a code that ran and appears in no result is clear.
    """

    findings: tuple[Finding, ...]
    not_assessed: tuple[NotAssessed, ...]
    broken: tuple[Broken, ...]
    ran: tuple[str, ...] = ()


def diagnose(
    comparison: Comparison,
    select: Collection[str] | None = None,
    ignore: Collection[str] | None = None,
    diagnostics: tuple[Diagnostic, ...] = DIAGNOSTICS,
) -> Diagnosis:
    """Run every diagnostic, and put the results in causal order.

    Parameters
    ----------
    select : collection of codes, optional
        Run only these.
    ignore : collection of codes, optional
        Do not run these.
    """
    chosen = [d for d in diagnostics if (select is None or d.code in select) and d.code not in (ignore or ())]
    results = [answer for answers in _run(chosen, comparison) for answer in answers]
    findings = [a for a in results if isinstance(a, Finding)]
    not_assessed = [a for a in results if isinstance(a, NotAssessed)]
    broken = [a for a in results if isinstance(a, Broken)]
    ordered = causes.order(findings, diagnostics, comparison)
    if comparison.cluster.facts:
        from vxlanalyze.diagnostics import facts_check  # a module for each kind of table, which few runs have

        ordered = facts_check.with_evidence(ordered, comparison)
    return Diagnosis(ordered, tuple(not_assessed), tuple(broken), tuple(d.code for d in chosen))


def _run(chosen: Sequence[Diagnostic], comparison: Comparison) -> list[Sequence[DiagnosticResult | Broken]]:
    """Run in turn, or on two threads for many packets.

    The slowest come first, so that neither thread ends long before the other. The threads proceed from
    opposite ends, since neighbours share the same measurements.
    """
    packets = sum(len(direction) for direction in comparison.directions)
    if packets < _MANY_PACKETS:
        return [_answers(diagnostic, comparison) for diagnostic in chosen]
    if packets > _TOO_MANY_PACKETS:
        return [_answers_alone(diagnostic, comparison) for diagnostic in chosen]
    longest = deque(place for place, diagnostic in enumerate(chosen) if diagnostic.slow)
    left = deque(place for place in range(len(chosen)) if place not in longest)
    answers: dict[int, Sequence[DiagnosticResult | Broken]] = {}

    def run_from(end: Callable[[deque[int]], int]) -> None:
        for places in (longest, left):
            with suppress(IndexError):  # none is left
                while True:
                    place = end(places)
                    answers[place] = _answers(chosen[place], comparison)

    with threads(2) as pool:  # numpy releases the lock
        for done in [pool.submit(run_from, end) for end in (deque.popleft, deque.pop)]:
            done.result()
    return [answers[place] for place in range(len(chosen))]


def _answers_alone(diagnostic: Diagnostic, comparison: Comparison) -> Sequence[DiagnosticResult | Broken]:
    """Run one diagnostic after returning the memory freed by the previous one."""
    heap.trim()
    return _answers(diagnostic, comparison)


def _answers(diagnostic: Diagnostic, comparison: Comparison) -> Sequence[DiagnosticResult | Broken]:
    try:
        return diagnostic.check(comparison)
    except (VxlanalyzeError, MemoryError):
        raise  # a capture changed, or memory is full: not the diagnostic's fault
    except Exception as error:  # noqa: BLE001  one broken question must not silence the others
        return [Broken(diagnostic.code, f"{type(error).__name__}: {error}")]


def require_codes(codes: Iterable[str]) -> None:
    """Check that all codes belong to diagnostics.

    Raises
    ------
    UsageError
        Names the first unknown one, and the nearest known one.
    """
    known = [diagnostic.code for diagnostic in DIAGNOSTICS]
    for code in codes:
        if code not in known:
            raise UsageError(f"no diagnostic is called {code}{nearest(code, known)}")
