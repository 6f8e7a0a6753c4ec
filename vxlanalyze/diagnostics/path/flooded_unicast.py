"""Unicast frames are flooded to several tunnel endpoints, since there is no entry for their MAC.

What it checks
    Does a node send one inner frame, addressed to a single MAC, to more than one outer address or to a group?
Why it matters
    An endpoint floods frames for which it has no forwarding entry. Until the first answer that is normal. If
    it continues, every node receives traffic that is not its own: bandwidth and processor time are multiplied
    by the number of nodes, and one guest's traffic can be read on all hosts.
How it decides
    Frames of a node count if the same content went to two or more outer destinations, or if they are for a
    unicast MAC and went to a multicast group. It is reported from 10 such frames for one MAC, more than
    learning takes.
When it cannot tell
    No capture shows tunnel packets at the node that sends them.
What looks like it
    ARP requests and broadcasts, which are meant for all; a conversation that is spread over several
    endpoints, each packet to one; a guest that moved and is reached at its new place afterwards.
What to do
    Find out why no entry is learned: learning is disabled and the control plane does not know the MAC, the
    guest never sends, or its answers take another path.
Sources
    RFC 7348 section 4.1 and 4.2; Linux bridge(8), fdb; cloudstack issue 7930.
"""

from ipaddress import ip_address
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay.tunnel_ends import address_text, inner_addresses, is_device, outer_addresses
from vxlanalyze.pairing.grouping import members
from vxlanalyze.pairing.identity import Level, frame_keys
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.points import outer_group
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import among
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire import hashing
from vxlanalyze.wire.addresses import mac_text

CODE = "flooded-unicast"
_MOST_NAMED = 4


class _Flood(NamedTuple):
    """Frames for one MAC that went to several places: rows, number of distinct ones, and the flows."""

    mac: int
    rows: NDArray[np.int32]
    frames: int


def check(pair: Comparison, *, fewest: int = 10) -> list[DiagnosticResult]:
    """Examine what each node sends into the tunnel; `fewest` frames for one MAC are needed for a report."""
    points = [p for p in pair.points if p.encapsulated]
    if not any((p.flows.outer_family > 0).any() for p in points):
        return [NotAssessed(CODE, "no capture shows a tunnel packet")]
    found = [(point, flood) for point in points for flood in _floods(point) if flood.frames >= fewest]
    senders = {point.name: [f for p, f in found if p is point] for point, _ in found}
    return [_finding(pair, point, senders[point.name]) for point in points if point.name in senders]


def _floods(point: Point) -> list[_Flood]:
    flows = point.flows
    used = point.decoded.usage.used & is_device(flows.inner_dst_mac) & _sent_by(point)
    grouped = used & outer_group(flows)
    several = used & _to_several(point, used)
    if not (grouped | several).any():
        return []
    rows = rows_of(point.index.flow, grouped | several)
    flow = point.index.flow[rows]
    keep = grouped[flow] | _copied(point, rows)
    rows, flow = rows[keep], flow[keep]
    macs, of = np.unique(flows.inner_dst_mac[flow], return_inverse=True)
    keys = frame_keys(Level.INNER, point.decoded, rows)
    result = [
        _Flood(mac, rows[mine], len(np.unique(keys[mine])))
        for mac, mine in zip(macs.tolist(), members(of, len(macs)), strict=True)
    ]
    return sorted(result, key=lambda f: -f.frames)


def _sent_by(point: Point) -> NDArray[np.bool_]:
    """Tunnel flows that the node of a capture sends."""
    packed = [ip_address(address).packed.ljust(16, b"\0") for address in point.addresses]
    own = among(point.flows.outer_src, np.frombuffer(b"".join(packed), np.uint8).reshape(-1, 16))
    return own & (point.flows.outer_family > 0)


def _to_several(point: Point, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flows of this node whose inner packets go to more than one outer address."""
    flows = point.flows
    rows = np.flatnonzero(used)
    identities, member = np.unique(flows.identity[rows], return_inverse=True)
    if len(identities) == len(rows):
        return np.zeros(len(flows), np.bool_)
    first = np.zeros(len(identities), np.intp)
    first[member[::-1]] = rows[::-1]
    same_source = (flows.outer_src[rows] == flows.outer_src[first[member]]).all(axis=1)
    other = (flows.outer_dst[rows] != flows.outer_dst[first[member]]).any(axis=1) & same_source
    several = np.bincount(member, other, minlength=len(identities)) > 0
    result = np.zeros(len(flows), np.bool_)
    result[rows] = several[member] & same_source
    return result


def _copied(point: Point, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether each row's frame also went to another outer address, shape of `rows`."""
    flows, flow = point.flows, point.index.flow[rows]
    halves = np.ascontiguousarray(flows.outer_dst).view(np.uint64)
    to = (halves[:, 0] * hashing.PRIMES[0] ^ halves[:, 1])[flow]
    keys = frame_keys(Level.INNER, point.decoded, rows)
    _, member = np.unique(keys, return_inverse=True)
    places = np.unique(np.column_stack([member.astype(np.uint64), to]), axis=0)[:, 0].astype(np.intp)
    copied: NDArray[np.bool_] = np.bincount(places, minlength=int(member.max(initial=0)) + 1)[member] > 1
    return copied


def _finding(pair: Comparison, point: Point, floods: list[_Flood]) -> Finding:
    flows, worst = point.flows, floods[0]
    used = np.bincount(point.index.flow[worst.rows], minlength=len(flows))
    ends = list(outer_addresses(flows, flows.outer_dst, used))
    to = inner_addresses(flows, flows.dst, used > 0)
    inner = [pair.cluster.named(address_text(a)) for a in sorted(to)]
    mac = mac_text(worst.mac)
    frames = sum(flood.frames for flood in floods)
    shown = exhibits.of_rows(pair, [(point, np.sort(np.concatenate([f.rows for f in floods])))])
    more = f" (and frames for {len(floods) - 1} more MACs likewise)" if len(floods) > 1 else ""
    home = _home(pair, worst.mac)
    owner = f"The MAC itself sends from {listed(home)}." if home else "Nothing was sent by this MAC."
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=_direction(pair, point),
        summary=f"{point.name} sends each of {count(worst.frames, 'frame')} for {mac} "
        f"({listed(inner, at_most=_MOST_NAMED)}) to {_places(ends)}{more}: it has no forwarding entry for it",
        explanation=f"A frame for one MAC has one receiver. {point.name} floods these to "
        f"{listed(ends, at_most=_MOST_NAMED)}. {owner}",
        remedy=_remedy(point.name, mac, home),
        evidence={
            "mac": Quantity(mac),
            "addresses": Quantity(", ".join(sorted(map(address_text, to)))),
            "frames": Quantity(frames, "frames"),
            "endpoints": Quantity(", ".join(ends)),
            "sends_from": Quantity(", ".join(home) or "nowhere"),
        },
        ruled_out=(RuledOut("duplication", "the copies go to different outer addresses"),),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )  # fmt: skip


def _remedy(node: str, mac: str, home: list[str]) -> str:
    missing = (
        (
            "If the entry is missing, add it:",
            on(node, f"bridge fdb append {mac} dev DEVICE dst {home[0]}"),
            "To undo it:",
            on(node, f"bridge fdb del {mac} dev DEVICE dst {home[0]}"),
        )
        if home
        else (f"Nothing answers for {mac}: look for the guest that has it, or for who still sends to it.",)
    )
    return written(
        f"On {node}, see whether its tunnel device (DEVICE, the name that the first command shows) learns, "
        "and what:",
        on(node, "ip -d link show type vxlan", "bridge fdb show dev DEVICE"),
        *missing,
    )


def _places(ends: list[str]) -> str:
    return f"{len(ends)} tunnel endpoints" if len(ends) > 1 else f"the group {ends[0]}"


def _home(pair: Comparison, mac: int) -> list[str]:
    """Outer addresses that a MAC sends from."""
    found: dict[str, None] = {}
    for point in (p for p in pair.points if p.encapsulated):
        sent = np.where(point.flows.inner_src_mac == mac, point.decoded.usage.packets, 0)
        found |= dict.fromkeys(outer_addresses(point.flows, point.flows.outer_src, sent))
    return list(found)


def _direction(pair: Comparison, point: Point) -> str | None:
    directions: list[Direction] = [d for d in pair.directions if d.sender is point]
    return directions[0].label if len(directions) == 1 else None


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
