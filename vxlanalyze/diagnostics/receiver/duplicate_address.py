"""One address is claimed by two MACs at the same time.

What it checks
    Do ARP messages or neighbour advertisements alternately name two MACs for one address, of a node or inside
    one overlay network?
Why it matters
    An ARP request returns one MAC or the other: connections to the address reach one owner, then the other,
    and are reset or stall. It comes and goes with the neighbour caches, and looks like an unreliable network.
How it decides
    Each ARP message, and each neighbour advertisement, claims its sender's address for the MAC it comes from.
    Claims are compared within one network: an interface, or a VNI inside the tunnel. Two MACs that
    alternately claim an address, or answer one requester within a second, are a duplicate. Inside the tunnel,
    the outer addresses show on which nodes the owners are. If packets to a node's address are always lost
    when sent to one of the MACs, and arrive when sent to the other, they are lost for that reason.
When it cannot tell
    Something was lost or not answered, but no capture holds ARP or neighbour advertisements (a filter on the
    tunnel's port excludes them).
What looks like it
    A move (a virtual machine that migrates, a virtual address that fails over): one MAC or place after the
    other, once. VRRP's MACs; proxy ARP, where one MAC answers for many addresses; probes from 0.0.0.0.
What to do
    Find both owners by their MACs, and give one of them another address.
Sources
    RFC 826; RFC 5227 (address conflict detection); RFC 4861 section 4.4; weave issue 3793; kubernetes issue
    51322; ovs-cni issue 222.
"""

from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.underlay.moves import announcements
from vxlanalyze.analysis.underlay.node_names import node_at
from vxlanalyze.analysis.underlay.tunnel_ends import is_device, outer_addresses
from vxlanalyze.diagnostics.receiver import other_owner
from vxlanalyze.diagnostics.receiver.other_owner import Astray
from vxlanalyze.pairing.grouping import members
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import mac_text, text
from vxlanalyze.wire.icmpv6 import NEIGHBOR_ADVERTISEMENT
from vxlanalyze.wire.model import Flows, Tunnel
from vxlanalyze.wire.protocols import ICMPV6

CODE = "duplicate-address"
_REPLY = 2
_ONE_CARD = "If so, each card answers for the addresses of all; let it answer for its own:"
_OWN_ONLY = "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"
_SAME_TIME_NS = 1_000_000_000
_TWO = 2
_MOST_NAMED = 4
_PROXY = 5  # addresses that one MAC must claim to count as answering for others


class _Conflict(NamedTuple):
    """Claims of one address in one network by several MACs: rows, and each one's MAC."""

    point: Point
    address: str
    vni: int | None
    rows: NDArray[np.int32]
    macs: NDArray[np.uint64]


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for addresses that two MACs claim in turn."""
    points = list({p.capture: p for p in pair.points}.values())
    if not any(_claims(p.flows).any() for p in points):
        # Two owners of an address lose each other's packets: if nothing is missing, there is no duplicate.
        unknown = NotAssessed(CODE, "no capture holds ARP or neighbour advertisements")
        return [unknown] if _suffers(pair) else []
    conflicts = [conflict for point in points for conflict in _conflicts(point)]
    if not conflicts:
        return []
    outside = {(c.point.capture, c.address): c.macs for c in conflicts if c.vni is None}
    astray = other_owner.astray(pair, outside)
    worst = max(conflicts, key=lambda c: (c.address in astray, len(c.rows)))
    return [_finding(pair, worst, conflicts, astray.get(worst.address))]


def _suffers(pair: Comparison) -> bool:
    """Whether anything was lost, or requested without an answer."""
    return any(d.lost.any() or answers.of(d).unanswered().any() for d in pair.directions)


def _claims(flows: Flows) -> NDArray[np.bool_]:
    """Flows that claim their source address for the MAC that they come from."""
    advertised = (
        (flows.protocol == ICMPV6) & (flows.sport >> 8 == NEIGHBOR_ADVERTISEMENT) & (flows.family == 6)
    )
    return (announcements(flows) | advertised) & is_device(_mac(flows))


def _mac(flows: Flows) -> NDArray[np.uint64]:
    return np.where(flows.tunnel == Tunnel.NONE, flows.outer_src_mac, flows.inner_src_mac)


def _conflicts(point: Point) -> list[_Conflict]:
    flows = point.flows
    claims = np.flatnonzero(_claims(flows) & point.decoded.usage.used)
    macs = _mac(flows)
    outside = flows.tunnel[claims] == Tunnel.NONE
    interface = flows.interface[claims].astype(np.uint64) << np.uint64(32) | flows.if_index[claims]
    network = np.where(outside, interface, np.uint64(1) << np.uint64(63) | flows.vni[claims])
    key = np.column_stack([network.view(np.uint8).reshape(-1, 8), flows.src[claims]])
    names, member = distinct(key)
    proxies = _proxies(macs[claims], member)
    owned = ~np.isin(macs[claims], proxies)
    address_of = np.full(len(flows), -1, np.int64)
    address_of[claims[owned]] = member[owned]
    every = rows_of(point.index.flow, address_of >= 0)
    rows_by = members(address_of[point.index.flow[every]], len(names))
    claims_by = members(member, len(names))
    found = []
    for number in _claimed_twice(macs[claims][owned], member[owned]):
        name, mine = names[number], claims[claims_by[number]]
        rows = every[rows_by[number]]
        flow = point.index.flow[rows]
        if _in_turn(macs[flow]) or _at_once(point, rows, flow, macs[flow]):
            family = np.array([6 if flows.family[mine[0]] == 6 else 4], np.uint8)
            inside = flows.tunnel[mine[0]] != Tunnel.NONE
            vni = int(flows.vni[mine[0]]) if inside else None
            found.append(_Conflict(point, text(name[np.newaxis, 8:], family)[0], vni, rows, macs[flow]))
    return found


def _claimed_twice(macs: NDArray[np.uint64], address: NDArray[np.intp]) -> list[int]:
    """Addresses, by number, that more than one MAC claims."""
    pairs = np.unique(np.column_stack([address.astype(np.uint64), macs]), axis=0)
    return np.flatnonzero(np.bincount(pairs[:, 0].astype(np.intp)) >= _TWO).tolist()


def _proxies(macs: NDArray[np.uint64], address: NDArray[np.intp]) -> NDArray[np.uint64]:
    """MACs that claim many addresses: they answer for others."""
    pairs = np.unique(np.column_stack([macs, address.astype(np.uint64)]), axis=0)
    owners, addresses = np.unique(pairs[:, 0], return_counts=True)
    return owners[addresses >= _PROXY]


def _in_turn(macs: NDArray[np.uint64]) -> bool:
    """Whether an owner claims the address again after another one did."""
    return len([mac for mac, _ in groupby(macs.tolist())]) > _TWO


def _at_once(
    point: Point, rows: NDArray[np.int32], flow: NDArray[np.int32], macs: NDArray[np.uint64]
) -> bool:
    """Whether two owners answer one requester within a second."""
    replies = point.flows.sport[flow] == _REPLY
    times = point.index.time_ns[rows]
    order = [
        (int(times[i]), int(macs[i]), point.flows.dst[flow[i]].tobytes()) for i in np.flatnonzero(replies)
    ]
    return any(
        a[1] != b[1] and a[2] == b[2] and b[0] - a[0] < _SAME_TIME_NS for a, b in pairwise(sorted(order))
    )


def _finding(
    pair: Comparison, first: _Conflict, conflicts: list[_Conflict], astray: Astray | None
) -> Finding:
    others = sorted({c.address for c in conflicts} - {first.address})
    more = f" (likewise: {listed(others, at_most=4)})" if others else ""
    owners = np.unique(first.macs).tolist()
    named = pair.cluster.named(first.address)
    most = _with_most_claims(first)
    own = other_owner.rightful_mac(pair, first.address) if first.vni is None else None
    own = own if own in owners else None
    node = node_at(pair, first.address)
    where = [f"{mac_text(m)} ({f'the card of {node}' if m == own else _place(first, m)})" for m in most]
    where += [f"{len(owners) - len(most):,} more"] if len(owners) > len(most) else []
    network = f"in VNI {first.vni}" if first.vni is not None else "on the nodes' network"
    shown = exhibits.of_rows(pair, [(c.point, c.rows) for c in conflicts])
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=astray.direction.label if astray else None,
        summary=f"{named} is claimed by {len(owners)} MACs {network} in turn: {listed(where)}{more}"
        + (astray.in_short if astray else ""),
        explanation=f"In the capture of {first.point.name}, {count(len(first.rows), 'ARP message')} or "
        f"neighbour advertisements claim {first.address}, for {_named(owners)} "
        "in turn. Each claim overwrites the other in the neighbour tables of all that hear it, so that "
        "connections reach one owner, then the other. A move would show one after the other, once."
        + (astray.words if astray else ""),
        remedy=_remedy(pair, first, most) if own is None else _remedy_for_intruder(first, most, own, node),
        evidence={
            "address": Quantity(first.address),
            "macs": Quantity(", ".join(mac_text(m) for m in most)),
            "own_mac": Quantity(None if own is None else mac_text(own)),
            "claims": Quantity(len(first.rows), "frames"),
            **{f"claims_by_{mac_text(m)}": Quantity(int((first.macs == m).sum()), "frames") for m in most},
            "lost_at_other_owner": Quantity(astray.lost if astray else None, "packets"),
        },
        ruled_out=(RuledOut("duplication", "the messages come from different MACs"),),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _named(owners: list[int]) -> str:
    return listed([mac_text(mac) for mac in owners], at_most=_MOST_NAMED)


def _with_most_claims(conflict: _Conflict) -> list[int]:
    """Give the owners to name, ascending: a forger can claim an address for any number of them."""
    owners, claims = np.unique(conflict.macs, return_counts=True)
    return sorted(owners[np.argsort(-claims, kind="stable")[:_MOST_NAMED]].tolist())


def _remedy(pair: Comparison, first: _Conflict, owners: list[int]) -> str:
    near = node_name(first.point.name)
    return written(
        f"Find both owners by their MACs and give one another address. {_whereabouts(first)}:",
        *(
            on(node_at(pair, at), f"ip -br link | grep -i {mac_text(mac)}")
            for mac in owners
            for at in _senders(first, mac)
        ),
        "Then clear the entry where it is used:",
        on(near, f"ip neigh flush to {first.address}"),
    )


def _remedy_for_intruder(first: _Conflict, owners: list[int], own: int, node: str) -> str:
    """Look for the owner that does not send from the node: a second card of it, or another machine."""
    near = node_name(first.point.name)
    others = [mac_text(mac) for mac in owners if mac != own]
    return written(
        f"{node} sends from {mac_text(own)}. See whether {listed(others)} is another card of it:",
        on(node, *(f"ip -br link | grep -i {mac}" for mac in others)),
        "If so, one of the two must not have the address:" if ":" in first.address else _ONE_CARD,
        on(node, f"ip -6 addr show to {first.address}" if ":" in first.address else _OWN_ONLY),
        f"If not, another machine has the address: find {listed(others)} in the MAC address table of the "
        "switch or in the hypervisor's list of machines, and give it another address. Until then, fix the "
        "right entry (NIC: the device that the first command prints):",
        on(
            near,
            f"ip route get {first.address}",
            f"ip neigh replace {first.address} lladdr {mac_text(own)} dev NIC nud permanent",
        ),
        "To undo it:",
        on(near, f"ip neigh del {first.address} dev NIC"),
    )


def _senders(conflict: _Conflict, mac: int) -> list[str]:
    """Outer addresses that a MAC sends from; outside of the tunnel, the address that it claims."""
    if conflict.vni is None:
        return [conflict.address]
    flows = conflict.point.flows
    sent = (flows.inner_src_mac == mac) & (flows.vni == conflict.vni)
    used = np.where(sent, conflict.point.decoded.usage.packets, 0)
    return list(outer_addresses(flows, flows.outer_src, used))


def _whereabouts(conflict: _Conflict) -> str:
    """Say where to look for the owners."""
    if conflict.vni is not None:
        return "On the nodes named above"
    return (
        f"One is the node that should have {conflict.address}; the port of the other stands in the MAC "
        "address table of the switch, or in the hypervisor's list of machines. On the node"
    )


def _place(conflict: _Conflict, mac: int) -> str:
    """State where a MAC sends from: the outer address, or the capture."""
    if conflict.vni is None:
        return f"seen by {conflict.point.name}"
    return f"at {listed(_senders(conflict, mac))}"


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
