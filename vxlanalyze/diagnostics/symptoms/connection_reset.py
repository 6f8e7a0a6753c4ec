"""Open connections are reset in the middle.

What it checks
    Which established connections does one end reset before either closed, how many of how many, and what came
    just before?
Why it matters
    Clients occasionally see "connection reset by peer" although every packet arrives. The end that sends the
    reset is often not the one at fault: it answers a packet that should not have reached it.
How it decides
    Each connection is followed in one capture. It was open if both ends acknowledged each other and data went
    in either direction; a reset counts if neither end had sent its FIN. The reset connections of one service
    are checked for common traits: the preceding packet was below the window; the connection had been idle for
    longer than any that went on; the first message took several segments while that of the others took one
    (Fisher's exact test, below 1e-3). Resets that a client sends on its own are an application's way of
    closing: info.
When it cannot tell
    TCP headers are cut by the snap length; the captures hold one direction only.
What looks like it
    A refused connection (`endpoint-refused`): it was never open. A reset that its alleged sender never sent
    (`foreign-reset`). A client that closes and then resets the server's remaining data: it sent its FIN
    first. A health check that connects and resets: it sends no data.
What to do
    Below the window: drop packets of state INVALID where addresses are translated. After idling: shorten the
    keepalive time, or raise the time-out of the NAT, firewall or load balancer. Otherwise look at the process
    that sends the resets.
Sources
    Kubernetes blog, "kube-proxy Subtleties: Debugging an Intermittent Connection Reset"; kubernetes issue
    74839; RFC 9293 sections 3.5.2 and 3.10.7.4; RFC 5382 section 5 (time-outs of NAT); naiveproxy issue 641,
    lxd issue 14839 (first messages of two segments).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import FORWARD, NEITHER, pairs
from vxlanalyze.analysis.tcp.broken import BrokenConnections, broken
from vxlanalyze.analysis.tcp.tcp_streams import sent
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, span
from vxlanalyze.wire.addresses import text

CODE = "connection-reset"
_MOST_NAMED = 3


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for connections that were reset in the middle, by the direction of their requests."""
    found = broken(pair)
    groups: dict[str | None, list[BrokenConnections]] = {}
    for each in found:
        groups.setdefault(_label(pair, each), []).append(each)
    answers: list[DiagnosticResult] = [_finding(pair, label, members) for label, members in groups.items()]
    if not answers and any(outbound.unread for outbound in sent(pair)):
        answers.append(NotAssessed(CODE, "the snap length cuts TCP headers: sequence numbers are not known"))
    return answers


def _label(pair: Comparison, each: BrokenConnections) -> str | None:
    """Direction of the requests of a service."""
    if not pair.hops:
        return None
    captures = sorted({p.capture for p in pair.points})
    of_flow = measure(pair).tuples.of_flow[captures.index(each.point.capture)]
    between = pairs(pair)
    place = int(between.of_tuple[of_flow[each.flow]])
    sense = int(between.sense[place]) if place >= 0 else NEITHER
    if sense == NEITHER:
        return None
    return pair.hops[-1].forward.label if sense == FORWARD else pair.hops[0].backward.label


def _is_fault(each: BrokenConnections) -> bool:
    return not each.by_client or each.below_window or each.after_idling or each.long_first_decides


def _finding(pair: Comparison, label: str | None, members: Sequence[BrokenConnections]) -> Finding:
    members = sorted(members, key=lambda b: (not _is_fault(b), -len(b)))
    first = members[0]
    client, server = _ends(pair, first)
    number = sum(len(b) for b in members)
    shown = exhibits.of_rows(
        pair, [(b.point, np.concatenate([b.reset_row, b.before_row]).astype(np.int32)) for b in members]
    )
    more = f" ({count(len(members) - 1, 'further service')} below)" if len(members) > 1 else ""
    why = _what_came_before(first)
    return Finding(
        code=CODE,
        severity=Severity.WARNING if _is_fault(first) else Severity.INFO,
        direction=label,
        summary=f"{len(first):,} of {count(first.connections, 'connection')} to {server} "
        f"{'was' if len(first) == 1 else 'were'} reset in the middle by the "
        f"{f'client {client}' if first.by_client else 'server'}{why}{more}",
        explanation=" ".join(_explain(pair, members)),
        remedy=_remedy(pair, first),
        evidence={
            "reset": Quantity(number, "connections"),
            "connections": Quantity(sum(b.connections for b in members), "connections"),
            "by_client": Quantity(sum(len(b) for b in members if b.by_client), "connections"),
            "by_server": Quantity(sum(len(b) for b in members if not b.by_client), "connections"),
            "below_window": Quantity(int(sum(b.old.sum() for b in members)), "connections"),
            "shortest_idle": Quantity(int(first.idle_ns.min()), "ns"),
            "first_message_of_several_segments": Quantity(first.long_first, "connections"),
        },
        ruled_out=(
            RuledOut("endpoint-refused", "the connections had been open and carried data"),
            RuledOut("foreign-reset", f"{_sender(pair, first)} did send the resets"),
        )
        if len(pair.captures) > 1
        else (RuledOut("endpoint-refused", "the connections had been open and carried data"),),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _ends(pair: Comparison, each: BrokenConnections) -> tuple[str, str]:
    """Format a client, and its server with the port."""
    flows, flow = each.point.flows, each.flow
    family = np.full(2, flows.family[flow], np.uint8)
    client, server = text(np.stack([flows.src[flow], flows.dst[flow]]), family)
    name = pair.cluster.name_of(server)
    port = endpoint_text(server, int(flows.dport[flow]))
    return pair.cluster.named(client), port + (f" ({name})" if name else "")


def _sender(pair: Comparison, each: BrokenConnections) -> str:
    client, server = _ends(pair, each)
    return client if each.by_client else server


def _what_came_before(each: BrokenConnections) -> str:
    if each.below_window:
        return ", each right after a segment from below its window"
    if each.after_idling:
        return f", each after {span(int(each.idle_ns.min()))} or more without traffic"
    if each.long_first_decides:
        return ", only those whose first message takes two segments or more"
    return ""


def _explain(pair: Comparison, members: Sequence[BrokenConnections]) -> Iterator[str]:
    first = members[0]
    if first.below_window:
        yield "Before each reset a segment arrived whose bytes had long been acknowledged."
        if first.by_client:
            yield (
                "Connection tracking takes such a segment for INVALID, so it is not translated back: the "
                "client gets it from the pod's address instead of the service's, knows no such connection, "
                "and resets it."
            )
    elif first.after_idling:
        yield (
            f"All of them had been idle, for {span(int(first.idle_ns.min()))} at least; the longest pause "
            f"after which a connection went on took {span(first.survived_idle_ns)}. Something in between, or "
            "the server, forgot them."
        )
    elif first.long_first_decides:
        yield (
            f"All {len(first):,} had a first message of two segments or more, as had "
            f"{first.long_first_spared:,} of the {first.connections - len(first):,} others (probability by "
            f"chance: at most {first.long_first_chance:.2g}): what reads the first message (an inspection "
            "of TLS or HTTP, a proxy, a server) does not reassemble it from its segments."
        )
    elif first.by_client:
        yield (
            "The client itself breaks them off, with no odd packet before: an application's way to close, "
            "not a fault of the network."
        )
    else:
        yield "The server itself breaks them off, with no odd packet before: look at its process."
    for other in members[1:_MOST_NAMED]:
        who = "client" if other.by_client else "server"
        yield (
            f"Also {len(other):,} of {count(other.connections, 'connection')} to {_ends(pair, other)[1]}, by "
            f"the {who}{_what_came_before(other)}."
        )


def _remedy(pair: Comparison, each: BrokenConnections) -> str:
    client, server = _ends(pair, each)
    node = pair.captures[each.point.capture].name
    if each.below_window:
        return _invalid(node if each.by_client else "the server's node")
    if each.after_idling:
        seconds = max(int(each.survived_idle_ns // 1_000_000_000) // 2, 5)
        return written(
            f"Let keepalives come earlier than the time-out, in the network namespace of {client} (the "
            "first line shows what to set to undo it):",
            on(
                node, "sysctl net.ipv4.tcp_keepalive_time", f"sysctl -w net.ipv4.tcp_keepalive_time={seconds}"
            ),
            "Compare the time-out of connection tracking:",
            on(node, "sysctl net.netfilter.nf_conntrack_tcp_timeout_established"),
        )
    if each.long_first_decides:
        address, _, port = server.partition(" ")[0].rpartition(":")
        return written(
            f"See what reads the first message in front of {server}: a service mesh, an inspection of TLS, a "
            "load balancer. Send a first message of one segment to compare (here for TLS):",
            on(node, f"openssl s_client -connect {address}:{port} -groups X25519"),
        )
    who = client if each.by_client else server.partition(" ")[0]
    return written(
        f"Look at the process at {who}: its log at these times, restarts, time-outs, full buffers. In its "
        "network namespace, why TCP aborted:",
        on("its node", "nstat -az TcpExtTCPAbortOnData TcpExtTCPAbortOnClose TcpEstabResets"),
    )


def _invalid(node: str) -> str:
    """Say how to drop packets that connection tracking marks INVALID, so that they trigger no reset."""
    rule = "FORWARD -m conntrack --ctstate INVALID -j DROP"
    return written(
        "See whether kube-proxy's rule for state INVALID is there:",
        on(node, "iptables -S KUBE-FORWARD | grep INVALID"),
        "Where it is not, upgrade kube-proxy (1.15 and later have it), or add it:",
        on(node, f"iptables -I {rule}"),
        "To undo it:",
        on(node, f"iptables -D {rule}"),
        "See that the count of INVALID rises:",
        on(node, "conntrack -S"),
    )


DIAGNOSTIC = base.Diagnostic(
    code=CODE, check=check, explained_by=("corrupted-in-transit", "mtu-blackhole", "duplicate-address")
)
