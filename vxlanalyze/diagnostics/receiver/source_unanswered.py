"""A node ignores one source while it answers others.

What it checks
    Which source (address, subnet, one socket) sends requests that reach Y without getting any answer,
    although the same endpoints answer the requests of other sources?
Why it matters
    The endpoint works, the tunnel works, but one group of clients is cut off. Seen by endpoint, this looks
    like a server that answers intermittently, and people look for changes over time.
How it decides
    By Y's own capture. At endpoints that answered others, every transmission of a source stayed unanswered;
    at the rate at which the same endpoints ignore others (never assumed to be lower than their number
    allows), the probability of that, times the number of sources examined, is below 1e-5. Some of these
    requests must lie between answers to others, so that an endpoint that stopped is not attributed to a
    source. For SYNs of one source that are answered in part, the TCP time stamps are read: where those below
    an accepted one are dropped and the others accepted, or those of one of two clocks that share the address,
    the receiver discards them as old.
When it cannot tell
    The same endpoints answered no one else, or too little was sent.
What looks like it
    An endpoint that answers no one (`endpoint-silent`) or stops at some moment. Answers that leave and are
    lost on the return path: they are in Y's capture, so they count. A network policy that allows only some
    clients: reported where other endpoints of Y answer the source.
What to do
    Check how Y would route an answer to that source, and whether its reverse path filter discards the
    requests.
Sources
    RFC 3704 (reverse path filtering); cilium pull request 23241 (a masquerade address that all nodes have);
    kubernetes issues 125467, 71514 (stale connection tracking of one socket); flannel issue 530, kubernetes
    issue 33945, calico issue 6439 (time stamps of masqueraded clients); RFC 7323 section 5.
"""

import ipaddress
from collections.abc import Sequence

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import by_source
from vxlanalyze.analysis.requests.by_source import Ignored, IgnoredSource, Scope
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.diagnostics.receiver import discarded_by_time_stamp
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed

CODE = "source-unanswered"
_MOST_NAMED = 4


def check(pair: Comparison, *, chance: float = 1e-3) -> list[DiagnosticResult]:
    """Look for ignored sources; `chance` is that of a false alarm by time stamps, per client."""
    found: list[DiagnosticResult] = []
    for each in by_source.ignored(pair):
        if each.sources:
            found.append(_finding(pair, each))
        else:
            found += discarded_by_time_stamp.find(pair, each, chance)
    return found


def _direction(pair: Comparison, label: str) -> Direction:
    return next(d for d in pair.directions if d.label == label)


def _finding(pair: Comparison, each: Ignored) -> Finding:
    direction = _direction(pair, each.label)
    sources = sorted(each.sources, key=lambda s: -s.packets)
    requests = each.requests.at(each.chosen)
    names = [_named(pair, source) for source in sources]
    near, far = direction.sender.name, direction.receiver.name
    packets, others = sum(s.packets for s in sources), max(s.others for s in sources)
    servers = _servers(pair, requests)
    shown = exhibits.of_rows(pair, [(requests.point, requests.first_row)])
    who = listed(names, at_most=_MOST_NAMED)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=each.label,
        summary=f"{far} answers none of {_what(requests, packets)} from {who}, while "
        f"{_servers_text(servers)} answered {count(others, 'request')} from other sources",
        explanation=f"All {count(packets, 'packet')} are in {far}'s capture and no answer left {far}. "
        f"{_contrast(sources[0], far)} {_belongs(pair, sources[0], near)}At the rate at which the same "
        "endpoints ignore other sources, the probability of this is at most "
        f"{max(s.chance for s in sources):.2g}.",
        remedy=_remedy(direction, sources[0], servers),
        evidence={
            "requests": Quantity(len(requests), "requests"),
            "unanswered_packets": Quantity(packets, "packets"),
            "answered_of_others": Quantity(others, "requests"),
            "answered_elsewhere": Quantity(sum(s.elsewhere for s in sources), "requests"),
            **{f"source_{i}": Quantity(s.name) for i, s in enumerate(sources[:_MOST_NAMED], 1)},
            "chance": Quantity(max(s.chance for s in sources), "probability"),
        },
        ruled_out=(
            RuledOut("packet-loss", f"all {packets:,} packets are in {far}'s capture"),
            RuledOut("endpoint-silent", f"they answered {count(others, 'request')} from others"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _named(pair: Comparison, source: IgnoredSource) -> str:
    if source.level == Scope.SUBNET:
        return f"{source.name} ({listed(source.clients, at_most=_MOST_NAMED)})"
    if source.level == Scope.SOCKET:
        name = pair.cluster.name_of(source.clients[0])
        return source.name + (f" ({name})" if name else "")
    return pair.cluster.named(source.name)


def _what(requests: Requests, packets: int) -> str:
    """Describe the unanswered requests; for connections, the number of SYNs."""
    if (requests.kind == RequestKind.TCP).all():
        return f"{count(len(requests), 'connection')} ({count(packets, 'SYN')})"
    return count(packets, "request")


def _servers(pair: Comparison, requests: Requests) -> list[str]:
    between = pairs(pair)
    texts = between.server_texts
    return list(dict.fromkeys(texts[i] for i in between.of_tuple[requests.tuple_of].tolist()))


def _servers_text(servers: Sequence[str]) -> str:
    return "the same endpoint" if len(servers) == 1 else "the same endpoints"


def _contrast(source: IgnoredSource, far: str) -> str:
    if source.level == Scope.SOCKET:
        return (
            f"Other sockets of {source.clients[0]} are answered by {far}, so one socket alone is concerned."
        )
    if source.elsewhere:
        return (
            f"Other endpoints of {far} answered {count(source.elsewhere, 'request')} of this source, so "
            f"answers do find their way back to it: a policy in front of these endpoints, or an entry of "
            "connection tracking, decides."
        )
    return (
        f"Nothing of {far} ever answered this source: {far} discards its requests or sends the answers "
        "elsewhere."
    )


def _belongs(pair: Comparison, source: IgnoredSource, near: str) -> str:
    """State whether the cluster knows the source; an address that every node may have comes first."""
    client = source.clients[0]
    if source.level == Scope.SOCKET or source.elsewhere:
        return ""
    if _everywhere(client):
        return (
            f"{client} lies in a network that every virtual machine of VirtualBox has (10.0.2.0/24): the "
            "receiving node may own the same address, and then answers itself. "
        )
    if pair.cluster.nodes and pair.cluster.node_of(client) is None:
        return (
            f"No pod, node or pod network of the cluster (--kube) has {client}: {near} masquerades with it. "
        )
    return ""


def _everywhere(client: str) -> bool:
    address = ipaddress.ip_address(client)
    return address.version == 4 and address in ipaddress.ip_network("10.0.2.0/24")


def _remedy(direction: Direction, source: IgnoredSource, servers: Sequence[str]) -> str:
    near, far, client = direction.sender.name, direction.receiver.name, source.clients[0]
    if source.level == Scope.SOCKET:
        socket = f"-p udp --orig-src {client} --sport {source.name.rpartition(' ')[2]}"
        return written(
            "Look at the connection tracking entry of this socket, and delete it:",
            on(near, f"conntrack -L {socket}", f"conntrack -D {socket}"),
        )
    server = servers[0].rpartition(":")[0].strip("[]") if ":" in servers[0] else servers[0]
    if source.elsewhere:
        return written(
            f"See which policy selects {server or servers[0]} and from whom it admits traffic:",
            anywhere("kubectl get networkpolicies -A -o wide"),
            f"Watch for drops while {client} sends (the first in the pod of Cilium, where that runs):",
            on(far, "cilium-dbg monitor --type drop", "iptables -L FORWARD -nv"),
        )
    family = "-6 " if ":" in client else ""
    return written(
        f"See which route responses to {client} take (it must use the tunnel device, to {near}), and "
        "whether the reverse path check discards the requests (rp_filter 1 is strict):",
        on(far, f"ip {family}route get {client}", "sysctl -a -r 'rp_filter$'"),
        on(far, "nstat -az TcpExtIPReversePathFilter"),
        f"If no route leads back, add the return route on {far}, or let {near} send with an address that "
        f"routes back into the tunnel. To see which interface owns {client}, and which "
        "rule masquerades:",
        on(near, f"ip {family}addr show to {client}"),
        on(near, f"{'ip6tables' if family else 'iptables'} -t nat -S | grep -E 'MASQUERADE|SNAT'"),
    )


DIAGNOSTIC = base.Diagnostic(
    code=CODE,
    check=check,
    explained_by=(
        "wrong-tunnel-endpoint",
        "new-flows-blocked",
        "header-blocked",
        "integrity",
    ),
)
