"""The walker: from the link layer to the innermost packet. Only this module knows the order of layers.

Each reader reads one header and returns the number that announces what follows (an EtherType, an IP protocol,
a port); here that number selects the next reader. Decoding is lenient: whatever was parsed is kept, and where
a header is truncated or invalid the walk ends with an anomaly mark.

Nested tunnels are followed to a depth of `MAX_DEPTH`; with more than one, the outermost and the innermost
packet are kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import (
    arp,
    esp,
    ethernet,
    icmp,
    icmpv6,
    ipv4,
    ipv6,
    link,
    sctp,
    shims,
    tcp,
    udp,
    wireguard,
)
from vxlanalyze.wire.dispatch import by_port, by_protocol, read_tunnel, recognise
from vxlanalyze.wire.fields import (
    ABSENT,
    ANOMALIES,
    AT,
    BLANK,
    CUT,
    DEEPEST,
    DEPTH,
    ENCRYPTION,
    END,
    FIRST_FRAGMENT,
    FRAGMENT_OFFSET,
    GROUP_POLICY,
    IN_FRAGMENT,
    INNER,
    INNER_AT,
    INNER_END,
    INNER_FRAGMENT,
    INNER_TYPE,
    LATER_FRAGMENT,
    LIMIT,
    MORE_FRAGMENTS,
    OPTIONS_BYTES,
    OUTER,
    PAYLOAD_AT,
    PAYLOAD_END,
    RECORD_FIELDS,
    STOP,
    TOO_DEEP,
    TUNNEL,
    TUNNEL_GUESSED,
    UNKNOWN_PROTOCOL,
    VNI,
    Record,
)
from vxlanalyze.wire.model import Encryption, Tunnel
from vxlanalyze.wire.octets import Octets
from vxlanalyze.wire.padding import check_padding
from vxlanalyze.wire.raw_frames import RawFrames

_NO_TUNNEL = int(Tunnel.NONE)
_ESP = int(Encryption.ESP)
_WIREGUARD = int(Encryption.WIREGUARD)


@compiled
def walk(frames: RawFrames, row: int, bound_to: NDArray[np.uint8], found: Record) -> int:
    """Decode the frame of a row into `found`; return the base of its innermost packet.

    Parameters
    ----------
    bound_to : ndarray of uint8, shape (65792,)
        The table built by `bindings`.
    found : ndarray of int64, shape (RECORD_FIELDS,)
        The scratch record.

    Returns
    -------
    int
        OUTER or INNER.
    """
    data, link_type = frames.data, frames.link_types[frames.interface[row]]
    begin_frame(frames, row, found)
    return descend(data, found, bound_to, link.read(data, found, link_type))


@compiled
def begin_frame(frames: RawFrames, row: int, found: Record) -> None:
    """Clear the record for the frame of a row."""
    captured: Any = np.int64(frames.captured_length[row])
    original: Any = np.int64(frames.original_length[row])
    begin(found, frames.start[row], captured, original)


@compiled("u1[] i8 u1[] i8 i8[]")
def walk_to_depth(
    data: Octets, link_type: int, bound_to: NDArray[np.uint8], depth: int, found: Record
) -> None:
    """Decode a whole frame, following at most `depth` nested tunnels."""
    begin(found, 0, len(data), len(data))
    found[DEEPEST] = depth
    descend(data, found, bound_to, link.read(data, found, link_type))


@compiled
def begin(found: Record, start: int, captured: int, original: int) -> None:
    """Clear the record for a frame at `start`."""
    for place in range(RECORD_FIELDS):
        found[place] = BLANK[place]
    found[AT] = start
    found[END] = start + captured
    found[LIMIT] = start + max(captured, original)
    if captured < original:
        found[ANOMALIES] |= CUT


@compiled
def descend(data: Octets, found: Record, bound_to: NDArray[np.uint8], ethertype: int) -> int:
    """Decode from `AT`, tunnel by tunnel; return the base of the innermost packet."""
    base = OUTER
    while True:
        if ethertype == ethernet.TRANSPARENT_ETHERNET:
            ethertype = ethernet.read(data, found, base)
        elif ethertype != STOP:
            ethertype = ethernet.typed(data, found, base, ethertype)
        if ethertype != ethernet.IPV4 and ethertype != ethernet.IPV6 and ethertype != ethernet.ARP:
            ethertype = shims.through(data, found, base, ethertype)
        protocol = _network(data, found, base, ethertype)
        if protocol == STOP:
            return base
        tunnel = _transport(data, found, base, protocol, bound_to)
        if tunnel == _NO_TUNNEL:
            return base
        if found[DEPTH] >= found[DEEPEST]:
            found[ANOMALIES] |= TOO_DEEP
            return base
        base = _enter(found, tunnel)
        ethertype = read_tunnel(tunnel, data, found)
        if ethertype == STOP:
            return base
        found[INNER_AT] = found[AT]
        found[INNER_TYPE] = ethertype
        found[INNER_END] = found[LIMIT]
        if not ethernet.is_followed(ethertype) and ethertype not in shims.DECODED:
            found[ANOMALIES] |= UNKNOWN_PROTOCOL


@compiled
def _network(data: Octets, found: Record, base: int, ethertype: int) -> int:
    """Read the network layer; return the protocol whose header follows, or STOP."""
    end = found[END]
    if ethertype == ethernet.IPV4:
        protocol = ipv4.read(data, found, base)
    elif ethertype == ethernet.IPV6:
        protocol = ipv6.read(data, found, base)
    elif ethertype == ethernet.ARP:
        arp.read(data, found, base)
        return STOP
    else:
        if ethertype != STOP:
            _opaque(found, base)
        return STOP
    if base == INNER and protocol != STOP:
        check_padding(data, found, end)
    if found[base + FRAGMENT_OFFSET] > 0 or found[base + MORE_FRAGMENTS] > 0:
        return _fragment(found, base, protocol)
    return protocol


@compiled
def _opaque(found: Record, base: int) -> None:
    """Treat everything that remains as payload."""
    found[base + PAYLOAD_AT] = found[AT]
    found[base + PAYLOAD_END] = found[LIMIT]


@compiled
def _fragment(found: Record, base: int, protocol: int) -> int:
    """Mark a fragment; only a first one has further headers."""
    later = found[base + FRAGMENT_OFFSET] > 0
    if base == OUTER:
        found[ANOMALIES] |= LATER_FRAGMENT if later else FIRST_FRAGMENT
    else:
        found[ANOMALIES] |= INNER_FRAGMENT
    found[IN_FRAGMENT] = 1
    if later and protocol != STOP:
        _opaque(found, base)
        return STOP
    return protocol


@compiled
def _transport(
    data: Octets,
    found: Record,
    base: int,
    protocol: int,
    bound_to: NDArray[np.uint8],
) -> int:
    """Read the transport layer; return the tunnel that follows, or `_NO_TUNNEL`."""
    if protocol == udp.PROTOCOL:
        return _datagram(data, found, base, bound_to)
    if protocol == tcp.PROTOCOL:
        tcp.read(data, found, base)
    elif protocol == icmp.PROTOCOL:
        icmp.read(data, found, base)
    elif protocol == icmpv6.PROTOCOL:
        icmpv6.read(data, found, base)
    elif protocol == sctp.PROTOCOL:
        sctp.read(data, found, base)
    else:
        _opaque(found, base)
        if protocol == esp.PROTOCOL and base == OUTER:
            found[ENCRYPTION] = _ESP
        return by_protocol(data, found, protocol, bound_to)
    if base == INNER and found[base + MORE_FRAGMENTS] > 0:
        _opaque(found, base)  # only the whole content of a fragment can be compared
    return _NO_TUNNEL


@compiled
def _datagram(data: Octets, found: Record, base: int, bound_to: NDArray[np.uint8]) -> int:
    """Read a UDP header; return the tunnel in its payload, or `_NO_TUNNEL`."""
    at = found[AT]
    port = udp.read(data, found, base)
    if base == INNER and found[base + MORE_FRAGMENTS] > 0:
        found[base + PAYLOAD_AT] = at
        found[base + PAYLOAD_END] = found[LIMIT]
    if port == STOP:
        return _NO_TUNNEL
    tunnel = by_port(data, found, port, bound_to)
    if tunnel != _NO_TUNNEL:
        return tunnel
    if base == OUTER:
        if esp.in_udp(data, found, base):
            found[ENCRYPTION] = _ESP
            return _NO_TUNNEL
        if wireguard.in_udp(data, found, base):
            found[ENCRYPTION] = _WIREGUARD
            return _NO_TUNNEL
    tunnel = recognise(data, found, udp.PROTOCOL)
    if tunnel == _NO_TUNNEL:
        udp.name_query(data, found, base)
    else:
        found[ANOMALIES] |= TUNNEL_GUESSED
    return tunnel


@compiled
def _enter(found: Record, tunnel: int) -> Any:
    """Prepare the inner part of the record for the tunnel's content; return its base."""
    if found[DEPTH] > 0:
        for place in range(INNER, RECORD_FIELDS):
            found[place] = BLANK[place]
        found[VNI] = ABSENT
        found[GROUP_POLICY] = ABSENT
        found[OPTIONS_BYTES] = ABSENT
        found[INNER_AT] = ABSENT
    found[DEPTH] += 1
    found[TUNNEL] = tunnel
    return INNER
