"""A reply reaches the client from an address that it did not send to: nothing translates it back.

What it checks
    Does a client get its replies from an address and port that it never sent anything to?
Why it matters
    A socket accepts replies only from where it sent its request. The network delivers everything and the
    backend answers, but still each request times out ("reply from unexpected source") or its connection is
    reset.
How it decides
    At the client's observation point: a request without any reply from the address it went to, and a packet
    to the same client socket from another address to which the client sent nothing (except resets). The two
    belong together by the SYN's sequence number that the SYN ACK acknowledges, by the DNS ID, or because
    another point shows the translated request and this reply as one conversation.
When it cannot tell
    For UDP other than DNS, if no other point shows what the request was translated to.
What looks like it
    Intended replies from another address: to multicast and broadcast requests, and direct server return
    (which keeps the service's address as the source). Single late packets that connection tracking considers
    invalid, in a conversation whose other replies are translated.
What to do
    Route the replies through the node and the connection tracking that translated the request: netfilter on
    bridged traffic, no path for replies that bypasses it, masquerading where the backend answers directly.
Sources
    kubernetes issues 38802 and 87426 (bridged replies bypass netfilter); projectcalico/calico 5171 and 3821;
    cloudnativelabs/kube-router 151.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests.replies_from_elsewhere import RepliesFromElsewhere, find
from vxlanalyze.analysis.underlay.pod_addresses import among
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Tunnel

CODE = "reply-not-translated"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look at each point for replies from addresses that got no request."""
    results: dict[str | None, DiagnosticResult] = {}
    for point, found in zip(pair.points, find(pair), strict=True):
        if not found:
            continue
        label = _direction(pair, point, np.concatenate([one.replies for one in found]))
        if label is _SENT_HERE or label in results:
            continue
        results[label] = _finding(pair, point, label or None, found)
    return list(results.values())


_SENT_HERE = "-"


def _direction(pair: Comparison, point: Point, replies: NDArray[np.int32]) -> str:
    """Name the direction through which replies reach a point; _SENT_HERE if its node sends them; ""."""
    hops = (*pair.hops, *pair.inside)
    directions = [d for hop in hops for d in hop.directions]
    for direction in directions:
        if direction.receiver.name == point.name and np.isin(replies, direction.received_row).any():
            return direction.label
    sent = any(d.sender.name == point.name and np.isin(replies, d.sent_row).any() for d in directions)
    return _SENT_HERE if sent else ""


def _finding(
    pair: Comparison, point: Point, label: str | None, found: Sequence[RepliesFromElsewhere]
) -> Finding:
    requests = np.concatenate([one.requests for one in found])
    replies = np.concatenate([one.replies for one in found])
    resets = sum(one.resets for one in found)
    triples = list(dict.fromkeys(_ends(point, found)))
    client, requested, answered = triples[0]
    more = (
        f" (and {count(len(triples) - 1, 'other pair of addresses', 'other pairs of addresses')})"
        if len(triples) > 1
        else ""
    )
    whole = [f"{one} sends to {there} and hears from {other}" for one, there, other in triples]
    shown = exhibits.of_rows(pair, [(point, np.union1d(requests, replies).astype(np.int32))])
    reaction = (
        f"{client} resets {count(resets, 'time')}: to it these are packets of no connection"
        if resets
        else f"The socket of {client} does not take them"
    )
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=label,
        summary=f"{client} sends to {requested}, and its replies come from {answered}: "
        f"{count(len(found), 'conversation')} without an answer that the client accepts{more}",
        explanation=f"At {point.name}, {listed(whole, 4)}. {count(len(requests), 'packet')} went out, "
        f"{count(len(replies), 'packet')} came back, and none from where the requests went. {reaction}. The "
        "request was translated to a backend, the reply was not translated back.",
        remedy=_remedy(pair, point, (client, requested, answered)),
        evidence={
            "conversations": Quantity(len(found), "flows"),
            "requests": Quantity(len(requests), "packets"),
            "untranslated_replies": Quantity(len(replies), "packets"),
            "resets": Quantity(resets, "packets"),
            "sent_to": Quantity(requested),
            "replied_from": Quantity(answered),
        },
        ruled_out=(
            RuledOut("endpoint-silent", f"{answered} answers"),
            RuledOut("packet-loss", f"the replies are in the capture of {point.name}"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _ends(point: Point, found: Sequence[RepliesFromElsewhere]) -> Iterator[tuple[str, str, str]]:
    """Client address, endpoint it sends to, endpoint it receives from."""
    flows = point.flows
    for one in found:
        a, b = one.request_flow, one.reply_flow
        client, requested, answered = text(
            np.stack([flows.src[a], flows.dst[a], flows.src[b]]), np.repeat(flows.family[a], 3)
        )
        yield (
            str(client),
            endpoint_text(str(requested), int(flows.dport[a])),
            endpoint_text(str(answered), int(flows.sport[b])),
        )


def _remedy(pair: Comparison, point: Point, ends: tuple[str, str, str]) -> str:
    client, requested, answered = ends
    address = requested.rpartition(":")[0].strip("[]")
    backend = answered.rpartition(":")[0].strip("[]")
    node = _node_of(pair, point, client)
    tables = "ip6tables-save" if ":" in address else "iptables-save"
    if _crossed_a_tunnel(pair, point, backend):
        checks = written(
            "The replies arrive from another node: they have to leave that tunnel by the same device and "
            "address family as the requests entered it. Compare the route with the load balancer's rules:",
            on(node, f"ip route get {backend}", f"{tables} -t nat | grep -w {address}"),
        )
    else:
        checks = written(
            "Pods on one bridge answer each other without netfilter unless it sees bridged traffic; this "
            "has to print 1:",
            on(node, "sysctl net.bridge.bridge-nf-call-iptables"),
            "To set it:",
            on(node, "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1"),
            "To undo it:",
            on(node, "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
        )
    return written(
        f"Check that replies from {backend} pass the connection tracking that translated the request: is "
        "there an entry for it, and does its reply tuple match?",
        on(node, f"conntrack -L -d {address}"),
        checks,
        "Where a load balancer in eBPF does it, compare its service table instead (in the Cilium pod):",
        on(node, "cilium-dbg service list"),
    )


def _node_of(pair: Comparison, point: Point, client: str) -> str:
    """Name the client's node: from the cluster, or the node whose card the replies passed before."""
    named = pair.cluster.node_of(client)
    if named is not None:
        return named
    if point.encapsulated or "/" in point.name:
        return node_name(point.name)
    neighbours = (d.sender for d in pair.directions if d.receiver.name == point.name)
    return next((p.name for p in neighbours if _receives_for(p, client)), f"the node of {client}")


def _receives_for(card: Point, client: str) -> bool:
    """Whether tunnel packets for a client are sent to the node of a card, rather than by it."""
    flows = card.flows
    mine = card.decoded.usage.used & (flows.tunnel != Tunnel.NONE) & among(flows.dst, flows.family, {client})
    return bool(set(text(flows.outer_dst[mine], flows.outer_family[mine])) & set(card.addresses))


def _crossed_a_tunnel(pair: Comparison, point: Point, backend: str) -> bool:
    """Whether some point shows the backend's packets inside the tunnel."""
    for other in (point, *pair.points):
        if other.encapsulated:
            flows = other.flows
            inside = np.flatnonzero(flows.outer_family > 0)
            if backend in set(text(flows.src[inside], flows.family[inside])):
                return True
    return False


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
