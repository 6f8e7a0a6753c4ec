"""Addresses in text form.

Sources: RFC 5952 (text of IPv6 addresses), IEEE 802 (MAC addresses in hexadecimal, separated by colons).
"""

from ipaddress import IPv6Address

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
        str(IPv6Address(row.tobytes())) if f == 6 else f"{a}.{b}.{c}.{d}"
        for row, (a, b, c, d), f in zip(addresses, octets, family.tolist(), strict=True)
    ]


def mac_text(mac: int) -> str:
    """Format a MAC address held in the low 48 bits of an integer."""
    return ":".join(f"{mac:012x}"[i : i + 2] for i in range(0, 12, 2))
