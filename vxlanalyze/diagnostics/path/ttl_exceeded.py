"""A router discards packets because their TTL (hop limit) has expired.

What it checks
    Do ICMP or ICMPv6 errors "time exceeded in transit" quote packets of a direction that are lost: outer ones
    (from a router between the nodes), or inner ones (from inside the overlay)?
Why it matters
    It looks like a firewall: nothing arrives, or nothing over one route. Some systems give their tunnel
    devices a TTL of 16, which is too low for a routed network, and a routing loop exhausts any TTL.
How it decides
    An error that quotes packets of the direction is proof in itself; it is reported where such packets are
    lost. Their initial TTL is read at the sender: a small one is a setting, a usual one (64, 128, 255)
    indicates a loop.
When it cannot tell
    Routers that send no ICMP, or a network that blocks it.
What looks like it
    Traceroute, which raises the TTL step by step and wants these errors: background (it sends each probe
    once, while a connection's SYN is sent again). Reassembly time exceeded
    has another code (`reassembly-timeout`).
What to do
    Raise the TTL of the tunnel device on the sending node, or find the loop in the routing tables.
Sources
    RFC 792, RFC 4443 section 3.3; RFC 1812 section 5.3.1 (TTL); vyos-1x pull request 5094 (a VXLAN
    interface's TTL of 16 becomes 64).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import time_exceeded
from vxlanalyze.analysis.requests.time_exceeded import IN_TRANSIT
from vxlanalyze.analysis.underlay import underlay, underlay_errors
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.numbers import ACK, SMALLEST_INITIAL_TTL, SYN
from vxlanalyze.wire.protocols import TCP

CODE = "ttl-exceeded"
_SAMPLE = 200  # packets whose TTL is read
_FEW = 4  # TTLs at one point; a packet that comes by again and again has more
_BGP = 179


class _Case(NamedTuple):
    """Errors about a direction's packets, their senders, the packets quoted, and the TTLs at the sender."""

    errors: list[tuple[Point, NDArray[np.int32]]]
    routers: list[str]
    packets: NDArray[np.bool_]
    ttls: list[int]
    inner: bool

    @property
    def error_count(self) -> int:
        return max(len(rows) for _, rows in self.errors)


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction whose lost packets a router reports as discarded for their TTL."""
    answers: list[DiagnosticResult] = []
    for direction in pair.directions:
        case = _outer(pair, direction) or _inner(pair, direction)
        if case is not None:
            answers.append(_finding(pair, direction, case))
    return answers


def _outer(pair: Comparison, direction: Direction) -> _Case | None:
    found = underlay_errors.about(pair, direction, IN_TRANSIT)
    if not found or not direction.lost.any():
        return None
    routers = [a for e in found for a in time_exceeded.senders_of(e.point, e.row)]
    ttls = _ttls(pair, direction, direction.lost, "outer_ttl")
    errors = [(e.point, e.row) for e in found]
    return _Case(errors, list(dict.fromkeys(routers)), direction.lost, ttls, False)


def _inner(pair: Comparison, direction: Direction) -> _Case | None:
    """Packets that routers inside the overlay discard, except for the probes of a traceroute."""
    found = time_exceeded.inside(pair, direction, IN_TRANSIT)
    marked = np.zeros(len(direction), np.bool_)
    for quotes in found:
        marked |= time_exceeded.quoted(direction, quotes)
    if not marked.any():
        return None
    marked = _without_other_flows(pair, direction, marked)
    ttls = _ttls(pair, direction, marked, "ttl")
    if max(ttls, default=0) < SMALLEST_INITIAL_TTL:
        marked &= _sent_again(direction, marked)
        if not marked.any():
            return None  # the probes of a traceroute
        ttls = _ttls(pair, direction, marked, "ttl")
    routers = list(dict.fromkeys(a for quotes in found for a in quotes.senders))
    return _Case([(q.point, q.row) for q in found], routers, marked, ttls, True)


def _without_other_flows(
    pair: Comparison, direction: Direction, marked: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep the flows that send small TTLs, if any do: a ping next to a traceroute is not concerned.

    Quotes of IPv6 name no packet, only its addresses and protocol.
    """
    rows = np.unique(direction.sent_row[marked])[:_SAMPLE]
    ttl = time_exceeded.ttl_of(pair, direction.sender, rows, "ttl")
    small = direction.sender.index.flow[rows[(ttl >= 0) & (ttl < SMALLEST_INITIAL_TTL)]]
    return marked & np.isin(direction.flow, small) if len(small) else marked


def _sent_again(direction: Direction, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Packets of connections whose SYN was sent more than once; a traceroute sends each probe once."""
    flows, index = direction.sender.flows, direction.sender.index
    rows = direction.sent_row
    syn = marked & (flows.protocol[direction.flow] == TCP)
    syn[syn] &= index.tcp_flags[rows[syn]] & (SYN | ACK) == SYN
    keys = direction.flow[syn].astype(np.uint64) << np.uint64(32) | index.seq[rows[syn]].astype(np.uint64)
    _, of, times = np.unique(keys, return_inverse=True, return_counts=True)
    result: NDArray[np.bool_] = np.isin(direction.flow, direction.flow[syn][times[of] > 1])
    return result


def _ttls(pair: Comparison, direction: Direction, chosen: NDArray[np.bool_], column: str) -> list[int]:
    """TTLs (hop limits) of some packets as sent, the most frequent first."""
    found = time_exceeded.ttl_of(
        pair, direction.sender, np.unique(direction.sent_row[chosen])[:_SAMPLE], column
    )
    values, times = np.unique(found[found >= 0], return_counts=True)
    return [int(v) for v in values[np.argsort(-times, kind="stable")]]


def _cause(case: _Case, loop: bool) -> str:
    if loop and len(case.ttls) > _FEW:
        return "as packets do that pass again and again in a routing loop"
    return "a routing loop, or more routers than that" if loop else "too little for the routers between them"


def _finding(pair: Comparison, direction: Direction, case: _Case) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    lost = int(np.count_nonzero(case.packets))
    routers = listed(case.routers, 3)
    ttl = listed(case.ttls, 4) if len(case.ttls) <= _FEW else f"{max(case.ttls)} down to {min(case.ttls)}"
    kind = "inner" if case.inner else "outer"
    loop = max(case.ttls, default=SMALLEST_INITIAL_TTL) >= SMALLEST_INITIAL_TTL
    towards = _destinations(pair, direction, case)
    cause = _cause(case, loop)
    shown = exhibits.of_rows(pair, [*case.errors, (direction.sender, direction.sent_row[case.packets])])
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{routers} discards {kind} packets from {near} to {far}{towards}, for their TTL is used up "
        f"({count(case.error_count, 'ICMP error')}): they leave with a TTL of {ttl}, {cause}",
        explanation=f'ICMP errors "time exceeded in transit" from {routers} quote {kind} packets of this '
        f"direction; {count(lost, 'packet')} of it {'is' if lost == 1 else 'are'} "
        f"{'quoted' if case.inner else 'lost'}. At {near} they have a TTL (IPv6: hop limit) of {ttl}: "
        + (
            "a value that no path of a sane network uses up, so two routers send them to each other."
            if loop
            else "each router takes one off, and so does a node that routes for its pods."
            if case.inner
            else "each router takes one off, and there are as many between the nodes."
        ),
        remedy=_remedy(pair, direction, case, loop),
        evidence={
            "errors": Quantity(case.error_count, "packets"),
            "routers": Quantity(", ".join(case.routers)),
            "ttl": Quantity(case.ttls[0] if case.ttls else None, "hops"),
            "lost": Quantity(lost, "packets"),
        },
        ruled_out=(
            RuledOut("path-blocked", "a router discards them and says why"),
            RuledOut("reassembly-timeout", "the code says transit, not reassembly"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter="(icmp.type == 11 && icmp.code == 0) || (icmpv6.type == 3 && icmpv6.code == 0)",
    )


def _addressed(direction: Direction, case: _Case) -> list[str]:
    """Inner addresses that the discarded packets go to, the most frequent first; [] for outer packets."""
    if not case.inner:
        return []
    flow, times = np.unique(direction.flow[case.packets], return_counts=True)
    flows = direction.sender.flows
    packets: dict[str, int] = {}
    for address, n in zip(text(flows.dst[flow], flows.family[flow]), times.tolist(), strict=True):
        packets[address] = packets.get(address, 0) + n
    return sorted(packets, key=lambda address: (-packets[address], address))


def _destinations(pair: Comparison, direction: Direction, case: _Case) -> str:
    named = [pair.cluster.named(address) for address in _addressed(direction, case)]
    return f" for {listed(named, 3)}" if named else ""


def _remedy(pair: Comparison, direction: Direction, case: _Case, loop: bool) -> str:
    near = direction.sender.name
    below = underlay.of(direction, pair.cluster)
    to = below.dst[0] if below.dst else direction.receiver.name
    if case.inner and not loop:
        return _own_ttl(pair, direction, case)
    if case.inner:
        nodes = (near, direction.receiver.name)
        routes = [f"ip {'-6 ' if ':' in a else ''}route get {a}" for a in _addressed(direction, case)[:3]]
        return (
            "Packets of pods go round inside the overlay: two nodes route their address to each other. On "
            "each node, the route must lead to the pod's own interface or to the node that has it; where no "
            "pod has the address any more, delete the routes to it."
            + "".join(on(node, *routes, "bridge fdb show") for node in nodes)
        )
    if loop:
        return (
            f"Find the loop: the path from {near} to {to}, and the route to it on "
            f"{listed(case.routers, 3)} and its neighbour." + on(near, f"traceroute -n {to}")
        )
    device, kind = below.device, below.link_type or "vxlan"
    return written(
        f"Raise the TTL of the tunnel device on {near} (and on {direction.receiver.name})"
        + ("; DEVICE is the name that the first command shows:" if device == "DEVICE" else ":"),
        on(near, below.listing, f"ip link set {device} type {kind} ttl 64"),
        f"Make it last where the device is configured ({_lasting(kind)}). The number of routers:",
        on(near, f"traceroute -n {to}"),
    )


def _own_ttl(pair: Comparison, direction: Direction, case: _Case) -> str:
    """Where a pod gets a small TTL from: its application, or its system's default."""
    flows = direction.sender.flows
    flow = np.unique(direction.flow[case.packets])
    sources = sorted(set(text(flows.src[flow], flows.family[flow])))
    named = [pair.cluster.named(address) for address in sources]
    ports = sorted({int(p) for p in flows.dport[flow]})
    settings = ["sysctl net.ipv4.ip_default_ttl"] * any(":" not in a for a in sources)
    settings += ["sysctl net.ipv6.conf.all.hop_limit"] * any(":" in a for a in sources)
    return written(
        "An eBGP session to a peer that is not on the same network segment needs a higher TTL (FRR: neighbor "
        "PEER ebgp-multihop 2; BIRD: multihop 2)."
        if ports == [_BGP]
        else f"Find out what sets this TTL for port {listed(ports, 3)}: an option of the application "
        "(IP_TTL, IPV6_UNICAST_HOPS), or the default of its system.",
        f"The default in the network namespace of {listed(named, 3)}:",
        on(direction.sender.name, *settings),
    )


def _lasting(kind: str) -> str:
    """Where a TTL of a tunnel device is configured, by the kind of device."""
    section = {"vxlan": "VXLAN", "geneve": "GENEVE"}.get(kind, "Tunnel")
    interface = kind if section != "Tunnel" else "tunnel"
    vyos = f"VyOS: set interfaces {interface} DEVICE parameters ip ttl 64"
    return f"{vyos}; systemd-networkd: TTL=64 in the [{section}] section"


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
