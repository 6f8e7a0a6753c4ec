"""Addresses in text form.

Sources: RFC 5952 (text of IPv6 addresses), IEEE 802 (MAC addresses in hexadecimal, separated by colons).
"""

from ipaddress import IPv6Address
from socket import AF_INET6, inet_ntop

import numpy as np
from numpy.typing import NDArray


def text(addresses: NDArray[np.uint8], family: NDArray[np.uint8]) -> list[str]:
    """Format IP addresses, one for each row.

    Parameters
    ----------
    addresses : NDArray[np.uint8]
        Shape ``(k, 16)``; IPv4 in the first 4 bytes.
    family : NDArray[np.uint8]
        Shape ``(k,)``: 4, 6, or 0 (ARP), whose protocol addresses are written as IPv4.

    Returns
    -------
    list of str
        As `ipaddress` writes them.
    """
    octets = addresses[:, :4].tolist()
    return [
        _ipv6(row.tobytes()) if f == 6 else f"{a}.{b}.{c}.{d}"
        for row, (a, b, c, d), f in zip(addresses, octets, family.tolist(), strict=True)
    ]


def _ipv6(octets: bytes) -> str:
    """Format an address like `ipaddress`, ten times as fast: without an embedded IPv4 address."""
    written = inet_ntop(AF_INET6, octets)
    return str(IPv6Address(octets)) if "." in written else written


def mac_text(mac: int) -> str:
    """Format a MAC address held in the low 48 bits of an integer."""
    return ":".join(f"{mac:012x}"[i : i + 2] for i in range(0, 12, 2))
