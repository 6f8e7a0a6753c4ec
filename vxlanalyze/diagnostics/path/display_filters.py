"""Conditions of Wireshark's display filters for header fields, by the names they have in `header-blocked`."""

import re

from vxlanalyze.analysis.loss.headers import ECN_NAMES
from vxlanalyze.wire.model import Flows

_FLAGS = {"FIN": "fin", "RST": "reset", "PSH": "push", "URG": "urg", "ECE": "ece", "CWR": "cwr"}
_OPTIONS = {"TCP option time stamps": "tcp.options.timestamp.tsval", "TCP option MPTCP": "mptcp"}
_GENEVE = re.compile(r"Geneve option class (0x[0-9a-f]+) type (0x[0-9a-f]+)")


def condition(field: str, value: str, flows: Flows) -> str:
    """Give the condition for a value of a field; "" where there is none."""
    if field in _OPTIONS:
        return _OPTIONS[field]
    if field.startswith("TCP flag "):
        return f"tcp.flags.{_FLAGS[field.removeprefix('TCP flag ')]} == 1"
    if match := _GENEVE.fullmatch(field):
        return f"geneve.option.class == {match[1]} && geneve.option.type == {match[2]}"
    place, _, name = field.partition(" ")
    if name not in ("DSCP", "ECN"):
        return ""
    family = flows.outer_family if place == "outer" else flows.family
    layer = "ipv6.tclass" if (family[family > 0] == 6).all() else "ip.dsfield"
    number = value if name == "DSCP" else str(ECN_NAMES.index(value))
    return f"{layer}.{name.lower()} == {number}"
