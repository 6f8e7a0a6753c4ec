"""Packets that a kernel tracer saw being freed with a drop reason: pwru and retis, as text and JSON.

Rows as in `drops`. `at` is the function in which the packet was dropped: the caller if the tracer prints it,
else the last function that the same packet went through before.

`time` is RFC 3339: of retis in UTC (its monotonic time needs the start-up event), of pwru's absolute time
without a zone, since it prints the node's local time.

Sources: pwru v1.0.11 ``internal/pwru/output.go``; retis 1.6 ``docs/events``, ``retis-events/src`` (common,
packet, skb_drop, skb_tracking, helpers/time): written from these, as the programs were not available.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row
from vxlanalyze.kubernetes.hosts.raw_packet import headers_of
from vxlanalyze.wire.protocols import RULE_NAMES

_FREEING = frozenset(("kfree_skb", "kfree_skb_reason", "kfree_skb_list_reason", "sk_skb_reason_drop"))
_LAST_SECOND = 1 << 33
_NO_DROP = frozenset(("NOT_SPECIFIED_CONSUMED", "CONSUMED", "SKB_CONSUMED"))
_PREFIX = "SKB_DROP_REASON_"
_PWRU = re.compile(
    r"^(?:(?P<time>[\d:.T-]{12,29}) +)?(?P<skb>0x[0-9a-f]+)\s.{0,200}?\s"
    r"\[?(?P<src>[0-9a-fA-F.:]{2,45}?)\]?:(?P<sport>\d{1,5})->\[?(?P<dst>[0-9a-fA-F.:]{2,45}?)\]?:(?P<dport>\d{1,5})"
    r"\((?P<protocol>[\w-]+)[^)]{0,30}\)\s+"
    r"(?P<function>[\w.]{1,128})(?: ?\((?P<reason>\w{1,80})\))?(?: +(?P<caller>[a-z_]\w{1,128}))?"
)
_PWRU_HEADER = re.compile(r"^(?:TIME +)?SKB\s+CPU\s+PROCESS\b")
_RETIS = re.compile(r"\[(?:k|kr|tp|raw_tracepoint)\] (?P<at>\S+)")
_RETIS_TIME = re.compile(r"^(?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d\.\d{6}) ")
_RETIS_DROP = re.compile(r"\bdrop \((?:reason )?(?P<reason>[A-Z][\w/]+)\)")
_RETIS_ID = re.compile(r"#(?P<id>[0-9a-f]{4,40})")
_RETIS_ENDS = re.compile(
    r"(?:^|\s)(?P<src>\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{3,39})(?:\.(?P<sport>\d{1,5}))? > "
    r"(?P<dst>\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{3,39})(?:\.(?P<dport>\d{1,5}))?(?=\s|$)"
    r"(?:.{0,120}?\bid (?P<ip_id>\d{1,5})\b)?(?:.{0,200}?\bproto (?P<protocol>\w+))?"
)


def row(number: int, line: str, reason: str, **more: str | None) -> Row:
    """Create the row of one drop, without unknown fields."""
    found = {"line": str(number), "text": line.strip()[:200], "name": "drop", "value": reason}
    return found | {key: value for key, value in more.items() if value}


class Passed:
    """The last function of each packet, by packet identifier; bounded. And the offset of retis' clock."""

    _MOST = 100_000

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self.offset_ns: int | None = None

    def note(self, packet: str, function: str) -> None:
        """Record where a packet was last seen."""
        if packet and len(self._last) < self._MOST:
            self._last[packet] = function

    def before(self, packet: str) -> str | None:
        """Give where a packet was last seen, and forget it, since its address is reused."""
        return self._last.pop(packet, None)


def read_pwru(lines: Sequence[Line]) -> Iterator[Row]:
    """The events of pwru in which a packet was freed with a drop reason."""
    passed = Passed()
    for number, line in lines:
        match = _PWRU.match(line)
        if match is None:
            continue
        if match["function"] not in _FREEING:
            passed.note(match["skb"], match["function"])
            continue
        reason = (match["reason"] or "not given").removeprefix(_PREFIX)
        at = match["caller"] or passed.before(match["skb"]) or match["function"]
        if reason not in _NO_DROP:
            ends = {key: match[key] for key in ("src", "dst", "sport", "dport", "protocol")}
            yield row(number, line, reason, **ends, at=at, time=match["time"])


def pwru_event(number: int, line: str, event: dict[str, Any], passed: Passed) -> Iterator[Row]:
    """One event of ``pwru --output-json``."""
    function, packet = str(event.get("func")), str(event.get("skb"))
    name, _, reason = function.partition("(")
    if name.strip() not in _FREEING:
        passed.note(packet, name)
        return
    reason = reason.strip(" )").removeprefix(_PREFIX) or "not given"
    caller = event.get("caller_func")
    at = caller if isinstance(caller, str) and caller else passed.before(packet) or name.strip()
    if reason not in _NO_DROP:
        yield row(number, line, reason, **_tuple(event.get("tuple")), at=at, time=_text(event.get("time")))


def _tuple(value: object) -> dict[str, str | None]:
    known = value if isinstance(value, dict) else {}
    protocol = known.get("proto")
    return {
        "src": _text(known.get("saddr")),
        "dst": _text(known.get("daddr")),
        "sport": _number(known.get("sport")),
        "dport": _number(known.get("dport")),
        "protocol": RULE_NAMES.get(protocol) if isinstance(protocol, int) else None,
    }


def read_retis(lines: Sequence[Line]) -> Iterator[Row]:
    """The events of retis as text: a line of the probe, then lines of the packet."""
    passed = Passed()
    at, opened, packet = "", Row(), ""
    moment: str | None = None
    for number, line in lines:
        probe, dropped = _RETIS.search(line), _RETIS_DROP.search(line)
        if probe is not None:
            if opened:
                yield opened
            if at and not opened:
                passed.note(packet, at)
            at, opened, packet = probe["at"], Row(), ""
            dated = _RETIS_TIME.match(line)
            moment = f"{dated['date']}T{dated['time']}Z" if dated is not None else None
        if (named := _RETIS_ID.search(line)) is not None:
            packet = named["id"]
            if opened and (earlier := passed.before(packet)) is not None:
                opened["at"] = earlier
        if at and dropped is not None:
            opened = row(number, line, dropped["reason"], at=passed.before(packet) or at, time=moment)
        elif opened and (ends := _RETIS_ENDS.search(line)) is not None:
            yield opened | _ends(ends)
            opened, at = Row(), ""
    if opened:
        yield opened


def _ends(match: re.Match[str]) -> Row:
    known = {key: match[key] for key in ("src", "dst", "sport", "dport", "ip_id") if match[key]}
    protocol = (match["protocol"] or "").lower().replace("icmpv6", "ipv6-icmp")
    return known | ({"protocol": protocol} if protocol else {})


def retis_event(number: int, line: str, event: dict[str, Any], passed: Passed) -> Iterator[Row]:
    """One event of ``retis collect -o``: JSON of a packet that was dropped or went through a function."""
    kernel, tracked = event.get("kernel"), event.get("skb-tracking") or event.get("skb_tracking")
    at = _text(kernel.get("symbol")) if isinstance(kernel, dict) else None
    known = tracked if isinstance(tracked, dict) else {}
    packet = f"{known.get('orig_head')} {known.get('timestamp')}" if known else ""
    dropped = event.get("skb-drop") or event.get("skb_drop")
    if not isinstance(dropped, dict):
        passed.note(packet, at or "")
        return
    raw = event.get("packet")
    frame = raw.get("data", raw.get("packet")) if isinstance(raw, dict) else None
    headers: dict[str, str | None] = {**headers_of(frame)}
    headers = headers or _headers(event.get("skb"))  # of older versions
    subsystem, reason = dropped.get("subsys"), str(dropped.get("drop_reason"))
    reason = f"{subsystem}/{reason}" if isinstance(subsystem, str) else reason
    time = _monotonic(event.get("common"), passed.offset_ns)
    yield row(number, line, reason, **headers, at=passed.before(packet) or at, time=time)


def retis_startup(event: dict[str, Any], passed: Passed) -> None:
    """Note how far the wall clock is ahead of the monotonic time of all events."""
    startup = event.get("startup")
    offset = startup.get("clock_monotonic_offset") if isinstance(startup, dict) else None
    parts = [offset.get(name) for name in ("sec", "nsec")] if isinstance(offset, dict) else []
    seconds, nanoseconds = (part if isinstance(part, int) else None for part in parts or (None, None))
    if seconds is not None and nanoseconds is not None and 0 <= seconds < _LAST_SECOND:
        passed.offset_ns = seconds * 1_000_000_000 + nanoseconds


def _monotonic(common: object, offset_ns: int | None) -> str | None:
    """The time of an event in UTC; None without the start-up event."""
    stamp = common.get("timestamp") if isinstance(common, dict) else None
    if offset_ns is None or not isinstance(stamp, int) or not 0 <= stamp < _LAST_SECOND * 1_000_000_000:
        return None
    moment = datetime.fromtimestamp((offset_ns + stamp) / 1e9, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _headers(value: object) -> dict[str, str | None]:
    skb = value if isinstance(value, dict) else {}
    ip = skb["ip"] if isinstance(skb.get("ip"), dict) else {}
    four = ip["v4"] if isinstance(ip.get("v4"), dict) else {}
    above = next((name for name in ("tcp", "udp") if isinstance(skb.get(name), dict)), None)
    ports = skb[above] if above else {}
    return {
        "src": _text(ip.get("saddr")),
        "dst": _text(ip.get("daddr")),
        "ip_id": _number(four.get("id")),
        "sport": _number(ports.get("sport")),
        "dport": _number(ports.get("dport")),
        "protocol": above,
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _is_retis(first: Sequence[str]) -> bool:
    return any(map(_RETIS.search, first)) and any("(" in line and "[" in line for line in first)


OUTPUTS = (
    Output("drops", lambda f: any(map(_PWRU_HEADER.match, f)) or bool(_PWRU.match(f[0])), read_pwru),
    Output("drops", _is_retis, read_retis),
)
