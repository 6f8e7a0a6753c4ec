"""Two nodes use the same MAC for their tunnel devices.

What it checks
    Does one inner source MAC appear with two outer addresses of different nodes?
Why it matters
    A tunnel endpoint finds the node of a MAC in its forwarding table: if two nodes share a MAC, packets for
    one go to the other, or alternate. Between the two themselves nothing works: Linux drops a frame whose
    source MAC is that of its own tunnel device, as a loop.
How it decides
    The outer source addresses of each inner source MAC, over all tunnel packets of all captures. Addresses of
    one node (as its capture or the cluster's state shows) and addresses that a gateway translated into each
    other count as one. The MAC must be one that nodes send to, as for a tunnel device.
When it cannot tell
    No tunnel packet with an inner MAC was seen.
What looks like it
    A virtual router's MAC, used by all nodes and addressed by none (OVN, anycast gateways of EVPN); VRRP; a
    virtual machine that moved, whose MAC is seen at one node first and later at another only; NAT between the
    nodes; a node with two addresses; an appliance on a third node (a load balancer, a service chain) that
    forwards the same conversations.
What to do
    Give each node its own MAC. A cloned /etc/machine-id is the usual cause, since systemd derives the MAC
    from it: generate a new one, delete the device, restart the CNI's agent.
Sources
    systemd issue 14744; Mellanox network-operator issue 418; calico issue 7281; Linux drivers/net/vxlan,
    vxlan_set_mac ("Ignore packet loops"); RFC 9568 section 7.3 (VRRP's MACs).
"""

from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.analysis.underlay.node_names import node_at
from vxlanalyze.analysis.underlay.rewriting import rewritten_sources
from vxlanalyze.analysis.underlay.tunnel_ends import is_device
from vxlanalyze.pairing.grouping import members
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import listed
from vxlanalyze.wire.addresses import mac_text, text

CODE = "duplicate-tunnel-mac"


class _Use(NamedTuple):
    """One MAC with one outer source address in one capture."""

    mac: int
    source: str
    packets: int
    first_ns: int
    last_ns: int
    point: Point
    identities: NDArray[np.uint64]  # of its inner flows


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for a MAC used with the outer addresses of different nodes."""
    points = {p.capture: p for p in pair.points if p.encapsulated}
    uses: dict[int, list[_Use]] = {}
    for point in points.values():
        for use in _uses(point):
            uses.setdefault(use.mac, []).append(use)
    if not uses:
        return [NotAssessed(CODE, "no tunnel packet with an inner MAC was seen")]
    node_of = _nodes(pair)
    addressed = _addressed(list(points.values()))
    found = []
    for mac in sorted(uses.keys() & addressed):
        mine = uses[mac]
        nodes = {node_of.get(u.source, u.source) for u in mine}
        if len(nodes) > 1 and not _moved(mine) and not _passed_on(mine):
            found.append((mac, mine))
    return [_finding(pair, found)] if found else []


def _uses(point: Point) -> list[_Use]:
    """Each pair of inner source MAC and outer source address of a capture."""
    flows, index = point.flows, point.index
    usage = point.decoded.usage
    chosen = np.flatnonzero((usage.packets > 0) & is_device(flows.inner_src_mac) & (flows.outer_family > 0))
    macs = flows.inner_src_mac[chosen].astype(">u8").view(np.uint8).reshape(-1, 8)
    names, code = distinct(np.column_stack([macs, flows.outer_src[chosen]]))
    uses = [chosen[places] for places in members(code, len(names))]
    sources = text(names[:, 8:], flows.outer_family[[mine[0] for mine in uses]])
    return [
        _Use(
            mac=int.from_bytes(name[:8].tobytes()),
            source=source,
            packets=int(usage.packets[mine].sum()),
            first_ns=int(index.time_ns[usage.first_row[mine]].min()),
            last_ns=int(index.time_ns[usage.last_row[mine]].max()),
            point=point,
            identities=flows.identity[mine],
        )
        for name, source, mine in zip(names, sources, uses, strict=True)
    ]


def _addressed(points: list[Point]) -> set[int]:
    """MACs that occur as an inner destination."""
    macs = [p.flows.inner_dst_mac[is_device(p.flows.inner_dst_mac)] for p in points]
    return set(np.unique(np.concatenate(macs)).tolist())


def _nodes(pair: Comparison) -> dict[str, str]:
    """Name the node of each outer address known to be a node's; translated ones belong to their node."""
    node_of: dict[str, str] = {}
    for node in pair.cluster.nodes:
        node_of |= dict.fromkeys(node.addresses, node.name)
    for point in pair.points:
        names = [node_of[a] for a in point.addresses if a in node_of]
        for address in point.addresses:
            node_of.setdefault(address, names[0] if names else point.addresses[0])
    for direction in pair.directions:
        for before, after in rewritten_sources(direction):
            node_of[after] = node_of.get(before, before)
    return node_of


def _passed_on(uses: list[_Use]) -> bool:
    """Whether an appliance forwards another node's packets: at most one address has flows of its own."""
    flows = {source: set[int]() for source in sorted({u.source for u in uses})}
    for use in uses:
        flows[use.source] |= set(use.identities.tolist())
    seen_at = Counter(identity for mine in flows.values() for identity in mine)
    return sum(any(seen_at[identity] == 1 for identity in mine) for mine in flows.values()) <= 1


def _moved(uses: list[_Use]) -> bool:
    """Whether each capture saw the MAC with one address first, and then with another permanently."""
    together = False
    for name in {u.point.name for u in uses}:
        spans = sorted((u.first_ns, u.last_ns) for u in uses if u.point.name == name)
        if any(later[0] <= earlier[1] for earlier, later in pairwise(spans)):
            return False
        together |= len(spans) > 1
    return together


def _finding(pair: Comparison, found: list[tuple[int, list[_Use]]]) -> Finding:
    mac, uses = found[0]
    sources = sorted({u.source for u in uses})
    names = [_named(pair, s) for s in sources]
    macs = np.array([m for m, _ in found], np.uint64)
    points = {id(u.point): u.point for u in uses}.values()
    shown = exhibits.of_rows(pair, [(p, _rows(p, macs)) for p in points])
    more = f" (and {len(found) - 1} more MACs likewise)" if len(found) > 1 else ""
    users = listed([f"{u.source} ({u.packets:,} packets in {u.point.name})" for u in uses])
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        summary=f"inner source MAC {mac_text(mac)} is used by {len(sources)} outer addresses: "
        f"{listed(names)}{more}",
        explanation=f"The other nodes address a tunnel device by its MAC. {users} send from this one, "
        "and nodes address it: what is meant for one of them can reach the other. Between the two "
        "themselves Linux drops every frame, taking it for its own.",
        remedy=_remedy(pair, sources, mac),
        evidence={
            "mac": Quantity(mac_text(mac)),
            "outer_addresses": Quantity(", ".join(sources)),
            "macs": Quantity(len(found)),
        },
        ruled_out=(
            RuledOut(
                "outer-address-rewritten", "these addresses are not rewritten into each other on the path"
            ),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _remedy(pair: Comparison, sources: list[str], mac: int) -> str:
    """What to compare and renew on the nodes that use the MAC, not on those that see it."""
    device = next((d for d in (underlay.of(d, pair.cluster).device for d in pair.directions)), "DEVICE")
    nodes = list(dict.fromkeys(node_at(pair, source) for source in sources))
    others = [node_name(p.name) for p in pair.points if p.encapsulated]
    looking = list(dict.fromkeys([*nodes, *others]))
    return written(
        "Compare the machine ids and tunnel devices of the nodes that use it:",
        *(on(node, "cat /etc/machine-id", "ip -d link show") for node in nodes),
        "If the ids are equal (cloned images), make a new one on one of these nodes, delete its tunnel "
        "device, and restart the network plugin's agent there, which recreates the device:",
        on(nodes[0], "rm /etc/machine-id && systemd-machine-id-setup", f"ip link del {device}"),
        "After a node was replaced, look for the old entry instead:",
        *(on(node, f"bridge fdb show | grep -i {mac_text(mac)}") for node in looking),
    )


def _rows(point: Point, macs: NDArray[np.uint64]) -> NDArray[np.int32]:
    return rows_of(point.index.flow, np.isin(point.flows.inner_src_mac, macs))


def _named(pair: Comparison, address: str) -> str:
    node = pair.cluster.node_of(address)
    return address if node is None else f"{address} ({node})"


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
