"""``ip -d link``, ``ip addr``: devices with MTU, state, MAC and addresses; settings of tunnel devices.

Rows: index, name, mtu, master, up ("yes" or ""), mac, addresses (separated by spaces), type
("vxlan", "geneve", ...), id, dstport, local, remote, dev, external.

Sources: ip-link(8), ip-address(8); iproute2 ``ip/iplink_vxlan.c``, ``iplink_geneve.c``.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_DEVICE = re.compile(
    r"^(?P<index>\d+): (?P<name>[^:@ ]+)(?:@\S+?)?: <(?P<flags>[A-Z0-9_,-]*)> mtu (?P<mtu>\d+)\b"
    r"(?:.{0,80}? master (?P<master>\S+))?"
)
_MAC = re.compile(r"^\s+link/\S+ (?P<mac>(?:[0-9a-f]{2}:){5}[0-9a-f]{2})\b")
_ADDRESS = re.compile(r"^\s+inet6? (?P<address>[0-9a-f.:]+)(?:/\d+)?\s")
_TUNNEL = re.compile(r"^\s+(?P<type>vxlan|geneve|gre|gretap|ipip|wireguard|ip6tnl|sit)\b(?P<rest>.*)$")
_VALUES = ("id", "dstport", "local", "remote", "dev", "group")


def opens(first: Sequence[str]) -> bool:
    """Whether it begins with devices."""
    return bool(_DEVICE.match(first[0]))


def read(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the devices."""
    row: Row = {}
    for number, line in lines:
        device, mac, tunnel = _DEVICE.match(line), _MAC.match(line), _TUNNEL.match(line)
        address = _ADDRESS.match(line)
        if device is not None:
            if row:
                yield row
            row = {"line": str(number), "text": line.strip(), "name": device["name"], "mtu": device["mtu"]}
            row["index"] = device["index"]
            row |= {"master": device["master"]} if device["master"] else {}
            row["up"] = "yes" if "UP" in device["flags"].split(",") else ""
        elif mac is not None and row:
            row["mac"] = mac["mac"]
        elif address is not None and row:
            row["addresses"] = f"{row.get('addresses', '')} {address['address']}".strip()
        elif tunnel is not None and row:
            words = tunnel["rest"].split()
            row |= {k: v for k, v in pairwise(words) if k in _VALUES}
            row |= {"line": str(number), "text": line.strip(), "type": tunnel["type"]}
            row["external"] = "yes" if "external" in words else ""
    if row:
        yield row


OUTPUT = Output("devices", opens, read)
