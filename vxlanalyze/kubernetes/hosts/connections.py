"""``conntrack -L``, ``cilium-dbg bpf nat list``, ``ss -lun``, ``ss -tulnpm``, ``ipvsadm -Ln``.

Rows of connections: protocol, src, dst, sport, dport, reply_src, reply_dst, reply_sport, reply_dport, state
(of TCP), replied ("yes" or ""). Of sockets ("listeners"): protocol, state, received and sent (queues),
address, port, dropped (with ``-m``). Of virtual services: frontend, backend.

Sources: conntrack(8), ss(8), ipvsadm(8); Cilium ``pkg/maps/nat`` (how an entry is written).
"""

import re
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_ENTRY = re.compile(
    r"^(?:ipv[46]\s+\d+ )?\s*(?P<protocol>tcp|udp|icmp|icmpv6|sctp|gre|unknown)\s+\d+ (?P<rest>.*\bsrc=.*)$"
)
_CLOSING = re.compile(r"^conntrack v\S+ \(conntrack-tools\): \d+ flow entries")
_PAIR = re.compile(r"\b(src|dst|sport|dport)=(\S+)")
_TRANSLATED = re.compile(
    r"^(?P<protocol>TCP|UDP|SCTP) OUT (?P<src>\S+):(?P<sport>\d+) -> (?P<dst>\S+):(?P<dport>\d+)"
    r" XLATE_SRC (?P<reply_dst>\S+):(?P<reply_dport>\d+)\b"
)
_TRANSLATION = re.compile(r"^(?:TCP|UDP|ICMP|ICMPv6|SCTP) (?:OUT|IN) \S+ -> \S+ XLATE_(?:SRC|DST) ")
_LISTENER = re.compile(
    r"^(?:(?P<protocol>udp|tcp)\s+)?(?P<state>UNCONN|LISTEN|ESTAB)\s+(?P<received>\d+)\s+(?P<sent>\d+)\s+"
    r"(?P<address>\S+):(?P<port>\d+|\*)\s"
)
_MEMORY = re.compile(r"\bskmem:\([^)]{0,200}?\bd(?P<dropped>\d+)\)")
_SERVICE = re.compile(r"^(?P<protocol>TCP|UDP|SCTP)\s+(?P<frontend>\S+:\d+)\s")
_BACKEND = re.compile(r"^\s+-> (?P<backend>\S+:\d+)\s")


def read_connections(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the entries of connection tracking."""
    for number, line in lines:
        match = _ENTRY.match(line)
        if match is None:
            continue
        row: Row = {"line": str(number), "text": line.strip(), "protocol": match["protocol"]}
        for name, value in _PAIR.findall(match["rest"])[:8]:
            row["reply_" + name if name in row else name] = value
        state = re.match(r"\d+ ([A-Z_]+) ", match["rest"])
        replied = "" if "[UNREPLIED]" in line else "yes"
        yield {**row, "state": state[1] if state else "", "replied": replied}


def read_translations(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the sources that Cilium masquerades, as connections."""
    for number, line in lines:
        match = _TRANSLATED.match(line.strip())
        if match is not None:
            entry = {name: value.strip("[]") for name, value in match.groupdict().items()}
            entry |= {"protocol": entry["protocol"].lower(), "reply_src": entry["dst"]}
            entry |= {"reply_sport": entry["dport"], "state": "", "replied": ""}
            yield {"line": str(number), "text": line.strip(), **entry}


def read_listeners(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the listening sockets; a socket's memory is on its line or the next."""
    row: Row = {}
    for number, line in lines:
        match, memory = _LISTENER.match(line), _MEMORY.search(line)
        if match is not None:
            if row:
                yield row
            found = {name: value for name, value in match.groupdict().items() if value is not None}
            found.setdefault("protocol", "tcp" if found["state"] == "LISTEN" else "udp")
            row = {"line": str(number), "text": " ".join(line.split()), **found}
        if memory is not None and row:
            row["dropped"] = memory["dropped"]
    if row:
        yield row


def read_services(lines: Sequence[Line]) -> Iterator[Row]:
    """Give each backend with its service."""
    service: Row = {}
    for number, line in lines:
        head, backend = _SERVICE.match(line), _BACKEND.match(line)
        if head is not None:
            service = {"protocol": head["protocol"].lower(), "frontend": head["frontend"]}
        elif backend is not None and service:
            yield {"line": str(number), "text": line.strip(), **service, "backend": backend["backend"]}


OUTPUTS = (
    Output(
        "connections",
        lambda f: any(_ENTRY.match(line) or _CLOSING.match(line) for line in f[:2]),
        read_connections,
    ),
    Output("connections", lambda f: any(map(_TRANSLATION.match, f[:3])), read_translations),
    Output(
        "listeners",
        lambda f: f[0].startswith(("State ", "Netid ")) or bool(_LISTENER.match(f[0])),
        read_listeners,
    ),
    Output("virtual-services", lambda f: f[0].startswith("IP Virtual Server version"), read_services),
)
