"""``bridge fdb show`` of all devices, with line numbers; for one device, not named in it, see `tables`.

Source: bridge(8).
"""

import re
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_ENTRY = re.compile(r"^(?P<mac>(?:[0-9a-f]{2}:){5}[0-9a-f]{2}) dev (?P<dev>\S+)(?P<rest>(?: \S+){1,30})\s*$")
_VALUES = frozenset(("dst", "vlan", "port", "vni", "src_vni", "via", "master", "nhid", "link-netnsid"))


def opens(first: Sequence[str]) -> bool:
    """Whether it begins with an entry that names its device."""
    return bool(_ENTRY.match(first[0]))


def read(lines: Sequence[Line]) -> Iterator[Row]:
    """Give mac, dev, dst, vni and the like where printed, flags (the single words)."""
    for number, line in lines:
        match = _ENTRY.match(line)
        if match is None:
            continue
        row: Row = {"line": str(number), "text": line.strip(), "mac": match["mac"], "dev": match["dev"]}
        flags = []
        words = iter(match["rest"].split())
        for word in words:
            if word in _VALUES:
                row[word] = next(words, "")
            else:
                flags.append(word)
        yield {**row, "flags": " ".join(flags)}


OUTPUT = Output("bridge-fdb", opens, read)
