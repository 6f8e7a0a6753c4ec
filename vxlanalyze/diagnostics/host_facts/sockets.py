"""Saved sockets of the receiving node: whether anything listens, and whether it keeps up.

Source: ss(8): for a listening TCP socket, Recv-Q counts connections waiting to be accepted and Send-Q is
their limit; for others, Recv-Q counts unread bytes; in skmem, d counts dropped packets.
"""

from collections.abc import Iterator

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.diagnostics.host_facts.model import Statement, facts, inner, is_inside, node_of, rows
from vxlanalyze.kubernetes.citing import file_of
from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.words import count

_TUNNEL = frozenset(("not-answered", "port-unreachable"))
_ENDPOINT = frozenset(("endpoint-silent", "dns-unanswered", "packet-loss", "not-answered", "slow-answer"))
_Row = dict[str, str]


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State that nothing listens on the tunnel's port, or that a socket is full."""
    if is_inside(direction):
        return
    listening = list(rows(pair, direction.receiver, "listeners"))
    if finding.code in _TUNNEL:
        yield from _nobody(pair, direction, [row for row, _ in listening])
    if finding.code in _ENDPOINT:
        ports = {(p.protocol, str(p.dport)) for p in inner(pair, direction, finding) if p.dport}
        for row, where in listening:
            if (row.get("protocol", "udp"), row["port"]) in ports:
                yield from _full(node_of(direction.receiver), row, where)


def _nobody(pair: Comparison, direction: Direction, listening: list[_Row]) -> Iterator[Statement]:
    """Tunnel devices hold a kernel socket, which ss lists without a process."""
    udp = {row["port"] for row in listening if row.get("protocol", "udp") == "udp"}
    wanted = {str(port) for port in underlay.of(direction, pair.cluster).ports}
    if listening and all("nothing_on" in row for row in listening):  # a probe of these ports
        wanted &= {row["nothing_on"] for row in listening}
    if not udp or not wanted or udp & wanted:
        return
    file = file_of(facts(pair, direction.receiver, "listeners")[0])
    yield Statement(
        f"Nothing on {node_of(direction.receiver)} listens on UDP {', '.join(sorted(wanted))} ({file}).",
        True,
        file,
    )


def _full(node: str, row: _Row, where: str) -> Iterator[Statement]:
    waiting, most = number_in(row, "received"), number_in(row, "sent")
    dropped = number_in(row, "dropped")
    name = f"{row['protocol'].upper()} port {row['port']}" if row.get("protocol") else f"port {row['port']}"
    if row.get("state") == "LISTEN" and waiting > most > 0:
        yield Statement(
            f"The listen queue of {name} on {node} is full: {waiting} of {most} connections wait to be "
            f"accepted ({where}: {row['text']}).",
            True,
            where,
            f"The process on {name} of {node} accepts no more connections: look at it, then at its backlog "
            "and net.core.somaxconn.",
        )
    elif row.get("state") != "LISTEN" and (dropped or waiting):
        unread = f"holds {waiting:,} bytes that were not read" if waiting else "is read"
        drops = f" and has dropped {count(dropped, 'packet')}" if dropped else ""
        yield Statement(f"The socket of {name} on {node} {unread}{drops} ({where}).", False, where)
