"""Observed packet drops: Cilium's monitor, Hubble, tracers (JSON lines), and the kernel's own log.

Rows: name "drop", value (the reason), and, where known, src, dst, sport, dport, protocol, ip_id,
at (function, interface or chain), source (file and line of the program that dropped), time (RFC 3339; without
a zone it is the node's local time).

Sources: Cilium 1.16 ``pkg/monitor/format`` and ``DropNotifyVerbose``, Hubble ``flow.proto``; Linux
``net/ipv4/route.c`` (martian source): written from these, as the programs were not available.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row
from vxlanalyze.kubernetes.hosts.tracers import Passed, pwru_event, retis_event, retis_startup, row

_MONITOR = re.compile(r"\bdrop \((?P<reason>[^)]{1,80})\)")
_SOURCE = re.compile(r"\bfile (?P<source>[\w.]{1,40}:\d{1,6})\b")
_ENDS = re.compile(
    r"[ :]\[?(?P<src>\d[\d.]{6,15}|[0-9a-fA-F:]{3,40}?)\]?(?::(?P<sport>\d{1,5}))? -> "
    r"\[?(?P<dst>\d[\d.]{6,15}|[0-9a-fA-F:]{3,40}?)\]?(?::(?P<dport>\d{1,5}))?"
    r"(?: (?P<protocol>tcp|udp|sctp|icmp|icmpv6)\b|(?= |$))",
    re.IGNORECASE,
)
_MARTIAN = re.compile(
    r"\bmartian source (?P<dst>[\d.]{7,15}) from (?P<src>[\d.]{7,15}), on dev (?P<at>\S{1,64})"
)
_TABLE_FULL = re.compile(r"nf_conntrack: .{0,40}table full(?: in netns \d{1,20})?, dropping packet")
_LOG = re.compile(
    r"^(?:\[\s*\d+\.\d+\]|\[\w{3} \w{3} +\d+ |\w{3} +\d+ [\d:]{8} \S+ kernel:|\d{4}-\d\d-\d\dT\S+ )"
)
_LONGEST_JSON = 1 << 16
_IN_JSON = (
    *('"drop_reason', '"verdict":"', '"type":"drop"', '"type":"trace"', '"skb_drop"', '"skb-drop"'),
    *('"func":"', '"kernel":{"', '"startup":{"'),
)
_PROTOCOLS = {"ICMPv4": "icmp", "ICMPv6": "ipv6-icmp", "TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


def read_json_lines(lines: Sequence[Line]) -> Iterator[Row]:
    """JSON lines of ``cilium-dbg monitor -j``, Hubble, pwru and retis, drops only."""
    passed = Passed()
    for number, line in lines:
        try:
            event = json.loads(line) if line[:1] == "{" and len(line) <= _LONGEST_JSON else None
        except (ValueError, RecursionError):
            continue
        if not isinstance(event, dict):
            continue
        if "startup" in event:
            retis_startup(event, passed)
        elif "kernel" in event or "skb-drop" in event or "skb_drop" in event:
            yield from retis_event(number, line, event, passed)
        elif isinstance(event.get("func"), str) and "skb" in event:
            yield from pwru_event(number, line, event, passed)
        else:
            yield from _event(number, line, event)


def _event(number: int, line: str, event: dict[str, Any]) -> Iterator[Row]:
    flow = event.get("flow", event)
    if not isinstance(flow, dict):
        return
    reason = flow.get("drop_reason_desc") or (flow.get("reason") if flow.get("type") == "drop" else None)
    if reason is None and flow.get("verdict") == "DROPPED" and (number_ := _number(flow.get("drop_reason"))):
        reason = f"reason {number_}"  # Hubble before drop_reason_desc
    if not isinstance(reason, str):
        return
    ends = _hubble(flow) if isinstance(flow.get("IP"), dict) else _monitor(flow.get("summary"))
    file = flow.get("file")
    place = (file.get("name"), file.get("line")) if isinstance(file, dict) else (file, flow.get("line"))
    source = f"{place[0]}:{place[1]}" if isinstance(place[0], str) and place[0] else None
    time = flow.get("time") or event.get("time")
    yield row(number, line, reason, **ends, source=source, time=_text(time))


def _hubble(flow: dict[str, Any]) -> dict[str, str | None]:
    above = flow.get("l4")
    name, ports = next(iter(above.items()), ("", None)) if isinstance(above, dict) else ("", None)
    known = ports if isinstance(ports, dict) else {}
    ends = {"src": _text(flow["IP"].get("source")), "dst": _text(flow["IP"].get("destination"))}
    ports_of = {"sport": _number(known.get("source_port")), "dport": _number(known.get("destination_port"))}
    return {**ends, **ports_of, "protocol": _PROTOCOLS.get(name)}


def _monitor(summary: object) -> dict[str, str | None]:
    known = summary if isinstance(summary, dict) else {}
    three, four = known.get("l3"), known.get("l4")
    ends = three if isinstance(three, dict) and "src" in three else known
    key = ("src", "dst") if "src" in ends else ("source", "destination")
    ports = four if isinstance(four, dict) else {}
    above = next((name for name in ("tcp", "udp", "sctp") if isinstance(known.get(name), str)), None)
    return {
        "src": _text(ends.get(key[0])),
        "dst": _text(ends.get(key[1])),
        "sport": _number(ports.get("src")),
        "dport": _number(ports.get("dst")),
        "protocol": above,
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> str | None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if text.isascii() and text.isdecimal() and len(text) <= 5 else None


def read_monitor(lines: Sequence[Line]) -> Iterator[Row]:
    """``cilium-dbg monitor --type drop`` as text."""
    for number, line in lines:
        match = _dropped(line)
        ends = _ENDS.search(line, match.end()) if match is not None else None
        if match is None or ends is None:
            continue
        known = {key: value for key, value in ends.groupdict().items() if value}
        known["protocol"] = known.get("protocol", "").lower().replace("icmpv6", "ipv6-icmp")
        source = _SOURCE.search(line, match.end())
        yield row(number, line, match["reason"], **known, source=source["source"] if source else None)


def read_log(lines: Sequence[Line]) -> Iterator[Row]:
    """``dmesg`` and the journal: martian sources (dropped by the reverse path filter), a full table."""
    for number, line in lines:
        martian = _MARTIAN.search(line)
        if martian is not None:
            ends = {"src": martian["src"], "dst": martian["dst"], "at": martian["at"].rstrip(",")}
            yield row(number, line, "martian source (reverse path filter)", **ends)
        elif _TABLE_FULL.search(line):
            yield row(number, line, "nf_conntrack: table full")


def _is_json(line: str) -> bool:
    compact = line[:_LONGEST_JSON].replace(" ", "")
    return line.startswith("{") and any(word in compact for word in _IN_JSON)


def _dropped(line: str) -> re.Match[str] | None:
    """The reason, where the line has one: at the first place that may be it."""
    at = line.find("drop (")
    return _MONITOR.match(line, at) if at >= 0 else None


def _is_monitor(line: str) -> bool:
    match = _dropped(line)
    return match is not None and _ENDS.search(line, match.end()) is not None


OUTPUTS = (
    Output("drops", lambda f: any(map(_is_json, f)), read_json_lines),
    Output("drops", lambda f: any(map(_is_monitor, f)), read_monitor),
)
LOG = Output("drops", lambda f: sum(bool(_LOG.match(line)) for line in f) * 2 > len(f), read_log)
