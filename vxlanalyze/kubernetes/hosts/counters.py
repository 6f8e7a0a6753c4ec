"""Counters of the kernel and the NIC: everything with a name and a number.

``nstat``, ``/proc/net/snmp``, ``snmp6``, ``netstat``, ``softnet_stat``, ``dev`` and ``stat/nf_conntrack``,
``ethtool -S``, ``ip -s link``, ``conntrack -S``, ``tc -s qdisc``. Rows: name (nstat's names;
"ethtool rx_missed_errors", "link eth0 rx_dropped", "softnet dropped", "conntrack insert_failed",
"qdisc eth0 dropped") and value.

Sources: nstat(8), ethtool(8), ip-link(8), conntrack(8), tc(8); Linux ``net/core/net-procfs.c``,
``net/netfilter/nf_conntrack_standalone.c``.
"""

import re
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_NSTAT = re.compile(r"^(?P<name>[A-Z][A-Za-z0-9]+)\s+(?P<value>\d+)\s+\d+\.\d+\s*$")
_SNMP = re.compile(r"^(?P<group>[A-Z][A-Za-z0-9]+): (?P<rest>.*)$")
_SNMP6 = re.compile(r"^(?P<name>(?:Ip|Icmp|Udp)(?:Lite)?6[A-Za-z0-9]+)\s+(?P<value>\d+)\s*$")
_SOFTNET = re.compile(r"^[0-9a-f]{8}(?: [0-9a-f]{8}){8,}\s*$")
_HEX = re.compile(r"[0-9a-f]{8,16}")
_DEV_COLUMNS = 16
_ETHTOOL = re.compile(r"^\s+(?P<name>[\w\[\]. -]{1,80}?): (?P<value>\d+)\s*$")
_DEVICE = re.compile(r"^\d+: (?P<name>[^:@ ]+)[@:]")
_QDISC = re.compile(r"^\s*qdisc \S+ \S+ dev (?P<device>\S+)")
_QDISC_DROPS = re.compile(r"\(dropped (?P<value>\d+),")
_CONNTRACK = re.compile(r"^cpu=\d+\s")


def _row(number: int, name: str, value: int | str) -> Row:
    return {"line": str(number), "name": name, "value": str(value)}


def read_nstat(lines: Sequence[Line]) -> Iterator[Row]:
    """``nstat -asz``: its own names."""
    for number, line in lines:
        match = _NSTAT.match(line)
        if match is not None:
            yield _row(number, match["name"], match["value"])


def read_snmp(lines: Sequence[Line]) -> Iterator[Row]:
    """``/proc/net/snmp`` and ``netstat``: a line of names, a line of values, with nstat's names."""
    names: tuple[str, list[str]] = ("", [])
    for number, line in lines:
        match = _SNMP.match(line)
        if match is None:
            continue
        words = match["rest"].split()
        if names[0] == match["group"] and len(words) == len(names[1]):
            pairs = zip(names[1], words, strict=True)
            yield from (_row(number, match["group"] + n, v) for n, v in pairs if v.isdecimal())
            names = ("", [])
        else:
            names = (match["group"], words)


def read_snmp6(lines: Sequence[Line]) -> Iterator[Row]:
    """``/proc/net/snmp6``: a name and a value on each line."""
    for number, line in lines:
        match = _SNMP6.match(line)
        if match is not None:
            yield _row(number, match["name"], match["value"])


def read_devices(lines: Sequence[Line]) -> Iterator[Row]:
    """``/proc/net/dev``: packets dropped and errors, by device; what a ring had no room for is dropped."""
    for number, line in lines:
        device, colon, rest = line.strip().partition(":")
        values = rest.split()
        if colon and len(values) == _DEV_COLUMNS and all(value.isdecimal() for value in values):
            for name, value in zip(("rx_errors", "rx_dropped"), values[2:4], strict=True):
                yield _row(number, f"link {device} {name}", value)
            for name, value in zip(("tx_errors", "tx_dropped"), values[10:12], strict=True):
                yield _row(number, f"link {device} {name}", value)


def read_tracking(lines: Sequence[Line]) -> Iterator[Row]:
    """``/proc/net/stat/nf_conntrack``: hexadecimal, a line for each core."""
    names: list[str] = []
    sums: dict[str, int] = {}
    for _, line in lines:
        words = line.split()
        if not names:
            names = words
        elif len(words) == len(names) and all(map(_HEX.fullmatch, words)):
            for name, value in zip(names[1:], words[1:], strict=True):
                sums[name] = sums.get(name, 0) + int(value, 16)
    yield from (_row(lines[0][0], f"conntrack {name}", value) for name, value in sums.items())


def read_softnet(lines: Sequence[Line]) -> Iterator[Row]:
    """``/proc/net/softnet_stat``: drops due to a full backlog, and squeezes, of all cores."""
    rows = [(number, line.split()) for number, line in lines if _SOFTNET.match(line)]
    if rows:
        yield _row(rows[0][0], "softnet dropped", sum(int(words[1], 16) for _, words in rows))
        yield _row(rows[0][0], "softnet squeezed", sum(int(words[2], 16) for _, words in rows))


def read_ethtool(lines: Sequence[Line]) -> Iterator[Row]:
    """``ethtool -S``: the driver's names."""
    for number, line in lines:
        match = _ETHTOOL.match(line)
        if match is not None:
            yield _row(number, f"ethtool {match['name']}", match["value"])


def read_links(lines: Sequence[Line]) -> Iterator[Row]:
    """``ip -s link``: rx_dropped and the like of each device."""
    device, names, side = "", [""], ""
    for number, line in lines:
        match = _DEVICE.match(line)
        if match is not None:
            device, side = match["name"], ""
            continue
        words = line.split()
        if words and words[0] in ("RX:", "TX:", "RX", "TX"):
            side = words[0][:2].lower()
            names = words[2 if words[0] in ("RX", "TX") else 1 :]
        elif side and len(words) == len(names) and all(word.isdecimal() for word in words):
            for name, value in zip(names, words, strict=True):
                yield _row(number, f"link {device} {side}_{name}", value)
            side = ""


def read_conntrack(lines: Sequence[Line]) -> Iterator[Row]:
    """``conntrack -S``: the sums of all cores."""
    sums: dict[str, int] = {}
    first = 0
    for number, line in lines:
        if _CONNTRACK.match(line):
            first = first or number
            for name, value in re.findall(r"(\w+)=(\d{1,20})", line)[1:]:
                sums[name] = sums.get(name, 0) + int(value)
    yield from (_row(first, f"conntrack {name}", value) for name, value in sums.items())


def read_queues(lines: Sequence[Line]) -> Iterator[Row]:
    """``tc -s qdisc``: packets dropped, by device."""
    device = ""
    for number, line in lines:
        head, drops = _QDISC.match(line), _QDISC_DROPS.search(line)
        if head is not None:
            device = head["device"]
        elif drops is not None and device:
            yield _row(number, f"qdisc {device} dropped", drops["value"])


def _some(pattern: re.Pattern[str], first: Sequence[str]) -> bool:
    return any(pattern.match(line) for line in first)


OUTPUTS = (
    Output("counters", lambda f: f[0].startswith("#kernel") or all(map(_NSTAT.match, f)), read_nstat),
    Output(
        "counters",
        lambda f: len(f) > 1 and bool(_SNMP.match(f[0])) and f[0].split(" ")[0] == f[1].split(" ")[0],
        read_snmp,
    ),
    Output("counters", lambda f: _some(_SNMP6, f[:1]), read_snmp6),
    Output("counters", lambda f: f[0].startswith("Inter-|   Receive"), read_devices),
    Output("counters", lambda f: f[0].startswith("entries ") and "insert_failed" in f[0], read_tracking),
    Output("counters", lambda f: _some(_SOFTNET, f[:1]), read_softnet),
    Output("counters", lambda f: f[0].strip() == "NIC statistics:", read_ethtool),
    Output(
        "counters",
        lambda f: _some(_DEVICE, f[:1]) and any(line.strip().startswith("RX:") for line in f),
        read_links,
    ),
    Output("counters", lambda f: _some(_CONNTRACK, f[:1]) and "insert_failed=" in f[0], read_conntrack),
    Output("counters", lambda f: _some(_QDISC, f[:1]), read_queues),
)
