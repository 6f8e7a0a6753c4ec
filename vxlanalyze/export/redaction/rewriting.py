"""Overwrite addresses with pseudonyms, and update checksums."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.export.redaction.headers import ETHERNET, NO_LINK, SLL, Span
from vxlanalyze.wire import fields, ipv6
from vxlanalyze.wire.fields import INNER, OUTER, RULE_PSEUDO, RULE_UDP
from vxlanalyze.wire.rows import octets_of

_MAC_BYTES = 6
_IPV4_CHECKSUM = 10  # offset in the header
_ARP_SENDER_MAC, _ARP_SENDER, _ARP_TARGET_MAC, _ARP_TARGET = -20, -14, -10, -4  # from the message's end


class Rewriting:
    """Rewrites `n` frames in a buffer.

    Parameters
    ----------
    data : NDArray[np.uint8]
        Shape ``(k,)``; written to.
    before : NDArray[np.uint8]
        Shape ``(k,)``: the same buffer as captured.
    record : NDArray[np.int64]
        Shape ``(n, RECORD_FIELDS)``.
    """

    def __init__(
        self,
        data: NDArray[np.uint8],
        before: NDArray[np.uint8],
        record: NDArray[np.int64],
        cipher: AddressCipher,
    ) -> None:
        self._data, self._before, self._record, self._cipher = data, before, record, cipher
        # What has been added to the sum of 16-bit words that each outer checksum covers.
        self._covered = np.zeros(len(record), np.int64)

    def link(
        self, base: int, frame: NDArray[np.int64], kind: NDArray[np.int64], end: NDArray[np.int64]
    ) -> None:
        """Rewrite the MAC addresses before a packet."""
        for place, at in ((fields.DST_MAC, frame), (fields.SRC_MAC, frame + _MAC_BYTES)):
            self._mac(base, place, at, (kind == ETHERNET), end)
        if base == OUTER:
            cooked = (kind != ETHERNET) & (kind != NO_LINK)
            address = frame + np.where(kind == SLL, 6, 12)
            for rest in range(8):  # whatever kind of address it is
                self._data[(address + rest)[cooked & (address + rest < end)]] = 0
            self._mac(base, fields.SRC_MAC, address, cooked, end)

    def packet(self, base: int, end: NDArray[np.int64]) -> None:
        """Rewrite the addresses of an IP packet or an ARP message, and its checksums."""
        record = self._record
        at, family = record[:, base + fields.IP_AT], record[:, base + fields.FAMILY]
        changed: NDArray[np.int64] = np.zeros(len(record), np.int64)
        for version, source, size in ((4, 12, 4), (ipv6.VERSION, 8, 16)):
            rows = np.flatnonzero((family == version) & (at >= 0) & self._kept(at, source + 2 * size, end))
            for place, offset in ((fields.SRC, source), (fields.DST, source + size)):
                octets = octets_of(record[rows, base + place : base + place + 2])[:, :size]
                changed[rows] += self._write(rows, at[rows] + offset, self._ip_pseudonyms(octets))
            if version == 4:
                self._follow(at[rows] + _IPV4_CHECKSUM, changed[rows])
        self._transport_checksum(base, changed, end)
        self._arp(base, end)

    def finish(self, geneve_options: Span, end: NDArray[np.int64]) -> None:
        """Update the outer checksums for all changes inside the tunnel."""
        record = self._record
        self._left_out(*geneve_options)
        at = record[:, OUTER + fields.CHECK_AT]
        ruled = record[:, OUTER + fields.CHECK_RULE] == RULE_UDP
        rows = np.flatnonzero(ruled & (record[:, fields.INNER_AT] >= 0) & self._kept(at, 2, end))
        self._follow(at[rows], self._covered[rows], zero_is_none=True)

    def _left_out(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        """Subtract the words omitted inside the tunnel, at an even offset, from the covered sum."""
        rows = np.flatnonzero(end > first)
        if len(rows) == 0:
            return
        offsets = np.arange((end - first).max())
        places = first[rows, np.newaxis] + offsets
        inside = places < end[rows, np.newaxis]
        old = np.where(inside, self._before[np.minimum(places, len(self._before) - 1)], np.uint8(0))
        self._covered[rows] -= _words(old)

    def _transport_checksum(self, base: int, changed: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        """TCP, UDP and ICMPv6 cover the addresses (the pseudo-header)."""
        record = self._record
        rule, at = record[:, base + fields.CHECK_RULE], record[:, base + fields.CHECK_AT]
        udp = rule == RULE_UDP
        if base == OUTER:
            self._covered += changed  # the outer UDP checksum is written last
            udp &= record[:, fields.INNER_AT] < 0
        rows = np.flatnonzero((udp | (rule == RULE_PSEUDO)) & self._kept(at, 2, end))
        used = self._follow(at[rows], changed[rows], zero_is_none=True)
        if base == INNER:
            # Header and checksum balance each other: an IPv4 header's words keep their sum, a segment's lose
            # what its pseudo-header gained. An IPv6 header has no checksum, so its addresses count as well.
            self._covered += np.where(record[:, base + fields.FAMILY] == ipv6.VERSION, changed, 0)
            self._covered[rows[used]] -= changed[rows[used]]

    def _arp(self, base: int, end: NDArray[np.int64]) -> None:
        record = self._record
        payload_at = record[:, base + fields.PAYLOAD_AT]
        present = (record[:, base + fields.ARP_OPERATION] >= 0) & self._kept(payload_at, 0, end)
        self._mac(base, fields.ARP_SENDER_MAC, payload_at + _ARP_SENDER_MAC, present, end)
        self._mac(base, fields.ARP_TARGET_MAC, payload_at + _ARP_TARGET_MAC, present, end)
        rows = np.flatnonzero(present)
        for place, offset in ((fields.SRC, _ARP_SENDER), (fields.DST, _ARP_TARGET)):
            octets = octets_of(record[rows, base + place : base + place + 2])[:, :4]
            changed = self._write(rows, payload_at[rows] + offset, self._ip_pseudonyms(octets))
            if base == INNER:
                self._covered[rows] += changed

    def _mac(
        self,
        base: int,
        place: int,
        at: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        end: NDArray[np.int64],
    ) -> None:
        macs = self._record[:, base + place]
        rows = np.flatnonzero(chosen & (macs >= 0) & (at >= 0) & self._kept(at, _MAC_BYTES, end))
        different, which = np.unique(macs[rows], return_inverse=True)
        packed = [self._cipher.mac(int(mac).to_bytes(_MAC_BYTES, "big")) for mac in different]
        changed = self._write(rows, at[rows], _table(packed, _MAC_BYTES)[which])
        if base == INNER:
            self._covered[rows] += changed

    def _ip_pseudonyms(self, octets: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pseudonyms of addresses, shape ``(k, 4 or 16)``, computed once for each distinct one."""
        different, which = np.unique(octets, axis=0, return_inverse=True)
        packed = [self._cipher.ip(address.tobytes()) for address in different]
        return _table(packed, octets.shape[1])[which.reshape(-1)]

    def _write(
        self, rows: NDArray[np.int64], at: NDArray[np.int64], new: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Write fields of an even size; give the change of the sum of their words, shape ``(k,)``."""
        places = at[:, np.newaxis] + np.arange(new.shape[1])
        old = self._before[places] if len(rows) else new
        self._data[places] = new
        return _words(new) - _words(old)

    def _follow(
        self, at: NDArray[np.int64], change: NDArray[np.int64], *, zero_is_none: bool = False
    ) -> NDArray[np.bool_]:
        """Update checksums for changes; mark which were updated, as some are "none" or "all ones"."""
        stored = self._before[at].astype(np.int64) * 256 + self._before[at + 1]
        used = (stored != 0) & (stored != 0xFFFF) if zero_is_none else np.ones(len(at), bool)
        # A one's complement sum is a remainder modulo 65535 (RFC 1624 section 3).
        follows = 0xFFFF - ((0xFFFF - stored + change) % 0xFFFF)
        follows = np.where(zero_is_none | (follows != 0xFFFF), follows, 0)
        self._data[at[used]] = (follows >> 8)[used]
        self._data[at[used] + 1] = (follows & 0xFF)[used]
        return used

    @staticmethod
    def _kept(at: NDArray[np.int64], size: int, end: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (at >= 0) & (at + size <= end)


def _words(octets: NDArray[np.uint8]) -> NDArray[np.int64]:
    pairs = octets.astype(np.int64)
    return pairs[:, ::2].sum(axis=1) * 256 + pairs[:, 1::2].sum(axis=1)


def _table(packed: list[bytes], size: int) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(packed), np.uint8).reshape(-1, size)
