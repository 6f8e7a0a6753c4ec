"""WireGuard messages: recognised, not decrypted.

    | type (1) | reserved, zero (3) |  sender or receiver index ... |

Sources: Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", section 5.4 (the four messages);
Linux drivers/net/wireguard/messages.h (their lengths) and send.c, ``calculate_skb_padding`` (data is
padded to 16 octets, or to the MTU where that is less).
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import AT, DPORT, END, LIMIT, SPORT, Record
from vxlanalyze.wire.octets import Octets, le32

UDP_PORT = 51820  # of the documentation and most installations; no port is assigned

INITIATION = 1
RESPONSE = 2
COOKIE = 3
DATA = 4

INITIATION_BYTES = 148
RESPONSE_BYTES = 92
COOKIE_BYTES = 64
KEEPALIVE_BYTES = 32  # data without content: header 16, tag 16
PADDING_BYTES = 16

# On other than the usual port, data messages are recognised by length alone: a shorter one could be anything.
# An IPv4 packet in it has at least 20 octets, padded to 32.
_SURE_DATA_BYTES = KEEPALIVE_BYTES + 2 * PADDING_BYTES
# A packet is padded to no more than the device's MTU: the largest ones may end anywhere.
_NEAR_MTU_BYTES = 1200


@compiled
def in_udp(data: Octets, found: Record, base: int) -> bool:
    """Whether the UDP payload at `AT` is a WireGuard message."""
    at = found[AT]
    if at + 4 > found[END]:
        return False
    kind = le32(data, at)  # with the reserved octets: larger than DATA unless they are zero
    length = found[LIMIT] - at
    if kind == DATA:
        usual = found[base + DPORT] == UDP_PORT or found[base + SPORT] == UDP_PORT
        smallest = KEEPALIVE_BYTES if usual else _SURE_DATA_BYTES
        return length >= smallest and (length % PADDING_BYTES == 0 or length >= _NEAR_MTU_BYTES)
    return (
        (kind == INITIATION and length == INITIATION_BYTES)
        or (kind == RESPONSE and length == RESPONSE_BYTES)
        or (kind == COOKIE and length == COOKIE_BYTES)
    )
