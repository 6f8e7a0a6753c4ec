"""The headers of a raw frame in a tracer's event (base64): addresses, protocol, ports, IP ID."""

import base64
import binascii
from ipaddress import ip_address

from vxlanalyze.kubernetes.hosts.model import Row
from vxlanalyze.wire.protocols import RULE_NAMES, WITH_PORTS

_ETHERNET_BYTES, _VLAN_BYTES = 14, 4
_VLANS = (b"\x81\x00", b"\x88\xa8")
_IPV4_BYTES, _IPV6_BYTES = 20, 40


def headers_of(text: object) -> Row:
    """Give what a frame's headers say; empty if it is none, or cut before its addresses."""
    try:
        frame = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return {}
    at = _ETHERNET_BYTES
    while frame[at - 2 : at] in _VLANS:
        at += _VLAN_BYTES
    packet = frame[at:]
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= _IPV4_BYTES:
        found = {"src": str(ip_address(packet[12:16])), "dst": str(ip_address(packet[16:20]))}
        found["ip_id"] = str(int.from_bytes(packet[4:6], "big"))
        first = int.from_bytes(packet[6:8], "big") & 0x1FFF == 0
        return found | _above(packet[9], packet[4 * (packet[0] & 15) :] if first else b"")
    if version == 6 and len(packet) >= _IPV6_BYTES:
        found = {"src": str(ip_address(packet[8:24])), "dst": str(ip_address(packet[24:40]))}
        return found | _above(packet[6], packet[_IPV6_BYTES:])
    return {}


def _above(protocol: int, rest: bytes) -> Row:
    name = RULE_NAMES.get(protocol)
    found = {"protocol": name} if name is not None else {}
    if protocol in WITH_PORTS and len(rest) >= 4:
        ports = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
        found |= {"sport": str(ports[0]), "dport": str(ports[1])}
    return found
