"""Packets reach a node's wire, and nothing is ever answered: the node itself drops them.

What it checks
    Was any request of a direction that appears in the receiver's capture answered, by any pod? Or does the
    receiver stop answering at some moment while requests keep arriving?
Why it matters
    A capture on the network card sees packets before the kernel checks, filters and decapsulates them. So
    both captures look healthy, the network is healthy, and the fault is in the receiving node.
How it decides
    Requests are echo requests, DNS queries and TCP packets that occupy sequence numbers; answers count
    wherever they were seen, including those lost on the return path. It is reported if no flow of the
    direction was answered although so many requests arrived that a working node, which leaves fewer than 2 in
    100 unanswered, would be this silent with a probability below `chance`. The same applies to requests after
    the very last answer, if they continue for a second or longer and involve several services. An `any`
    capture at the receiver shows how far they get: whether they are decapsulated, and which interfaces they
    reach.
When it cannot tell
    Nothing that expects an answer arrived (plain UDP streams expect none), or too little; the captures hold
    only one direction (a filter), although the sender acknowledges packets that no capture shows.
What looks like it
    A path that loses the answers (they leave the receiver: `path-blocked`); one silent pod while others
    answer (`endpoint-silent`, `dns-unanswered`); a pod that refuses (`endpoint-refused`).
What to do
    Start with the causes found alongside it (kind of tunnel, VNI, MAC, port, checksum, address). Otherwise
    capture on all interfaces of the receiver (`tcpdump -ni any`) while sending: packets that never leave the
    tunnel device are dropped by a firewall before it, or by a device with other settings; those that leave it
    but do not reach the pod are dropped by the reverse path filter or a firewall after it.
Sources
    flannel issue 2055, k3s issue 2935, rke2 issue 1053 (firewall after decapsulation); cilium issue 13130,
    calico pull request 10511 (reverse path filter); RFC 3704 (reverse path filtering); RFC 7348 section 4.1.
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, Severity
from vxlanalyze.analysis.integrity import alone
from vxlanalyze.analysis.requests import acceptance, answers, last_answer, new_silence, one_way
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.underlay import inside, insights, underlay
from vxlanalyze.analysis.underlay.inside import Reach
from vxlanalyze.analysis.underlay.insights import Insights
from vxlanalyze.analysis.underlay.tunnel_ends import address_text, inner_addresses
from vxlanalyze.analysis.underlay.where_requests_die import (
    after_the_tunnel,
    before_the_tunnel,
    lowered,
    rejected,
)
from vxlanalyze.diagnostics import explaining
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import count, listed, moment
from vxlanalyze.wire.numbers import ACK, SYN
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP

CODE = "not-answered"
_IPV6 = 6


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Examine both directions where their packets end, at the last point of the path.

    `chance` is the false alarm probability accepted for a direction.
    """
    return alone.run(pair, CODE, lambda looked_at: _run(looked_at, chance))


def _run(pair: Comparison, chance: float) -> list[DiagnosticResult]:
    results = (_direction(pair, direction, chance) for direction in _ends(pair))
    return [answer for answer in results if answer is not None]


def _ends(pair: Comparison) -> list[Direction]:
    """Give the last direction of each sense that any packet reached, or else the last one."""
    if not pair.hops:
        return []
    there = [hop.forward for hop in pair.hops if len(hop.forward)] or [pair.hops[-1].forward]
    back = [hop.backward for hop in pair.hops if len(hop.backward)] or [pair.hops[0].backward]
    return [there[-1], back[0]]


def _direction(pair: Comparison, direction: Direction, chance: float) -> DiagnosticResult | None:
    responses = answers.of(direction)
    if responses.answered.any():
        return _stopped(pair, direction, responses, chance)
    requests = int(responses.unanswered().sum())
    if not answers.conclusive(requests, chance):
        return NotAssessed(CODE, _too_little(direction, requests, chance), direction.label)
    if _responses_only(pair, direction, responses):
        return None
    if one_way.holds(pair, direction):
        return NotAssessed(CODE, one_way.why(direction), direction.label)
    reach = inside.reached(pair, direction, responses)
    if reach.endpoint_spoke:
        return None
    return _finding(pair, direction, responses, reach)


def _responses_only(pair: Comparison, direction: Direction, responses: Answers) -> bool:
    """Whether only SYN ACKs are unanswered, since clients do not accept them: `answer-not-accepted`."""
    return set(_kinds(direction, responses)) == {"tcp_syn_acks"} and any(
        found.label == direction.label for found in acceptance.not_taken(pair, acceptance.CHANCE)
    )


def _stopped(
    pair: Comparison, direction: Direction, responses: Answers, chance: float
) -> DiagnosticResult | None:
    """Examine what arrives after the very last answer; a single service that stops is not its node."""
    found = last_answer.since(direction, responses)
    if found is None or new_silence.of(direction) is not None:  # that is new-flows-blocked
        return None
    stopped_ns, after = found
    if last_answer.services(direction, after) < 2 or not after.silent(chance):
        return None
    reach = inside.reached(pair, direction, after)
    return None if reach.endpoint_spoke else _finding(pair, direction, after, reach, stopped_ns)


def _too_little(direction: Direction, requests: int, chance: float) -> str:
    far = direction.receiver.name
    if not (direction.received_row != NO_ROW).any():
        return f"no packet was seen to reach {far}"
    if requests == 0:
        return f"nothing that expects an answer reached {far} early enough to get one"
    return (
        f"{count(requests, 'request')} reached {far} and none was answered, but "
        f"{answers.requests_needed(chance)} would be needed to exclude random loss"
    )


def _finding(
    pair: Comparison, direction: Direction, responses: Answers, reach: Reach, stopped_ns: int | None = None
) -> Finding:
    far = direction.receiver.name
    unanswered = responses.unanswered()
    requests = int(unanswered.sum())
    flows = direction.sender.flows
    chosen = np.zeros(len(flows), np.bool_)
    chosen[responses.flow[unanswered]] = True
    endpoints = [address_text(a) for a in sorted(inner_addresses(flows, flows.dst, chosen))]
    kinds = _kinds(direction, responses)
    hints = insights.gather(pair, direction, responses)
    shown = exhibits.of_packets(pair, direction, unanswered)
    whom = listed([pair.cluster.named(e) for e in endpoints], at_most=4)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{count(requests, 'request')} from {direction.sender.name} reached {far}"
        + (" and none was" if stopped_ns is None else f" after {moment(stopped_ns)} and none of these was")
        + f" answered: {reach.verdict or hints.verdict or _dead(endpoints)}",
        explanation=f"{_listed(kinds)} to {whom} are in the capture of {far}, intact as far as it shows, and "
        f"no answer left that node. {_before(far, stopped_ns)}{reach.words}"
        f"{_one_endpoint(pair, endpoints, far)}{' '.join(hints.suspicions)}",
        remedy=_remedy(pair, direction, responses, reach, hints),
        evidence={
            "unanswered_requests": Quantity(requests, "packets"),
            **{f"unanswered_{kind}": Quantity(n, "packets") for kind, n in kinds.items()},
            "endpoints": Quantity(len(endpoints), "addresses"),
            "answered": Quantity(0, "packets"),
            **({} if stopped_ns is None else {"last_answer": Quantity(moment(stopped_ns))}),
            **reach.evidence,
            **hints.evidence,
        },
        ruled_out=hints.ruled_out,
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _kinds(direction: Direction, responses: Answers) -> dict[str, int]:
    """Unanswered requests by kind, without empty kinds."""
    unanswered = responses.unanswered()
    protocol = direction.sender.flows.protocol[responses.flow[unanswered]]
    flags = direction.sender.index.tcp_flags[direction.sent_row[unanswered]]
    syn, ack = flags & SYN != 0, flags & ACK != 0
    tcp = protocol == TCP
    found = {
        "echo_requests": int(np.isin(protocol, (ICMP, ICMPV6)).sum()),
        "dns_queries": int((protocol == UDP).sum()),
        "tcp_syns": int((tcp & syn & ~ack).sum()),
        "tcp_syn_acks": int((tcp & syn & ack).sum()),
        "tcp_data_packets": int((tcp & ~syn).sum()),
    }
    return {kind: n for kind, n in found.items() if n}


def _listed(kinds: dict[str, int]) -> str:
    names = {
        "echo_requests": ("echo request", "echo requests"),
        "dns_queries": ("DNS query", "DNS queries"),
        "tcp_syns": ("TCP SYN", "TCP SYNs"),
        "tcp_syn_acks": ("TCP SYN ACK", "TCP SYN ACKs"),
        "tcp_data_packets": ("TCP data packet", "TCP data packets"),
    }
    return listed([count(n, *names[kind]) for kind, n in kinds.items()])


def _dead(endpoints: list[str]) -> str:
    if len(endpoints) > 1:
        return "they are dropped inside the node"
    return f"they are dropped inside the node, or {endpoints[0]} itself is down"


def _before(far: str, stopped_ns: int | None) -> str:
    if stopped_ns is None:
        return ""
    return (
        f"Until {moment(stopped_ns)} {far} answered, and its settings were right: look for what changed "
        "then. "
    )


def _one_endpoint(pair: Comparison, endpoints: list[str], far: str) -> str:
    if len(endpoints) > 1:
        return ""
    return (
        f"All went to one endpoint, so that {pair.cluster.named(endpoints[0])} alone is dead cannot be "
        f"excluded; try another pod on {far}. "
    )


def _remedy(pair: Comparison, direction: Direction, responses: Answers, reach: Reach, hints: Insights) -> str:
    """Give what mends the suspicions first, then how to look where the packets die."""
    inside_node = "" if hints.conclusive else _inside_the_node(pair, direction, responses, reach)
    if hints.cures and inside_node:
        inside_node = f"If that is not the cause: {lowered(inside_node)}"
    return written(*hints.cures, inside_node)


def _inside_the_node(pair: Comparison, direction: Direction, responses: Answers, reach: Reach) -> str:
    far, flows = direction.receiver.name, direction.sender.flows
    if not direction.receiver.encapsulated:
        return written(
            "The packets are seen on the interface of the pod itself: look at the process there (in its "
            "network namespace), at the network policy that applies to it, and at its routes for the "
            "answers:",
            on(node_name(far), "ss -lntu", "ip route show"),
            anywhere("kubectl get networkpolicies -A"),
        )
    requests = responses.flow[responses.unanswered()]
    below, ipv6 = underlay.of(direction, pair.cluster), bool((flows.family[requests] == _IPV6).all())
    if reach.rejected:
        return rejected(far, ipv6=ipv6)
    if reach.decapsulated:
        return after_the_tunnel(far, below, ipv6=ipv6)
    if reach.decapsulated is False:
        return before_the_tunnel(direction, below)
    endpoint = address_text((int(flows.family[requests[0]]), flows.dst[requests[0]].tobytes()))
    return written(
        "Check whether the packets appear decapsulated while the other node sends:",
        on(far, f"tcpdump -ni any -c 20 '({below.capture_rule}) or host {endpoint}'"),
        "If they do not, " + lowered(before_the_tunnel(direction, below)),
        "If they do, " + lowered(after_the_tunnel(far, below, ipv6=ipv6)),
    )


DIAGNOSTIC = base.Diagnostic(
    code=CODE,
    check=check,
    explained_by=(
        "wrong-tunnel-endpoint",
        "header-blocked",
        "port-unreachable",
        "integrity",
        *explaining.FOREIGN_TO_THE_DEVICE,
    ),
)
