"""Look up values in Kubernetes API objects of any structure; missing ones are empty.

Source: Kubernetes API reference v1.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from vxlanalyze.kubernetes.model import address_text

Object = Mapping[str, Any]


def at(value: object, *path: str) -> Any:
    """Follow a path of keys; None if it does not exist."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_at(value: object, *path: str) -> str:
    """Give the text at a path; empty if there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def list_at(value: object, *path: str) -> list[Any]:
    """Give the list at a path; empty if there is none."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def port_number(value: object) -> int | None:
    """Interpret a value as a port if possible."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65535 else None


def unique(values: Iterator[str | None]) -> tuple[str, ...]:
    """Give each text once, in order, without empty ones."""
    return tuple(dict.fromkeys(v for v in values if v))


def pod_addresses(item: Object) -> tuple[str, ...]:
    """Give the addresses of a pod; none if it has ended."""
    if text_at(item, "status", "phase") in ("Succeeded", "Failed"):
        return ()  # the address may belong to another pod by now
    stated = [at(item, "status", "podIP"), *(at(ip, "ip") for ip in list_at(item, "status", "podIPs"))]
    return unique(address_text(a) for a in stated)
