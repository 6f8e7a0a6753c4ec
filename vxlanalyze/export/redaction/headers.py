"""Find the bytes of a frame that are headers and may be kept, from its decoded record."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames
from vxlanalyze.wire import ethernet, fields, icmp, icmpv6, ipv6, linux_sll, null_loop, sctp, tcp, udp
from vxlanalyze.wire.fields import INNER, OUTER
from vxlanalyze.wire.protocols import ESP

Span = tuple[NDArray[np.int64], NDArray[np.int64]]

NO_LINK, ETHERNET, SLL, SLL2 = range(4)

_ARP_BYTES = 28
_IPV4_BYTES = 20
_ESP_BYTES = 8
_TUNNEL_BYTES = 8  # of VXLAN, GPE, and Geneve without options
_GRE_BYTES = 16  # with checksum, key and sequence number (RFC 2890)
_HARMLESS_OPTIONS = (0, 1, 2, 3, 4, 5, 8)  # end, no-operation, MSS, window scale, SACK, time stamps
_OF_ONE_BYTE = 1  # option kinds 0 and 1 have no length


class Headers:
    """The headers of `n` frames.

    Parameters
    ----------
    record : NDArray[np.int64]
        Shape ``(n, RECORD_FIELDS)``, as `records` decodes them.
    link_type : NDArray[np.int64]
        Shape ``(n,)``.
    """

    def __init__(self, frames: Frames, record: NDArray[np.int64], link_type: NDArray[np.int64]) -> None:
        self._data = frames.data
        self._record = record
        self._link_type = link_type
        self._start = frames.start.astype(np.int64)
        self._end = self._start + frames.captured_length
        tunnelled = (record[:, fields.INNER_AT] >= 0) & (record[:, fields.DEPTH] == 1)
        self.inner_frame = np.where(tunnelled, record[:, fields.INNER_AT], -1)
        options = np.where(tunnelled, np.maximum(record[:, fields.OPTIONS_BYTES], 0), 0)
        self.geneve_options: Span = (self.inner_frame - options, self.inner_frame)

    def link_kind(self, base: int) -> NDArray[np.int64]:
        """Layout of the MAC addresses before a packet, shape ``(n,)``."""
        if base == INNER:
            bridged = self._record[:, fields.INNER_TYPE] == ethernet.TRANSPARENT_ETHERNET
            return np.where(bridged & (self.inner_frame >= 0), ETHERNET, NO_LINK)
        kind = np.full(len(self._start), NO_LINK)
        for link_type, of_type in ((1, ETHERNET), (linux_sll.LINK_TYPE, SLL), (linux_sll.LINK_TYPE_2, SLL2)):
            kind[self._link_type == link_type] = of_type
        return kind

    def kept(self) -> tuple[list[Span], NDArray[np.int64]]:
        """Spans of bytes to keep, and where each frame is truncated, shape ``(n,)``."""
        outer_ip, outer_whole = self._network(OUTER)
        outer_l4 = self._transport(OUTER, outer_whole)
        inner_ip, inner_whole = self._network(INNER)
        inside = (self.inner_frame >= 0) & outer_whole
        spans = [self._whole(self._link(OUTER)), self._whole(outer_ip), outer_l4]
        for first, stop in (
            self._tunnel(outer_l4),
            self._whole(self._link(INNER)),
            self._whole(inner_ip),
            self._transport(INNER, inner_whole),
        ):
            spans.append((first, np.where(inside, stop, first)))
        bounded = [(first, np.clip(stop, first, np.maximum(self._end, first))) for first, stop in spans]
        end = self._start.copy()
        for first, stop in bounded:
            end = np.maximum(end, np.where(stop > first, stop, 0))
        return bounded, end

    def _whole(self, span: Span) -> Span:
        """A span if captured completely, else empty: half an address is not recognisable."""
        first, end = span
        return first, np.where(end <= self._end, end, first)

    def _link(self, base: int) -> Span:
        """From the first byte of a frame to its packet; without one, its addresses and type."""
        first = self._start if base == OUTER else np.maximum(self.inner_frame, 0)
        packet, message = self._at(base, fields.IP_AT), self._arp(base)
        alone = first + self._link_bytes(base)
        return first, np.where(packet >= 0, packet, np.where(message >= 0, message + _ARP_BYTES, alone))

    def _link_bytes(self, base: int) -> NDArray[np.int64]:
        if base == INNER:
            return np.where(self.link_kind(INNER) == ETHERNET, ethernet.HEADER_BYTES, 0)
        sizes = {
            1: ethernet.HEADER_BYTES,
            linux_sll.LINK_TYPE: linux_sll.HEADER_BYTES,
            linux_sll.LINK_TYPE_2: linux_sll.HEADER_2_BYTES,
            null_loop.LINK_TYPE_NULL: null_loop.HEADER_BYTES,
            null_loop.LINK_TYPE_LOOP: null_loop.HEADER_BYTES,
        }
        known = np.zeros(len(self._start), np.int64)
        for link_type, size in sizes.items():
            known[self._link_type == link_type] = size
        return known

    def _network(self, base: int) -> tuple[Span, NDArray[np.bool_]]:
        """The IP header, and whether everything before the transport header was kept."""
        family, transport = self._at(base, fields.FAMILY), self._at(base, fields.L4_AT)
        at = np.where(family > 0, self._at(base, fields.IP_AT), -1)
        six = family == ipv6.VERSION
        size = np.where(six, ipv6.HEADER_BYTES, _IPV4_BYTES)
        first = np.maximum(at, 0)
        fragment = six & (self._byte(first + 6) == ipv6.FRAGMENT) & (transport - at == ipv6.HEADER_BYTES + 8)
        size = size + np.where(fragment, ipv6.FRAGMENT_HEADER_BYTES, 0)
        return (first, np.where(at >= 0, first + size, first)), (at >= 0) & (transport == at + size)

    def _transport(self, base: int, reached: NDArray[np.bool_]) -> Span:
        at, protocol = np.maximum(self._at(base, fields.L4_AT), 0), self._at(base, fields.PROTOCOL)
        ported = self._at(base, fields.SPORT) >= 0
        size = np.zeros(len(at), np.int64)
        for number, bytes_ in ((udp.PROTOCOL, udp.HEADER_BYTES), (sctp.PROTOCOL, sctp.HEADER_BYTES)):
            size[(protocol == number) & ported] = bytes_
        size[protocol == ESP] = _ESP_BYTES
        streams = (protocol == tcp.PROTOCOL) & (self._at(base, fields.TCP_FLAGS) >= 0)
        size[streams] = self._tcp_bytes(at[streams], self._at(base, fields.PAYLOAD_AT)[streams])
        messages = np.isin(protocol, (icmp.PROTOCOL, icmpv6.PROTOCOL)) & (
            self._at(base, fields.ICMP_TYPE) >= 0
        )
        size[messages] = self._icmp_bytes(base, messages)
        later = self._at(base, fields.FRAGMENT_OFFSET) > 0
        return at, at + np.where(reached & ~later, size, 0)

    def _icmp_bytes(self, base: int, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Eight if they hold an echo's identifier or an MTU, else four: a redirect contains an address."""
        record = self._record[rows]
        echo = record[:, base + fields.SEQ] >= 0
        return np.where(echo | (record[:, base + fields.ICMP_MTU] >= 0), icmp.HEADER_BYTES, 4)

    def _tcp_bytes(self, at: NDArray[np.int64], payload: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bytes of TCP header up to the first option that may identify its owner."""
        options = at + tcp.HEADER_BYTES
        end_of_options = np.minimum(np.where(payload >= 0, payload, options), at + 60)
        for _ in range(40):
            going = options < end_of_options
            kind, length = self._byte(options), self._byte(options + 1)
            step = np.where(kind <= _OF_ONE_BYTE, 1, length)
            going &= np.isin(kind, _HARMLESS_OPTIONS) & (step > 0) & (options + step <= end_of_options)
            if not going.any():
                break
            options = np.where(going, options + step, options)
        return options - at

    def _tunnel(self, transport: Span) -> Span:
        """The tunnel's header, between the outer transport header and the inner frame, without options."""
        over_ip = self._at(OUTER, fields.PROTOCOL) != udp.PROTOCOL
        first = np.where(over_ip, self._at(OUTER, fields.L4_AT), transport[1])
        end = np.minimum(self.inner_frame, first + np.where(over_ip, _GRE_BYTES, _TUNNEL_BYTES))
        return np.maximum(first, 0), np.where(self.inner_frame >= 0, end, np.maximum(first, 0))

    def _arp(self, base: int) -> NDArray[np.int64]:
        """Start of an ARP message, -1 if there is none."""
        present = self._at(base, fields.ARP_OPERATION) >= 0
        return np.where(present, self._at(base, fields.PAYLOAD_AT) - _ARP_BYTES, -1)

    def _at(self, base: int, place: int) -> NDArray[np.int64]:
        return self._record[:, base + place]

    def _byte(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        if not len(self._data):  # frames without any captured byte
            return np.zeros(len(places), np.int64)
        return self._data[np.clip(places, 0, len(self._data) - 1)].astype(np.int64)
