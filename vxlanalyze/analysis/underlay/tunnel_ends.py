"""How the two ends of a tunnel identify themselves and each other: VNIs, MACs, ports, outer addresses.

Static overlays (flannel, Calico, plain Linux) give each node one tunnel device with one MAC, and one VNI to
all; the device is addressed by its MAC. Overlays that route by a map instead (Cilium, OVN, Antrea) put the
pod's or a shared virtual MAC there, and Cilium puts the sender's security identity in the VNI field. A
comparison of two ends must first determine which of these applies.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_VNI, Flows, Tunnel

_GROUP_BIT = 1 << 40  # of the first octet on the wire, IEEE 802-2014 section 8.2
_VRRP = (0x00005E0001, 0x00005E0002)  # for IPv4 and IPv6; the last octet is the virtual router


@dataclass(frozen=True, slots=True)
class TunnelEnds:
    """Packets of one direction, wherever seen, by the values in their headers; the most frequent first."""

    packets: int
    tunnels: dict[int, int]
    vnis: dict[int, int]
    src_macs: dict[int, int]
    dst_macs: dict[int, int]
    ports: dict[int, int]
    sources: dict[str, int]
    destinations: dict[str, int]


@once
def of(direction: Direction) -> TunnelEnds:
    """Gather the identifiers used in a direction, from packets sent and packets that only the receiver saw.

    Done once, and kept as long as the direction.
    """
    sides = (
        (direction.sender.flows, packets_of(direction.sender, direction.sent_row)),
        (direction.receiver.flows, packets_of(direction.receiver, direction.unsent_row)),
    )
    columns: dict[str, dict[int, int]] = {}
    for name in ("tunnel", "vni", "inner_src_mac", "inner_dst_mac", "outer_dport"):
        columns[name] = _tally((getattr(f, name), used * (f.outer_family > 0)) for f, used in sides)
    columns["vni"].pop(NO_VNI, None)
    return TunnelEnds(
        packets=sum(int(used.sum()) for _, used in sides),
        tunnels=columns["tunnel"],
        vnis=columns["vni"],
        src_macs=_unicast(columns["inner_src_mac"]),
        dst_macs=_unicast(columns["inner_dst_mac"]),
        ports={k: v for k, v in columns["outer_dport"].items() if k},
        sources=_added(outer_addresses(f, f.outer_src, used) for f, used in sides),
        destinations=_added(outer_addresses(f, f.outer_dst, used) for f, used in sides),
    )


def other_sources(direction: Direction, opposite: Direction) -> list[str]:
    """Outer addresses that a node sends from but never receives at, in a family that it receives in.

    For example, that of a second network card.
    """
    sources, sent_to = of(direction).sources, of(opposite).destinations
    families = {":" in address for address in sent_to}
    return [s for s in sources if s not in sent_to and (":" in s) in families]


def origins(pair: Comparison) -> list[Direction]:
    """Directions that begin at an end of the path: anomalies at their sender originate there."""
    return [pair.hops[0].forward, pair.hops[-1].backward] if pair.hops else []


def entering(pair: Comparison) -> list[Direction]:
    """Directions whose packets are first seen inside the tunnel at their sender, forward first."""
    forward = [h.forward for h in pair.hops if h.forward.sender.encapsulated]
    backward = [h.backward for h in pair.hops[::-1] if h.backward.sender.encapsulated]
    return [*forward[:1], *backward[:1]]


def entry_points(pair: Comparison) -> list[tuple[Point, NDArray[np.int32], Direction | None]]:
    """Point, rows and direction of the packets that enter the tunnel; all those of a single capture."""
    if pair.hops:
        return [(d.sender, d.sent_row, d) for d in entering(pair)]
    every = [(p, np.arange(len(p.index), dtype=np.int32)) for p in pair.points if p.encapsulated]
    return [(p, rows if p.rows is None else p.rows, None) for p, rows in every]


def leaving(pair: Comparison) -> list[Direction]:
    """Directions whose packets are last seen inside the tunnel at their receiver, forward first."""
    forward = [h.forward for h in pair.hops if h.forward.receiver.encapsulated]
    backward = [h.backward for h in pair.hops[::-1] if h.backward.receiver.encapsulated]
    return [*forward[-1:], *backward[-1:]]


def packets_of(point: Point, rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """Packets of each flow of a point's capture among some of its rows, shape ``(f,)``."""
    return np.bincount(point.index.flow[rows], minlength=len(point.flows))


def is_device(macs: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Mark MACs that can belong to one device: unicast, not zero, not VRRP's (RFC 9568 section 7.3)."""
    own: NDArray[np.bool_] = (macs != 0) & (macs & np.uint64(_GROUP_BIT) == 0)
    return own & ~np.isin(macs >> np.uint64(8), np.array(_VRRP, np.uint64))


def device_macs(forward: TunnelEnds, backward: TunnelEnds) -> bool:
    """Whether one end addresses the other by the MAC that the other sends with."""
    return bool(
        forward.dst_macs.keys() & backward.src_macs.keys()
        or backward.dst_macs.keys() & forward.src_macs.keys()
    )


def differ_in_kind(one: TunnelEnds, other: TunnelEnds) -> bool:
    """Whether two directions have no kind of tunnel in common; NVGRE is GRE with a key."""
    kinds = [{Tunnel.GRE if k == Tunnel.NVGRE else Tunnel(k) for k in ends.tunnels} for ends in (one, other)]
    return bool(kinds[0] and kinds[1]) and not kinds[0] & kinds[1]


def is_cilium(cluster: Cluster) -> bool:
    """Whether any file or option from the user names Cilium."""
    return any(fact.kind.startswith("cilium") for fact in cluster.facts)


def inner_addresses(
    flows: Flows, which: NDArray[np.uint8], chosen: NDArray[np.bool_]
) -> set[tuple[int, bytes]]:
    """Give the distinct inner addresses of chosen flows, as (family, 16 bytes)."""
    rows, _ = distinct(np.column_stack([flows.family, which])[chosen & (flows.family > 0)])
    return {(int(r[0]), r[1:].tobytes()) for r in rows}


def address_text(address: tuple[int, bytes]) -> str:
    """Write an address given as (family, 16 bytes)."""
    family, packed = address
    return text(np.frombuffer(packed, np.uint8)[np.newaxis], np.array([family], np.uint8))[0]


def _tally(sides: Iterable[tuple[NDArray[np.generic], NDArray[np.int64]]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for values, packets in sides:
        names, code = np.unique(values[packets > 0], return_inverse=True)
        sums = np.bincount(code, packets[packets > 0], minlength=len(names))
        for name, packets_sum in zip(names.tolist(), sums.tolist(), strict=True):
            total[name] = total.get(name, 0) + int(packets_sum)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _unicast(macs: dict[int, int]) -> dict[int, int]:
    return {mac: packets for mac, packets in macs.items() if mac and not mac & _GROUP_BIT}


def outer_addresses(flows: Flows, column: NDArray[np.uint8], packets: NDArray[np.int64]) -> dict[str, int]:
    """Packets by outer address, given the column of it and the packets of each flow, shape ``(f,)``."""
    chosen = (packets > 0) & (flows.outer_family > 0)
    rows = np.column_stack([flows.outer_family, column])[chosen]
    names, code = distinct(rows)
    sums = np.bincount(code, packets[chosen], minlength=len(names))
    return {
        address_text((int(name[0]), name[1:].tobytes())): int(total)
        for name, total in zip(names, sums.tolist(), strict=True)
    }


def _added(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for address, packets in part.items():
            total[address] = total.get(address, 0) + packets
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
