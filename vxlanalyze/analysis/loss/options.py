"""Options and extension headers of one frame, read from a sample of frames to explain loss.

The compiled decoder reads the fields common to all packets. Options are rare, and only frames of a bounded
sample are read again, so they are parsed here in plain Python, each header bounded by the end of the frame.

Sources: RFC 791 section 3.1; RFC 8200 section 4; RFC 9293 section 3.1; RFC 8926 section 3.5.
"""

from collections.abc import Iterator

from vxlanalyze.wire.protocols import TCP

_IPV4, _IPV6 = 4, 6
_EXTENSIONS = {0: "hop-by-hop options", 43: "routing header", 60: "destination options"}
_IP_OPTIONS = {
    7: "record route",
    68: "time stamp",
    131: "loose source route",
    137: "strict source route",
    148: "router alert",
}
_TCP_OPTIONS = {
    5: "SACK blocks",
    8: "time stamps",
    19: "MD5 signature",
    29: "TCP-AO",
    30: "MPTCP",
    34: "fast open",
}
_GENEVE_CRITICAL = 0x40


def of_packet(data: bytes) -> Iterator[str]:
    """Name the options of the IP packet that begins with the first byte: its own, and those of TCP in it."""
    version = data[0] >> 4 if data else 0
    if version == _IPV4 and len(data) >= 20:
        header = (data[0] & 15) * 4
        yield from (f"IP option {_IP_OPTIONS.get(k, k)}" for k in _kinds(data[20:header]))
        yield from _of_tcp(data[header:]) if data[9] == TCP else ()
    elif version == _IPV6 and len(data) >= 40:
        following, at = data[6], 40
        while following in _EXTENSIONS and at + 8 <= len(data):
            yield f"IPv6 {_EXTENSIONS[following]}"
            following, at = data[at], at + 8 * (data[at + 1] + 1)
        yield from _of_tcp(data[at:]) if following == TCP else ()


def of_geneve(data: bytes) -> Iterator[str]:
    """Name the options of the Geneve header that begins with the first byte, and its critical flag."""
    if len(data) < 8:
        return
    if data[1] & _GENEVE_CRITICAL:
        yield "Geneve critical flag"
    at, end = 8, min(8 + 4 * (data[0] & 0x3F), len(data))
    while at + 4 <= end:
        yield f"Geneve option class 0x{data[at] << 8 | data[at + 1]:04x} type 0x{data[at + 2]:02x}"
        at += 4 + 4 * (data[at + 3] & 0x1F)


def _of_tcp(data: bytes) -> Iterator[str]:
    if len(data) >= 20:
        named = (_TCP_OPTIONS.get(kind) for kind in _kinds(data[20 : (data[12] >> 4) * 4]))
        yield from (f"TCP option {name}" for name in named if name)


def _kinds(data: bytes) -> Iterator[int]:
    """Kinds of options in a list as in IPv4 and TCP, without padding."""
    at = 0
    while at < len(data) and data[at] != 0:
        if data[at] == 1:
            at += 1
            continue
        yield data[at]
        if at + 1 >= len(data) or data[at + 1] < 2:
            return
        at += data[at + 1]
