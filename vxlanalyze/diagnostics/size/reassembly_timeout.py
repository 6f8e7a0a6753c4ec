"""A node or a pod reports that a fragmented packet was never completed: reassembly time exceeded.

What it checks
    Are there ICMP or ICMPv6 errors "fragment reassembly time exceeded" about packets of a direction, inside
    the tunnel (from a pod) or outside of it (from a node)?
Why it matters
    Names with many addresses, large UDP answers and jumbo datagrams fail while everything small works, and
    nothing is missing between the nodes. The receiver itself reports that it got the first fragment but not
    the others.
How it decides
    Every such error is evidence: it is sent if the first fragment arrived but another did not, and it quotes
    the packet. The captures that contain that packet's fragments show where the missing ones were dropped:
    before the sender's network card, between the nodes, or inside the receiver after its network card.
When it cannot tell
    A receiver that is not allowed to send ICMP, or a capture that ends within the 30 to 60 seconds that a
    receiver waits.
What looks like it
    Loss of fragments between the nodes (`fragments-lost`), which then causes this; time exceeded in transit
    (`ttl-exceeded`, traceroute).
What to do
    Fragments after the first carry no ports: translation and filtering by port inside the node must track
    fragments. Until then, stay below the MTU: smaller EDNS buffers, DNS over TCP.
Sources
    RFC 792, RFC 4443 section 3.3, RFC 1122 section 3.3.2; RFC 6891 section 6.2.3 (EDNS buffer size); cilium
    issues 9755 and 13349.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import inner_pieces, time_exceeded
from vxlanalyze.analysis.requests.time_exceeded import REASSEMBLY, Quotes
from vxlanalyze.analysis.underlay import fragmented, tunnel_ends, underlay_errors
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import Anomaly
from vxlanalyze.wire.numbers import DNS_PORT
from vxlanalyze.wire.protocols import UDP

CODE = "reassembly-timeout"
_INNER_FRAGMENT = np.uint32(Anomaly.INNER_FRAGMENT.value)


class _Case(NamedTuple):
    """Errors about packets of a direction, their senders, and what was seen of the quoted packets."""

    errors: list[tuple[Point, NDArray[np.int32]]]
    senders: list[str]
    quoted: NDArray[np.bool_]
    inner: bool
    unfinished: int = 0  # quoted packets of which the sender's capture lacks fragments

    @property
    def error_count(self) -> int:
        return max(len(rows) for _, rows in self.errors)


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction with packets that a receiver reports as never completed."""
    answers: list[DiagnosticResult] = []
    for direction in pair.directions:
        inner = time_exceeded.inside(pair, direction, REASSEMBLY)
        outer = underlay_errors.about(pair, direction, REASSEMBLY)
        if inner:
            answers.append(_finding(pair, direction, _of_pods(pair, direction, inner)))
        elif outer:
            errors = [(e.point, e.row) for e in outer]
            senders = [a for e in outer for a in time_exceeded.senders_of(e.point, e.row)]
            cut = fragmented.of(direction).any
            answers.append(_finding(pair, direction, _Case(errors, list(dict.fromkeys(senders)), cut, False)))
    return answers


def _of_pods(pair: Comparison, direction: Direction, found: list[Quotes]) -> _Case:
    marked = np.zeros(len(direction), np.bool_)
    for quotes in found:
        marked |= time_exceeded.quoted(direction, quotes)
    # Over IPv6 no identifier shows which packet the fragments belong to, only that they are fragments.
    pieces_ = direction.sender.index.anomalies[direction.sent_row] & _INNER_FRAGMENT != 0
    marked = marked & pieces_ if (marked & pieces_).any() else marked
    senders = list(dict.fromkeys(a for quotes in found for a in quotes.senders))
    unfinished, of = inner_pieces.unfinished(pair, direction, marked & pieces_)
    return _Case(
        [(q.point, q.row) for q in found], senders, marked, True, unfinished if 2 * unfinished > of else 0
    )


def _finding(pair: Comparison, direction: Direction, case: _Case) -> Finding:
    near = direction.sender.name
    sent = int(np.count_nonzero(case.quoted))
    missing = int(np.count_nonzero(case.quoted & direction.lost))
    who = listed([pair.cluster.named(a) for a in case.senders], 3)
    where = _where(direction, case)
    shown = exhibits.of_rows(
        pair,
        [
            *case.errors,
            (direction.sender, direction.sent_row[case.quoted]),
            (direction.receiver, direction.received_row[case.quoted]),
        ],
    )
    kind = "packets" if case.inner else "outer packets"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{who} cannot reassemble fragmented {kind} from {near} "
        f"({count(case.error_count, 'ICMP error')} "
        f'"fragment reassembly time exceeded"): {where}',
        explanation=_explanation(direction, case, who, sent, missing),
        remedy=_remedy(direction, case, missing),
        evidence={
            "errors": Quantity(case.error_count, "packets"),
            "said_by": Quantity(", ".join(case.senders)),
            "fragments_sent": Quantity(sent, "packets"),
            "fragments_arrived": Quantity(sent - missing, "packets"),
        },
        ruled_out=(
            RuledOut("ttl-exceeded", "the code says reassembly, not transit"),
            RuledOut(
                "packet-loss", f"{missing:,} of {count(sent, 'fragment')} quoted are lost between the nodes"
            ),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter="(icmp.type == 11 && icmp.code == 1) || (icmpv6.type == 3 && icmpv6.code == 1)",
    )


def _where(direction: Direction, case: _Case) -> str:
    near, far = direction.sender.name, direction.receiver.name
    if case.quoted.any() and (direction.lost & case.quoted).any():
        return f"fragments are lost between {near} and {far}"
    if case.unfinished:
        return f"the other fragments never left {near}"
    if int(np.count_nonzero(case.quoted)) > case.error_count or not case.inner:
        return f"their fragments reached {far}'s network card and died inside {far}"
    if case.quoted.any():
        return f"later fragments never left {near}"
    return f"{near}'s capture holds none of them"


def _explanation(direction: Direction, case: _Case, who: str, sent: int, missing: int) -> str:
    near, far = direction.sender.name, direction.receiver.name
    text = (
        f"{who} received the first fragment and waited in vain for the others, as "
        f"{count(case.error_count, 'ICMP error')} show. "
    )
    if sent:
        pieces_ = "fragment" if case.inner else "fragmented packet"
        text += (
            f"Of the packets quoted, {near}'s network card shows {count(sent, pieces_)}, and {far}'s shows "
            f"{sent - missing:,} of them"
        )
        text += ": between the nodes nothing is missing. " if not missing else f"; {missing:,} are lost. "
    if case.unfinished and not missing:
        text += (
            f"{near}'s card shows no complete {'one' if case.unfinished == 1 else 'ones'}: of "
            f"{count(case.unfinished, 'packet')} fragments are missing there already. So they die inside "
            f"{near}, before or at the tunnel."
        )
    elif case.inner and not missing:
        text += (
            f"So {far} drops later fragments between its network card and the pod: they carry no ports, and "
            "what translates or filters by port there does not know them."
        )
    return text.rstrip()


def _remedy(direction: Direction, case: _Case, missing: int) -> str:
    if case.unfinished and not missing:
        return _at_sender(direction.sender.name)
    far = direction.receiver.name
    look = on(far, "nstat -az IpReasmFails IpReasmTimeout Ip6ReasmFails Ip6ReasmTimeout")
    if missing:
        return (
            "Let fragments pass between the nodes (firewalls and security groups that match on UDP ports "
            "drop later fragments), or lower the MTU of the pods so that none are made. The counters of the "
            "receiver:" + look
        )
    cilium = len(tunnel_ends.of(direction).vnis) > 1
    six = bool((direction.sender.flows.family[direction.flow[case.quoted]] == 6).any()) and case.inner
    fragments = (
        on(far, "cilium-dbg config | grep -i fragment", "cilium-dbg monitor --type drop")
        if cilium
        else on(
            far,
            f"{'ip6tables' if six else 'iptables'} -L FORWARD -nv",
            "sysctl net.netfilter.nf_conntrack_count",
        )
    )
    smaller = ""
    flows, flow = direction.sender.flows, np.unique(direction.flow[case.quoted])
    if ((flows.protocol[flow] == UDP) & (flows.sport[flow] == DNS_PORT)).any():
        smaller = (
            "\nUntil that is fixed, keep DNS answers below the MTU: bufsize 1232 in CoreDNS, or options "
            "use-vc (TCP) in the pods' resolv.conf."
        )
    return (
        f"Find what drops later fragments inside {far}. Cilium: enable-ipv{6 if six else 4}-fragment-"
        "tracking (and a version that has it); netfilter: connection tracking must be loaded, for it "
        "reassembles first." + look + fragments + smaller
    )


def _at_sender(near: str) -> str:
    return written(
        f"Find what drops fragments inside {near}, between the pod and the tunnel. Run each of these before "
        "and after a test:",
        on(near, "nstat -az IpFragFails IpFragCreates IpOutDiscards", "conntrack -S", "tc -s qdisc show"),
        "Where Open vSwitch forwards (OVN, Antrea), the flows that drop, and the limit on fragments:",
        on(near, "ovs-appctl dpctl/dump-flows -m | grep -E 'frag=(first|later)'"),
        on(near, "ovs-appctl dpctl/ipf-get-status"),
        "Smaller datagrams, or a larger MTU of the pods, avoid the fragments.",
    )


DIAGNOSTIC = base.Diagnostic(
    code=CODE, check=check, explained_by=("fragments-lost", "mtu-blackhole", "path-blocked", "packet-loss")
)
