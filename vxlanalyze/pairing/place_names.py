"""Names of places inside a node: ``node1/eth0``, ``node1/default-web-0``.

A pcapng names and describes its interfaces; a capture with ``-i any`` numbers the node's devices, which a
saved ``ip link`` names.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from vxlanalyze.capture.model import Interface
from vxlanalyze.capture.sources import cleaned

_LONGEST = 40  # a longer description is prose


def names(
    capture: str, interfaces: Sequence[Interface], keys: Sequence[int], devices: Mapping[int, str]
) -> list[str]:
    """Name the interfaces of a capture, each with a distinct name.

    Parameters
    ----------
    capture : str
        The capture's name.
    interfaces : sequence of Interface
        As its file describes them.
    keys : sequence of int
        Of those to name: number of the interface, shifted by 32 bits, and the node's own number of the
        device, 0 if there is none.
    devices : mapping of int to str
        Names of the node's devices by number, if a table lists them.
    """
    for described in (True, False):
        found = [_name(interfaces, key, devices, described) for key in keys]
        if len(set(found)) == len(found):
            break
    often = Counter(found)
    return [
        f"{capture}/{name}" if often[name] == 1 else f"{capture}/{name}-{key >> 32}-{key & 0xFFFFFFFF}"
        for key, name in zip(keys, found, strict=True)
    ]


def _name(interfaces: Sequence[Interface], key: int, devices: Mapping[int, str], described: bool) -> str:
    number, device = key >> 32, key & 0xFFFFFFFF
    if device:
        return cleaned(devices.get(device, f"if{device}"))
    if number >= len(interfaces):
        return f"if{number}"
    description = interfaces[number].description
    if described and description and len(description) <= _LONGEST:
        return cleaned(description)
    return cleaned(interfaces[number].name or f"if{number}")
