"""Flows as people think of them: one inner 5-tuple and VNI, whatever its outer ports and interfaces."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction
from vxlanalyze.report.series.model import Who
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_VNI, Flows

TCP, UDP = 6, 17
_PROTOCOLS = {1: "ICMP", 2: "IGMP", TCP: "TCP", UDP: "UDP", 47: "GRE", 50: "ESP", 58: "ICMPv6", 132: "SCTP"}
_ICMP = (1, 58)
_PORTS = (TCP, UDP, 132)


def group_flows(flows: Flows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give rows of `flows` with the same inner 5-tuple and VNI one number.

    Returns
    -------
    group : NDArray[np.int64]
        Shape ``(f,)``: the group of each row.
    first : NDArray[np.int64]
        Shape ``(k,)``: one row of each group.
    """
    key = np.empty(len(flows), dtype=[("identity", np.uint64), ("vni", np.uint32)])
    key["identity"], key["vni"] = flows.identity, flows.vni
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return group.reshape(-1), first


def describe(direction: Direction, rows: NDArray[np.int64]) -> list[Who]:
    """Say who talks to whom in given rows of the sender's flows; null where there is no port or VNI."""
    flows = direction.sender.flows
    sources = text(flows.src[rows], flows.family[rows])
    targets = text(flows.dst[rows], flows.family[rows])
    return [
        {
            "direction": direction.label,
            "protocol": protocol_name(int(flows.protocol[row]), int(flows.family[row])),
            "src": source,
            "sport": _port(flows, row, "sport"),
            "dst": target,
            "dport": _port(flows, row, "dport"),
            "vni": None if flows.vni[row] == NO_VNI else int(flows.vni[row]),
        }
        for row, source, target in zip(rows, sources, targets, strict=True)
    ]


def protocol_name(number: int, family: int) -> str:
    """What people call an IP protocol number."""
    return "ARP" if family == 0 else _PROTOCOLS.get(number, f"IP protocol {number}")


def _port(flows: Flows, row: int, side: str) -> int | None:
    if flows.protocol[row] in _ICMP:
        # `sport` holds type and code, `dport` the echo identifier: neither is a port.
        return None
    return int(getattr(flows, side)[row]) if flows.protocol[row] in _PORTS else None
