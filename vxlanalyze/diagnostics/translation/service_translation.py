"""A node translates inner addresses or ports between two observation points: a service, or masquerading.

What it checks
    Do matched packets have a different inner source or destination at the receiving point?
Why it matters
    A pod sends to a service's address, but the tunnel carries the address of one of the service's pods. All
    figures across such a node depend on recognising the two as one packet, and a search for the service's
    address in the tunnel finds nothing. Translation also keeps state (connection tracking) that can be full,
    stale or missing.
How it decides
    Flows that only one of two neighbouring points shows are matched without addresses and ports: by TCP
    sequence and acknowledgement numbers, IP ID, length, ICMP sequence number and payload. A pair of flows is
    accepted if chance would explain it less than once in 10,000 times. `--kube` and `--facts` name the
    service.
When it cannot tell
    Packets without IP ID whose payload is always the same, and flows with too few packets.
What looks like it
    A proxy, which ends the connection and opens another: sequence numbers and IP IDs differ, and nothing
    matches.
What to do
    Nothing, as long as requests are answered. Otherwise compare the backend with the endpoints of the
    service, and look for stale connection tracking entries.
Sources
    Kubernetes documentation, Virtual IPs and Service Proxies; RFC 3022 section 4; kubernetes issues 38802
    (masquerading picks its source port), 56903.
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, Severity
from vxlanalyze.analysis.underlay.translated import TranslatedEnd, changes
from vxlanalyze.kubernetes.model import Cluster, Service, parse_endpoint
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import count, listed

CODE = "service-translation"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Name the translations in each direction, including those between a pod and its node's NIC."""
    if not len(pair.translated):
        return []
    directions = (d for hop in (*pair.hops, *pair.inside) for d in hop.directions)
    found = ((direction, changes(pair, direction)) for direction in directions)
    return [_finding(pair, direction, changes_) for direction, changes_ in found if changes_]


def _finding(pair: Comparison, direction: Direction, changes: list[TranslatedEnd]) -> Finding:
    chosen = np.logical_or.reduce([change.packets for change in changes])
    shown = exhibits.of_packets(pair, direction, chosen)
    packets = int(chosen.sum())
    whole = [_sentence(change) for change in changes]
    explained = [words for change in changes if (words := _explained(pair.cluster, change))]
    given = bool(pair.cluster.services or pair.cluster.nodes or pair.cluster.pods)
    reason = " ".join(dict.fromkeys(explained)) or (
        "Neither --kube nor --facts explains it." if given else "--kube would name the service."
    )
    flows = len(np.unique(direction.flow[chosen]))
    evidence = {"translated": Quantity(packets, "packets"), "flows": Quantity(flows, "flows")}
    evidence |= {f"{c.end}: {c.before}": Quantity(c.after) for c in changes}
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        direction=direction.label,
        summary=f"{listed([_short(c) for c in changes], 3)}: {count(packets, 'packet')} of "
        f"{count(flows, 'flow')} translated between {direction.sender.name} and "
        f"{direction.receiver.name}",
        explanation=f"{'; '.join(whole[:8])}. {reason}",
        remedy=_remedy(direction, changes),
        evidence=evidence,
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _short(change: TranslatedEnd) -> str:
    if change.before == change.after:
        return f"the port of {change.end} {change.before} changes"
    return f"{change.end} {change.before} becomes {change.after}"


def _sentence(change: TranslatedEnd) -> str:
    ports = f", {change.ports} of them with another port" if change.ports else ""
    packets = count(int(change.packets.sum()), "packet")
    return f"{_short(change)} ({packets} of {count(change.flows, 'flow')}{ports})"


def _explained(cluster: Cluster, change: TranslatedEnd) -> str:
    """State what the cluster's own tables say about a change; "" where nothing."""
    for virtual, backend in ((change.before, change.after), (change.after, change.before)):
        service = _service(cluster, virtual)
        if service is None:
            continue
        name = service.full_name or "the load balancer's table"
        if backend in service.backends:
            return f"{virtual} is service {name}, and {backend} is one of its backends."
        if service.backends:
            known = count(len(service.backends), "backend")
            return f"{virtual} is service {name}, but {backend} is none of its {known}."
        return f"{virtual} is service {name}."
    named = [cluster.named(a) for a in (change.before, change.after) if cluster.name_of(a)]
    return f"{' and '.join(named)}: masqueraded." if len(named) == 2 else ""


def _service(cluster: Cluster, virtual: str) -> Service | None:
    """Find the service that a virtual address belongs to."""
    parsed = parse_endpoint(virtual) or (virtual, None)
    found = [*cluster.services_of(parsed[0], parsed[1]), *cluster.services_of(parsed[0])]
    return next((service for service in found if parsed[0] in service.addresses), None)


def _remedy(direction: Direction, changed: list[TranslatedEnd]) -> str:
    node = direction.receiver if direction.receiver.encapsulated else direction.sender
    address = (parse_endpoint(changed[0].before) or (changed[0].before, 0))[0]
    return written(
        "Nothing, as long as requests are answered. Otherwise compare with the endpoints of the service, "
        "and with what connection tracking holds:",
        anywhere("kubectl get endpointslices -A"),
        on(node_name(node.name), f"conntrack -L | grep -w {address}"),
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
