"""Prefix-preserving pseudonyms of addresses: two that share their first n bits still share n bits.

A keyed function of the preceding bits decides whether a bit is flipped, as in Crypto-PAn, so the mapping is
one-to-one, the same for the same key, and reveals nothing about an address without the key. Two things are
kept: the kind of network of an address (private, link-local, multicast, ...: the bits that define it are not
flipped), and addresses that identify nobody (unspecified, loopback, broadcast, well-known groups). MAC
addresses keep their vendor prefix, if they have one.

Sources: Xu, Fan, Ammar and Moon, "Prefix-preserving IP address anonymization" (2002); RFC 6890 (addresses
for special purposes); RFC 9542 section 2.1 (the bits of a MAC address).
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

_SPECIAL = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("::/96", "::ffff:0:0/96", "64:ff9b::/96", "fc00::/7", "fe80::/10", "ff00::/12"),
)
_NOBODY = ("0.0.0.0/32", "127.0.0.1/32", "224.0.0.0/24", "255.255.255.255/32", "::/127", "ff02::/112")
_UNIVERSAL_UNICAST = 0
_MAC_FLAGS = 0b11  # group and locally administered, the last bits of the first byte
_BROADCAST = b"\xff" * 6

_Network = IPv4Network | IPv6Network


class AddressCipher:
    """Maps addresses to pseudonyms.

    Parameters
    ----------
    key : bytes
        At most 64 bytes; with it, pseudonyms can be resolved to addresses.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._ip = cache(self._new_ip)
        self._mac = cache(self._new_mac)

    def __reduce__(self) -> tuple[type["AddressCipher"], tuple[bytes]]:
        return AddressCipher, (self._key,)

    def text(self, address: str) -> str:
        """Give the pseudonym of an IP address in text; raises ValueError if it is not one."""
        parsed = ip_address(address.partition("%")[0])
        return str(ip_address(self._ip(parsed.packed)))

    def network(self, network: str) -> str:
        """Give the pseudonym of ``address/length``; a network's address stays that of a network."""
        address, _, length = network.partition("/")
        parsed = ip_network(network, strict=False)
        changed = self.text(address)
        if address == str(parsed.network_address):
            changed = str(ip_network(f"{changed}/{length}", strict=False).network_address)
        return f"{changed}/{length}"

    def ip(self, packed: bytes) -> bytes:
        """Give the pseudonym of an IP address of 4 or 16 bytes."""
        return self._ip(packed)

    def mac(self, packed: bytes) -> bytes:
        """Give the pseudonym of a MAC address of 6 bytes."""
        return self._mac(packed)

    def _new_ip(self, packed: bytes) -> bytes:
        address = ip_address(packed)
        if any(address in network for network in _networks(_NOBODY, address.version)):
            return packed
        return self._turned(packed, b"%d" % address.version, _ways(address.version))

    def _new_mac(self, packed: bytes) -> bytes:
        if packed in (_BROADCAST, bytes(6)):
            return packed
        flags = packed[0] & _MAC_FLAGS
        if flags == _UNIVERSAL_UNICAST:
            return packed[:3] + self._turned(packed[3:], packed[:3], frozenset())
        # The flags come first and are kept, so a local address stays local.
        moved = bytes([flags << 6 | packed[0] >> 2]) + packed[1:]
        kept = frozenset({(0, 0), (1, 0), (1, 1)})
        turned = self._turned(moved, b"mac", kept)
        return bytes([(turned[0] & 0x3F) << 2 | flags]) + turned[1:]

    def _turned(self, packed: bytes, kind: bytes, kept: frozenset[tuple[int, int]]) -> bytes:
        """Flip bits; `kept` are (length, bits) of the prefixes after which the next bit stays."""
        result = bytearray()
        for place, byte in enumerate(packed):
            before = packed[:place]
            # One digest holds a bit for each of the 255 prefixes of a byte.
            digest = hashlib.blake2b(before, key=self._key, person=kind[:16], digest_size=32).digest()
            choices = int.from_bytes(digest, "big")
            value = int.from_bytes(before, "big")
            turned = 0
            for depth in range(8):
                begun = byte >> (8 - depth)
                node = 1 << depth | begun
                if (8 * place + depth, value << depth | begun) not in kept:
                    turned |= (choices >> node & 1) << (7 - depth)
            result.append(byte ^ turned)
        return bytes(result)


@cache
def _networks(written: tuple[str, ...], version: int) -> tuple[_Network, ...]:
    return tuple(n for n in map(ip_network, written) if n.version == version)


@cache
def _ways(version: int) -> frozenset[tuple[int, int]]:
    """All prefixes on the path to a special network, as (length, bits)."""
    return frozenset(_prefixes(_networks(_SPECIAL, version)))


def _prefixes(networks: Iterable[_Network]) -> Iterable[tuple[int, int]]:
    for network in networks:
        bits = int(network.network_address)
        for length in range(network.prefixlen):
            yield length, bits >> (network.max_prefixlen - length)
