"""Conversations: flows with one inner 5-tuple and VNI, whatever their outer ports and interfaces."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction
from vxlanalyze.report.series.model import Who
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_VNI, Flows
from vxlanalyze.wire.protocols import TITLES, WITH_PORTS


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
    """Describe the ends of given rows of the sender's flows; null where there is no port or VNI."""
    columns = describe_columns(direction, rows)
    return [cast("Who", dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def describe_columns(direction: Direction, rows: NDArray[np.int64]) -> dict[str, list[Any]]:
    """The same as columns, by the names of `Who`."""
    flows = direction.sender.flows
    protocols = zip(flows.protocol[rows].tolist(), flows.family[rows].tolist(), strict=True)
    has_port = np.isin(flows.protocol[rows], WITH_PORTS)
    return {
        "direction": [direction.label] * len(rows),
        "protocol": [protocol_name(number, family) for number, family in protocols],
        "src": text(flows.src[rows], flows.family[rows]),
        "sport": nullable(flows.sport[rows], has_port),
        "dst": text(flows.dst[rows], flows.family[rows]),
        "dport": nullable(flows.dport[rows], has_port),
        "vni": nullable(flows.vni[rows], flows.vni[rows] != NO_VNI),
    }


def nullable(values: NDArray[Any], known: NDArray[np.bool_]) -> list[int | None]:
    """Plain numbers, None where unknown."""
    return [
        value if is_known else None for value, is_known in zip(values.tolist(), known.tolist(), strict=True)
    ]


def protocol_name(number: int, family: int) -> str:
    """The common name of an IP protocol number."""
    return "ARP" if family == 0 else TITLES.get(number, f"IP protocol {number}")
