"""Columns shared by all packets of a flow, formatted once per flow and taken per packet."""

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vxlanalyze.export.columns import NAME
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.part import PROTOCOLS
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_VNI, Flows, Tunnel
from vxlanalyze.wire.protocols import WITH_PORTS
from vxlanalyze.wire.tunnels import NAMES

_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_PROTOCOLS = pa.array([_PROTOCOL_NAMES.get(number, str(number)) for number in range(256)])
_TUNNELS = pa.array([NAMES.get(number, "") for number in range(max(NAMES) + 1)])


class FlowColumns:
    """Creates the columns of packets from their flows.

    Parameters
    ----------
    flows : Flows
        Those of one capture.
    cluster : Cluster
        Names pods, services and nodes.
    """

    def __init__(self, flows: Flows, cluster: Cluster) -> None:
        self._flows = flows
        self._cluster = cluster

    def columns(self, flow: NDArray[np.int32]) -> dict[str, Any]:
        """Give the columns that identify the conversation, for packets of the given flows, shape ``(k,)``."""
        flows = self._flows
        tunnel, vni = flows.tunnel[flow], flows.vni[flow]
        encapsulated = flows.outer_family[flow] != 0
        outer_ported = encapsulated & np.isin(flows.outer_protocol[flow], WITH_PORTS)
        ported = np.isin(flows.protocol[flow], WITH_PORTS)
        return {
            "tunnel": self._taken(tunnel.astype(np.int32), _TUNNELS, tunnel == Tunnel.NONE),
            "vni": pa.array(vni, mask=vni == NO_VNI),
            "outer_src": self._taken(self._outer_src[0][flow], self._outer_src[1], ~encapsulated),
            "outer_dst": self._taken(self._outer_dst[0][flow], self._outer_dst[1], ~encapsulated),
            "outer_sport": pa.array(flows.outer_sport[flow], mask=~outer_ported),
            "outer_dport": pa.array(flows.outer_dport[flow], mask=~outer_ported),
            "src": self._taken(self._src[0][flow], self._src[1]),
            "dst": self._taken(self._dst[0][flow], self._dst[1]),
            "src_name": self._named(self._src, flow),
            "dst_name": self._named(self._dst, flow),
            "sport": pa.array(flows.sport[flow], mask=~ported),
            "dport": pa.array(flows.dport[flow], mask=~ported),
            "protocol": pa.array(flows.protocol[flow]),
            "protocol_name": self._taken(flows.protocol[flow].astype(np.int32), _PROTOCOLS),
        }

    def only_ipv4(self, flow: NDArray[np.int32], ip_id: NDArray[np.uint16]) -> Any:
        """Give IP identifications, null where the innermost packet is not IPv4."""
        return pa.array(ip_id.astype(np.uint16), mask=self._flows.family[flow] != 4)

    @cached_property
    def _outer_src(self) -> tuple[NDArray[np.int32], Any]:
        return _encoded(self._flows.outer_src, self._flows.outer_family)

    @cached_property
    def _outer_dst(self) -> tuple[NDArray[np.int32], Any]:
        return _encoded(self._flows.outer_dst, self._flows.outer_family)

    @cached_property
    def _src(self) -> tuple[NDArray[np.int32], Any]:
        return _encoded(self._flows.src, self._flows.family)

    @cached_property
    def _dst(self) -> tuple[NDArray[np.int32], Any]:
        return _encoded(self._flows.dst, self._flows.family)

    def _named(self, addresses: tuple[NDArray[np.int32], Any], flow: NDArray[np.int32]) -> Any:
        code, texts = addresses
        names = [self._cluster.name_of(text_) for text_ in texts.to_pylist()]
        known = sorted({name for name in names if name is not None})
        place = {name: at for at, name in enumerate(known)}
        of_text = np.array([-1 if name is None else place[name] for name in names], np.int32)
        taken = of_text[code[flow]] if len(of_text) else np.full(len(flow), -1, np.int32)
        return self._taken(np.maximum(taken, 0), pa.array(known, pa.string()), taken < 0)

    @staticmethod
    def _taken(codes: NDArray[np.int32], names: Any, missing: NDArray[np.bool_] | None = None) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), names).cast(NAME)


def _encoded(addresses: NDArray[np.uint8], family: NDArray[np.uint8]) -> tuple[NDArray[np.int32], Any]:
    """Number the distinct addresses, shape ``(f,)``, and format each once, even if ARP uses it too."""
    rows = np.column_stack([addresses, family])
    unique, code = distinct(rows)
    names, same = np.unique(np.array(text(unique[:, :16], unique[:, 16]), object), return_inverse=True)
    return same[code].astype(np.int32), pa.array(names, pa.string())
