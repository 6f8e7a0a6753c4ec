"""One packet as dpkt objects, outer to inner, for closer inspection.

dpkt knows the layers but not the tunnels: these are removed here, by the readers that decode captures.
"""

from collections.abc import Callable, Sequence
from typing import Any

import dpkt
import numpy as np
from numpy.typing import NDArray

from vxlanalyze.wire import ethernet, ipv6, link, linux_sll, null_loop
from vxlanalyze.wire.dispatch import bindings
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    INNER_AT,
    INNER_END,
    INNER_TYPE,
    MAX_DEPTH,
    RECORD_FIELDS,
    TOO_DEEP,
    TUNNEL,
    VNI,
)
from vxlanalyze.wire.octets import Octets
from vxlanalyze.wire.tunnels import NAMES
from vxlanalyze.wire.walk import walk_to_depth

Parse = Callable[[bytes], dpkt.Packet]


class TunnelHeader(dpkt.Packet):  # type: ignore[misc]
    """The header between the packet that carries a tunnel and the tunnel's content.

    Parameters
    ----------
    name : str
        The kind of tunnel, as in the tables.
    vni : int or None
        Its network identifier.
    header : bytes
        Its bytes: `data`.
    """

    __hdr__ = ()

    def __init__(self, name: str, vni: int | None, header: bytes) -> None:
        super().__init__(header)
        self.name = name
        self.vni = vni

    def __repr__(self) -> str:
        return f"TunnelHeader(name={self.name!r}, vni={self.vni}, data={self.data!r})"


def dissect(packet: bytes, link_type: int, *, ports: Sequence[int] = ()) -> list[Any]:
    """Dissect one frame.

    Parameters
    ----------
    packet : bytes
        The frame, as captured.
    link_type : int
        Of its interface.
    ports : sequence of int
        UDP ports that carry tunnels, in addition to the known ones.

    Returns
    -------
    list of dpkt.Packet
        Each layer from the link inwards, with a `TunnelHeader` between a carrier and its content. The payload
        is the `data` of the last. Anything that dpkt cannot read ends the list as bytes.
    """
    data = np.frombuffer(packet, np.uint8)
    bound_to = bindings(ports)
    layers: list[Any] = []
    start, end, parse = 0, len(packet), _link_parser(packet, link_type)
    for depth in range(MAX_DEPTH + 1):
        outside = _walk(data, link_type, bound_to, depth)
        if not outside[ANOMALIES] & TOO_DEEP:
            break
        layers += _flat(parse, packet[start : outside[AT]])
        through = _walk(data, link_type, bound_to, depth + 1)
        vni = int(through[VNI]) if through[VNI] >= 0 else None
        inside = int(through[INNER_AT]) if through[INNER_AT] >= 0 else len(packet)
        layers.append(TunnelHeader(NAMES[int(through[TUNNEL])], vni, packet[outside[AT] : inside]))
        start, end, parse = (
            inside,
            min(int(through[INNER_END]), len(packet)),
            _parser(int(through[INNER_TYPE])),
        )
    return layers + _flat(parse, packet[start:end])


def _walk(data: Octets, link_type: int, bound_to: NDArray[np.uint8], depth: int) -> NDArray[np.int64]:
    found = np.empty(RECORD_FIELDS, np.int64)
    walk_to_depth(data, link_type, bound_to, depth, found)
    return found


def _link_parser(packet: bytes, link_type: int) -> Parse:
    parsers: dict[int, Parse] = {
        link.ETHERNET: dpkt.ethernet.Ethernet,
        linux_sll.LINK_TYPE: dpkt.sll.SLL,
        linux_sll.LINK_TYPE_2: dpkt.sll2.SLL2,
        null_loop.LINK_TYPE_NULL: dpkt.loopback.Loopback,
        null_loop.LINK_TYPE_LOOP: dpkt.loopback.Loopback,
    }
    version = packet[0] >> 4 if packet else 0
    return parsers.get(link_type, dpkt.ip6.IP6 if version == ipv6.VERSION else dpkt.ip.IP)


def _parser(ethertype: int) -> Parse:
    parsers: dict[int, Parse] = {ethernet.IPV4: dpkt.ip.IP, ethernet.IPV6: dpkt.ip6.IP6}
    return parsers.get(ethertype, dpkt.ethernet.Ethernet)


def _flat(parse: Parse, packet: bytes) -> list[Any]:
    """List the layers of a packet without tunnels."""
    if not packet:
        return []
    try:
        layer: Any = parse(packet)
    except Exception:  # noqa: BLE001 - on damaged packets dpkt raises whatever its parsers stumble over
        return [packet]
    layers = []
    while isinstance(layer, dpkt.Packet):
        layers.append(layer)
        layer = layer.data
    return layers
