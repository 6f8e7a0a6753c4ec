"""``ip -j -d link``, ``ip -j addr``, ``ip -j route``, ``ip -j neigh``, ``bridge -j fdb``: rows as for text.

Source: output of iproute2 6.
"""

from collections.abc import Iterator
from typing import Any

from vxlanalyze.kubernetes.hosts.document import Document, Locate
from vxlanalyze.kubernetes.hosts.model import Row

_TUNNELS = ("vxlan", "geneve", "gre", "gretap", "ipip", "wireguard", "ip6tnl", "sit")
_FDB_KEYS = {"mac": "mac", "ifname": "dev", "dst": "dst", "vlan": "vlan", "vni": "vni", "master": "master"}


def _all_have(value: object, *keys: str) -> bool:
    """Whether it is a list of objects whose first has all keys."""
    first = next(iter(value), None) if isinstance(value, list) else None
    return isinstance(first, dict) and all(key in first for key in keys)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    yield from (item for item in value if isinstance(item, dict))


def read_links(value: Any, locate: Locate) -> Iterator[Row]:
    """Give the devices."""
    for item in _objects(value):
        name, info = str(item.get("ifname")), item.get("linkinfo")
        info = info if isinstance(info, dict) else {}
        data = info.get("info_data")
        data = data if isinstance(data, dict) else {}
        row = {
            "line": str(locate(f'"ifname": "{name}"')),
            "text": f"{name} mtu {item.get('mtu')}",
            "name": name,
        }
        row |= {"index": str(item["ifindex"])} if isinstance(item.get("ifindex"), int) else {}
        row |= {"mtu": str(item.get("mtu")), "mac": str(item.get("address", ""))}
        flags = item.get("flags")
        row["up"] = "yes" if isinstance(flags, list) and "UP" in flags else ""
        row |= {"master": item["master"]} if isinstance(item.get("master"), str) else {}
        own = item.get("addr_info")
        local = [str(a["local"]) for a in _objects(own if isinstance(own, list) else []) if a.get("local")]
        row |= {"addresses": " ".join(local)} if local else {}
        kind = info.get("info_kind")
        if kind in _TUNNELS:
            keys = {"id": "id", "port": "dstport", "local": "local", "remote": "remote", "link": "dev"}
            row |= {n: str(data[k]) for k, n in keys.items() if k in data}
            row |= {"type": str(kind), "external": "yes" if data.get("external") else ""}
            row["text"] = f"{kind} id {row.get('id')} dstport {row.get('dstport')}, mtu {row['mtu']}"
        yield row


def read_routes(value: Any, locate: Locate) -> Iterator[Row]:
    """Give the routes."""
    for item in _objects(value):
        to, kind = str(item.get("dst")), str(item.get("type", "unicast"))
        keys = {"dev": "dev", "gateway": "via", "table": "table", "prefsrc": "src", "metric": "metric"}
        row = {n: str(item[k]) for k, n in keys.items() if k in item}
        text = " ".join([*([kind] if kind != "unicast" else []), to, *(f"{n} {v}" for n, v in row.items())])
        yield {"line": str(locate(f'"dst": "{to}"')), "text": text, "to": to, "kind": kind, **row}


def read_neighbours(value: Any, locate: Locate) -> Iterator[Row]:
    """Give the neighbours."""
    for item in _objects(value):
        address, states = str(item.get("dst")), item.get("state")
        state = str(states[0]) if isinstance(states, list) and states else "NONE"
        row = {"address": address, "dev": str(item.get("dev")), "state": state}
        row |= {"mac": item["lladdr"]} if isinstance(item.get("lladdr"), str) else {}
        text = f"{address} dev {row['dev']} lladdr {row.get('mac', 'none')} {state}"
        yield {"line": str(locate(f'"dst": "{address}"')), "text": text, **row}


def read_fdb(value: Any, locate: Locate) -> Iterator[Row]:
    """Give the forwarding entries: mac, dev, dst and the like, flags."""
    for item in _objects(value):
        if not isinstance(item.get("mac"), str):
            continue
        row = {n: str(item[k]) for k, n in _FDB_KEYS.items() if isinstance(item.get(k), str | int)}
        flags = item.get("flags")
        named = [f for f in flags if isinstance(f, str)] if isinstance(flags, list) else []
        words = " ".join([*named, str(item.get("state") or "")]).strip()
        text = f"{row['mac']} dev {row.get('dev', '')} dst {row.get('dst', 'none')}"
        yield {"dev": "", **row, "flags": words, "line": str(locate(f'"mac": "{row["mac"]}"')), "text": text}


DOCUMENTS = (
    Document("bridge-fdb", lambda v: _all_have(v, "mac", "ifname"), read_fdb),
    Document("devices", lambda v: _all_have(v, "ifname", "mtu", "flags"), read_links),
    Document("neighbours", lambda v: _all_have(v, "dst", "dev", "state"), read_neighbours),
    Document("routes", lambda v: _all_have(v, "dst", "flags"), read_routes),
)
