"""Packets seen being dropped: Cilium's monitor, Hubble, pwru, retis, and the kernel's own log.

Rows: name "drop", value (the reason), src and dst where they are known, at (function, interface or chain).

Sources: Cilium ``pkg/monitor/format``, Hubble ``flow.proto``; pwru README (its columns); retis documentation
of events (``skb_drop``, ``drop (reason)``); Linux ``net/ipv4/route.c`` (martian source): all written from
their documentation, since these programs were not at hand.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_ADDRESS = r"[0-9a-fA-F]{0,4}[.:][0-9a-fA-F.:]{2,40}"
_MONITOR = re.compile(
    r"\bdrop \((?P<reason>[^)]{1,80})\).{0,400}?[ :]\[?(?P<src>\d[\d.]{6,15}|[0-9a-fA-F:]{3,40}?)\]?"
    r"(?::\d+)? -> \[?(?P<dst>\d[\d.]{6,15}|[0-9a-fA-F:]{3,40}?)\]?(?::\d+)?(?: |$)"
)
_PWRU = re.compile(
    r"^0x[0-9a-f]+\s.{0,200}?\s\[?(?P<src>[0-9a-fA-F.:]+?)\]?:\d+->\[?(?P<dst>[0-9a-fA-F.:]+?)\]?:\d+\(\w+\)\s+"
    r"(?P<function>\w+)(?:\((?:SKB_DROP_REASON_)?(?P<reason>\w+)\))?"
)
_PWRU_HEADER = re.compile(r"^SKB\s+CPU\s+PROCESS\b")
_RETIS = re.compile(r"\[k\] (?P<at>\S+).{0,200}?\bdrop \((?P<reason>[A-Z][\w/]+)\)")
_RETIS_ENDS = re.compile(
    r"(?:^|\s)(?P<src>\d+(?:\.\d+){3}|[0-9a-f:]{3,39})(?:\.\d+)? > "
    r"(?P<dst>\d+(?:\.\d+){3}|[0-9a-f:]{3,39})(?:\.\d+)?\b"
)
_MARTIAN = re.compile(
    r"\bmartian source (?P<dst>\d+(?:\.\d+){3}) from (?P<src>\d+(?:\.\d+){3}), on dev (?P<at>\S+)"
)
_TABLE_FULL = re.compile(r"nf_conntrack: .{0,40}table full, dropping packet")
_LOG = re.compile(
    r"^(?:\[\s*\d+\.\d+\]|\[\w{3} \w{3} +\d+ |\w{3} +\d+ [\d:]{8} \S+ kernel:|\d{4}-\d\d-\d\dT\S+ )"
)
_LONGEST_JSON = 1 << 16


def _row(number: int, line: str, reason: str, **more: str | None) -> Row:
    row = {"line": str(number), "text": line.strip()[:200], "name": "drop", "value": reason}
    return row | {key: value for key, value in more.items() if value}


def read_json_lines(lines: Sequence[Line]) -> Iterator[Row]:
    """JSON lines of ``cilium-dbg monitor -j``, Hubble and retis, of drops alone."""
    for number, line in lines:
        try:
            event = json.loads(line) if line[:1] == "{" and len(line) <= _LONGEST_JSON else None
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield from _event(number, line, event)


def _event(number: int, line: str, event: dict[str, Any]) -> Iterator[Row]:
    flow = event.get("flow", event)
    retis = event.get("skb_drop") or event.get("skb-drop")
    if isinstance(retis, dict):
        skb = event.get("skb")
        ip = skb.get("ip") if isinstance(skb, dict) else None
        kernel = event.get("kernel")
        at = kernel.get("symbol") if isinstance(kernel, dict) else None
        yield _row(number, line, str(retis.get("drop_reason")), **_named(ip, "saddr", "daddr"), at=_text(at))
        return
    if not isinstance(flow, dict):
        return
    reason = flow.get("drop_reason_desc") or (flow.get("reason") if flow.get("type") == "drop" else None)
    if not isinstance(reason, str):
        return
    ends = flow.get("IP") if isinstance(flow.get("IP"), dict) else flow.get("summary")
    if isinstance(ends, dict):
        l3 = ends.get("l3")
        ends = l3 if isinstance(l3, dict) and "src" in l3 else ends
        key = ("src", "dst") if "src" in ends else ("source", "destination")
        yield _row(number, line, reason, **_named(ends, *key))
    else:
        yield _row(number, line, reason)


def _named(ends: object, source: str, destination: str) -> dict[str, str | None]:
    known = ends if isinstance(ends, dict) else {}
    return {"src": _text(known.get(source)), "dst": _text(known.get(destination))}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def read_monitor(lines: Sequence[Line]) -> Iterator[Row]:
    """``cilium-dbg monitor --type drop`` as text."""
    for number, line in lines:
        match = _MONITOR.search(line)
        if match is not None:
            yield _row(number, line, match["reason"], src=match["src"], dst=match["dst"])


def read_pwru(lines: Sequence[Line]) -> Iterator[Row]:
    """The events of pwru at which a packet was freed with a reason to drop it."""
    for number, line in lines:
        match = _PWRU.match(line)
        if match is not None and match["function"].startswith(("kfree_skb", "sk_skb_reason_drop")):
            reason = match["reason"] or "not given"
            if reason not in ("NOT_SPECIFIED_CONSUMED", "CONSUMED"):
                yield _row(number, line, reason, src=match["src"], dst=match["dst"], at=match["function"])


def read_retis(lines: Sequence[Line]) -> Iterator[Row]:
    """The events of ``retis collect`` as text: a line of the probe, then lines of the packet."""
    opened: Row = {}
    for number, line in lines:
        match = _RETIS.search(line)
        ends = _RETIS_ENDS.search(line) if opened and match is None else None
        if match is not None:
            if opened:
                yield opened
            opened = _row(number, line, match["reason"], at=match["at"])
        elif ends is not None:
            yield opened | {"src": ends["src"], "dst": ends["dst"]}
            opened = {}
    if opened:
        yield opened


def read_log(lines: Sequence[Line]) -> Iterator[Row]:
    """``dmesg`` and the journal: martian sources (dropped by the reverse path filter), a full table."""
    for number, line in lines:
        martian = _MARTIAN.search(line)
        if martian is not None:
            ends = {"src": martian["src"], "dst": martian["dst"], "at": martian["at"].rstrip(",")}
            yield _row(number, line, "martian source (reverse path filter)", **ends)
        elif _TABLE_FULL.search(line):
            yield _row(number, line, "nf_conntrack: table full")


def _is_json(line: str) -> bool:
    compact = line.replace(" ", "")
    return line.startswith("{") and any(
        word in compact for word in ('"drop_reason', '"type":"drop"', '"skb_drop"', '"skb-drop"')
    )


OUTPUTS = (
    Output("drops", lambda f: any(map(_is_json, f)), read_json_lines),
    Output("drops", lambda f: any(map(_MONITOR.search, f)), read_monitor),
    Output("drops", lambda f: any(map(_PWRU_HEADER.match, f)) or bool(_PWRU.match(f[0])), read_pwru),
    Output(
        "drops",
        lambda f: any("[k] " in line for line in f) and any("drop (" in line for line in f),
        read_retis,
    ),
    Output("drops", lambda f: sum(bool(_LOG.match(line)) for line in f) * 2 > len(f), read_log),
)
