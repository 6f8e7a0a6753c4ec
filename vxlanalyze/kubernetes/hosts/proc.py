"""Files of ``/proc/sys/net`` copied as they are: a name in the path, a value in the file.

Retina copies them as ``proc-sys-net``, sosreport as ``proc/sys/net``.
"""

import re

from vxlanalyze.kubernetes.hosts.model import Row

_COPIED = re.compile(r"(?:^|/)(?P<place>(?:proc-sys-net|proc/sys/net)/(?P<name>[\w./@:-]{1,200}))$")
_LONGEST = 200


def place(path: str) -> str | None:
    """Give the last part of a path, from the folder of copies on; None if it is not a copied setting."""
    match = _COPIED.search(path)
    return match["place"] if match is not None else None


def read(path: str, text: str) -> Row | None:
    """Give the setting; None if the file is empty, or not one line."""
    match, value = _COPIED.search(path), text.strip()
    if match is None or not value or "\n" in value or len(value) > _LONGEST:
        return None
    name = f"net.{match['name'].replace('/', '.')}"
    return {"line": "1", "text": f"{name} = {value}", "name": name, "value": value}
