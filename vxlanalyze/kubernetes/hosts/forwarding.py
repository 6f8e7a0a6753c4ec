"""``bridge -j fdb``: forwarding entries as JSON, with the keys of ``bridge fdb show``."""

import json
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_KEYS = {"mac": "mac", "ifname": "dev", "dst": "dst", "vlan": "vlan", "vni": "vni", "master": "master"}


def opens(first: Sequence[str]) -> bool:
    """Whether it is a JSON list of entries with MACs."""
    return first[0].startswith("[") and '"mac"' in "".join(first[:3])


def read(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the entries: mac, dev, dst and the like, flags."""
    try:
        whole = json.loads("\n".join(line for _, line in lines))
    except (ValueError, RecursionError):
        return
    for entry in whole if isinstance(whole, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("mac"), str):
            row = {
                name: str(entry[key]) for key, name in _KEYS.items() if isinstance(entry.get(key), str | int)
            }
            flags = entry.get("flags")
            named = [f for f in flags if isinstance(f, str)] if isinstance(flags, list) else []
            yield {
                "dev": "",
                **row,
                "flags": " ".join([*named, str(entry.get("state") or "")]).strip(),
                "line": "1",
            }


OUTPUT = Output("bridge-fdb", opens, read)
