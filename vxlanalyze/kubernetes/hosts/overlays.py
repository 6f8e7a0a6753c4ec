"""State of overlays: flannel's files, Open vSwitch's tables, Cilium's status.

Rows: name and value of tunnel settings: "mtu", "network", "subnet", "port", "vni", "backend",
"remote", "mode" (of ``cilium status``).

Sources: flannel ``Documentation/configuration.md``; ovs-vsctl(8), ovn-sbctl(8); Cilium documentation (all
written from their documentation, as these programs were not available).
"""

import json
import re
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_SUBNET = re.compile(r"^FLANNEL_(?P<name>NETWORK|SUBNET|MTU|IPMASQ|IPV6_NETWORK|IPV6_SUBNET)=(?P<value>\S*)$")
_OVS_REMOTE = re.compile(r'\bremote_ip="?(?P<value>[0-9a-fA-F.:]+)"?')
_OVS_ENCAP = re.compile(r"^\s*Encap (?P<value>geneve|vxlan|stt)\s*$")
_OVS_ADDRESS = re.compile(r'^\s*ip: "?(?P<value>[0-9a-fA-F.:]+)"?')
_CILIUM_ROUTING = re.compile(r"^Routing:\s+Network: (?P<value>Tunnel \[\w+\]|Native)")
_LARGEST_JSON = 1 << 20


def _row(number: int, line: str, name: str, value: object) -> Row:
    return {"line": str(number), "text": line.strip()[:200], "name": name, "value": str(value)}


def read_subnet(lines: Sequence[Line]) -> Iterator[Row]:
    """Flannel's ``subnet.env``."""
    for number, line in lines:
        match = _SUBNET.match(line.strip())
        if match is not None:
            yield _row(number, line, match["name"].lower(), match["value"])


def read_net_conf(lines: Sequence[Line]) -> Iterator[Row]:
    """Flannel's ``net-conf.json``."""
    text = "\n".join(line for _, line in lines)
    try:
        whole = json.loads(text) if len(text) <= _LARGEST_JSON else None
    except (ValueError, RecursionError):
        return
    backend = whole.get("Backend") if isinstance(whole, dict) else None
    if isinstance(backend, dict):
        names = {"Type": "backend", "VNI": "vni", "Port": "port", "MTU": "mtu"}
        for key, name in names.items():
            if isinstance(backend.get(key), str | int):
                place = next((n for n, line in lines if f'"{key}"' in line), 1)
                yield _row(place, f'"{key}": {backend[key]}', name, backend[key])


def read_switch(lines: Sequence[Line]) -> Iterator[Row]:
    """``ovs-vsctl show`` and ``ovn-sbctl show``: tunnels and their other ends."""
    for number, line in lines:
        remote = _OVS_REMOTE.search(line) or _OVS_ADDRESS.match(line)
        encap = _OVS_ENCAP.match(line)
        if remote is not None:
            yield _row(number, line, "remote", remote["value"])
        elif encap is not None:
            yield _row(number, line, "backend", encap["value"])


def read_cilium_status(lines: Sequence[Line]) -> Iterator[Row]:
    """``cilium-dbg status --verbose``: how it routes."""
    for number, line in lines:
        match = _CILIUM_ROUTING.match(line)
        if match is not None:
            yield _row(number, line, "mode", match["value"])


OUTPUTS = (
    Output("overlay", lambda f: bool(_SUBNET.match(f[0].strip())), read_subnet),
    Output(
        "overlay", lambda f: f[0].strip()[:1] == "{" and any('"Backend"' in line for line in f), read_net_conf
    ),
    Output("overlay", lambda f: any(re.match(r"^\s+Bridge |^Chassis ", line) for line in f), read_switch),
    Output(
        "overlay",
        lambda f: any(line.startswith(("KVStore:", "Kubernetes APIs:")) for line in f),
        read_cilium_status,
    ),
)
