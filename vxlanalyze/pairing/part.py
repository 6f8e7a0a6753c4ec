"""Select a part of the traffic: a time range, and packets that match terms.

The selection happens after matching, so a packet whose partner lies outside does not count as lost.

Sources: RFC 3339 section 5.6, the form of times.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import PER_PACKET, PER_UNSENT, Comparison, Direction, Hop, Point
from vxlanalyze.text.nearest import nearest
from vxlanalyze.wire.model import NO_FLOW, Flows
from vxlanalyze.wire.protocols import ESP, GRE, ICMP, ICMPV6, SCTP, TCP, UDP, WITH_PORTS

PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP, "gre": GRE, "esp": ESP, "icmpv6": ICMPV6, "sctp": SCTP}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_TIME_OF_DAY = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?[Zz]?")
_DAY_NS = 86_400 * 10**9
_SECONDS = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in nanoseconds: since 1970, since the first capture's first frame, or since midnight.

    A time of day means the one closest to the first capture's first frame.
    """

    ns: int
    relative: bool
    of_day: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: `kind` is net, port, proto or vni.

    A host is a net of one; a name stands for the nets of all its addresses, one of which must match.
    """

    kind: str
    value: int | IPv4Network | IPv6Network | tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What to analyse; everything where nothing is given. All terms must match."""

    since: Moment | None = None
    until: Moment | None = None
    terms: tuple[Term, ...] = ()


def parse_moment(text: str) -> Moment:
    """Read a time: RFC 3339, a time of day in UTC, or seconds from the first capture's first frame.

    Raises
    ------
    UsageError
        The text is none of these.
    """
    seconds = _SECONDS.fullmatch(text)
    if seconds:
        return Moment(int(seconds[1]) * 10**9 + _fraction_ns(seconds[2]), relative=True)
    clock = _TIME_OF_DAY.fullmatch(text)
    if clock and int(clock[1]) < 24 and int(clock[2]) < 60 and int(clock[3] or 0) < 60:
        of_day_s = int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3] or 0)
        return Moment(of_day_s * 10**9 + _fraction_ns(clock[4]), relative=False, of_day=True)
    stamp = _TIME.fullmatch(text)
    try:
        if stamp:
            whole = datetime.fromisoformat(f"{stamp[1]}T{stamp[2]}{stamp[4].upper()}")
            return Moment(round(whole.timestamp()) * 10**9 + _fraction_ns(stamp[3]), relative=False)
    except ValueError:
        stamp = None  # well-formed, but not a date, such as February 30
    raise UsageError(
        f"{text}: not a time; give one like 2026-11-23T10:00:00.5Z, 10:00:00 (UTC), or seconds from the start"
    )


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "0").ljust(9, "0"))


def parse_term(text: str, cluster: Cluster | None = None) -> Term:
    """Read a term: ``host=10.0.0.1``, ``net=10.0.0.0/24``, ``port=53``, ``proto=tcp`` or ``vni=7``.

    Parameters
    ----------
    cluster : Cluster, optional
        Knows the addresses of pods, services and nodes, for ``host=NAME``.

    Raises
    ------
    UsageError
        The text is none of these.
    """
    kind, _, value = text.partition("=")
    try:
        if kind in ("host", "net"):
            named = cluster.addresses_of(value) if kind == "host" and cluster is not None else ()
            if named:
                return Term("net", tuple(ip_network(address) for address in named))
            if kind == "host" and "/" in value:
                raise ValueError(value)
            return Term("net", ip_network(value, strict=False))
        if kind == "proto":
            return Term(kind, _number(str(PROTOCOLS.get(value, value)), 255))
        if kind in ("port", "vni"):
            return Term(kind, _number(value, 0xFFFF if kind == "port" else 0xFFFFFF))
    except ValueError:
        hint = _host_hint(value, cluster) if kind == "host" else ""
        raise UsageError(f"{text}: {value or 'nothing'} is not a {kind}{hint}") from None
    hint = nearest(kind, ("host", "net", "port", "proto", "vni"))
    raise UsageError(f"{text}: not a term; give one like host=10.0.0.1, port=53 or proto=tcp{hint}")


def _host_hint(name: str, cluster: Cluster | None) -> str:
    """Suggest a name of the cluster: one that begins like this, or resembles it."""
    known = () if cluster is None else cluster.names
    begins = [
        full for full in known if name and name in (full[: len(name)], full.rpartition("/")[2][: len(name)])
    ]
    hint = f"; did you mean {begins[0]}?" if begins else nearest(name, known)
    return hint or "; --kube names pods, services and nodes"


def _number(text: str, largest: int) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > largest:
        raise ValueError(text)
    return int(text)


def narrow(comparison: Comparison, part: Part) -> Comparison:
    """Keep a part of the packets in every direction and at every point.

    Raises
    ------
    UsageError
        A time counts from the first frame of a capture that has none.
    """
    if part == Part():
        return comparison
    spans = _spans(comparison, part)
    points = {id(p): _narrow_point(p, part.terms, spans[p.capture]) for p in _points(comparison)}

    def narrowed(hops: Sequence[Hop]) -> tuple[Hop, ...]:
        return tuple(
            Hop(
                _narrow_direction(hop.forward, part.terms, spans, points),
                _narrow_direction(hop.backward, part.terms, spans, points),
                hop.clock,
            )
            for hop in hops
        )

    return replace(
        comparison,
        points=tuple(points[id(p)] for p in comparison.points),
        hops=narrowed(comparison.hops),
        inside=narrowed(comparison.inside),
    )


def _points(comparison: Comparison) -> list[Point]:
    ends = [
        p for hop in (*comparison.hops, *comparison.inside) for p in (hop.forward.sender, hop.backward.sender)
    ]
    return [*comparison.points, *ends]


Span = tuple[int, int]
_ALL_TIME: Span = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)


def _spans(comparison: Comparison, part: Part) -> list[Span]:
    """First and last moment by each capture's own clock."""
    first_ns = comparison.captures[0].first_ns if comparison.captures else None
    since, until = (_absolute(moment, first_ns) for moment in (part.since, part.until))
    spans = [(_ALL_TIME[0] if since is None else since, _ALL_TIME[1] if until is None else until)]
    for hop in comparison.hops:
        spans.append(tuple(_by_next_clock(moment, hop) for moment in spans[-1]))  # type: ignore[arg-type]
    return spans


def _absolute(moment: Moment | None, first_ns: int | None) -> int | None:
    if moment is None or not (moment.relative or moment.of_day):
        return None if moment is None else moment.ns
    if first_ns is None:
        raise UsageError(
            "the first capture has no frame to count seconds from; give a time such as RFC 3339 has"
        )
    if moment.of_day:
        days = round((first_ns - moment.ns) / _DAY_NS)
        return _in_range(days * _DAY_NS + moment.ns)
    return _in_range(first_ns + moment.ns)


def _by_next_clock(moment_ns: int, hop: Hop) -> int:
    if moment_ns in _ALL_TIME:
        return moment_ns
    return _in_range(moment_ns + int(hop.clock.offset_at(np.array([moment_ns], np.int64))[0]))


def _in_range(moment_ns: int) -> int:
    """Clamp a time to the range of time stamps; crafted files reach its limits."""
    return min(max(moment_ns, _ALL_TIME[0]), _ALL_TIME[1])


def _chosen_flows(flows: Flows, terms: tuple[Term, ...]) -> NDArray[np.bool_]:
    """Flows that match all terms, followed by True or False for NO_FLOW; shape ``(f + 1,)``."""
    chosen = np.ones(len(flows) + 1, np.bool_)
    chosen[-1] = not terms
    for term in terms:
        chosen[:-1] &= _holds(flows, term)
    return chosen


def _holds(flows: Flows, term: Term) -> NDArray[np.bool_]:
    if isinstance(term.value, tuple):
        return np.logical_or.reduce([_holds(flows, Term(term.kind, network)) for network in term.value])
    if isinstance(term.value, IPv4Network | IPv6Network):
        inner = _in_net(flows.src, flows.family, term.value) | _in_net(flows.dst, flows.family, term.value)
        outer = flows.outer_family
        return (
            inner | _in_net(flows.outer_src, outer, term.value) | _in_net(flows.outer_dst, outer, term.value)
        )
    if term.kind == "port":
        at_port: NDArray[np.bool_] = (flows.sport == term.value) | (flows.dport == term.value)
        return at_port & np.isin(flows.protocol, WITH_PORTS)
    number: NDArray[np.generic] = flows.vni if term.kind == "vni" else flows.protocol
    equal: NDArray[np.bool_] = number == term.value
    return equal


def _in_net(
    addresses: NDArray[np.uint8], family: NDArray[np.uint8], network: IPv4Network | IPv6Network
) -> NDArray[np.bool_]:
    mask = np.frombuffer(network.netmask.packed, np.uint8)
    wanted = np.frombuffer(network.network_address.packed, np.uint8)
    same = ((addresses[:, : len(mask)] & mask) == wanted).all(axis=1)
    inside: NDArray[np.bool_] = same & (family == network.version)
    return inside


def _chosen_rows(
    point: Point, rows: NDArray[np.int32], terms: tuple[Term, ...], span: Span
) -> NDArray[np.bool_]:
    """Rows that belong to the part, shape of `rows`."""
    time_ns, flow = point.index.time_ns[rows], point.index.flow[rows]
    inside: NDArray[np.bool_] = (time_ns >= span[0]) & (time_ns <= span[1])
    return inside & _chosen_flows(point.flows, terms)[np.where(flow == NO_FLOW, -1, flow)]


def _narrow_point(point: Point, terms: tuple[Term, ...], span: Span) -> Point:
    rows = np.arange(len(point.index), dtype=np.int32) if point.rows is None else point.rows
    return replace(point, rows=rows[_chosen_rows(point, rows, terms, span)])


def _narrow_direction(
    direction: Direction, terms: tuple[Term, ...], spans: Sequence[Span], points: dict[int, Point]
) -> Direction:
    sender, receiver = direction.sender, direction.receiver
    kept = _chosen_rows(sender, direction.sent_row, terms, spans[sender.capture])
    unsent = _chosen_rows(receiver, direction.unsent_row, terms, spans[receiver.capture])
    window = direction.window_ns
    if window is not None:
        first, last = spans[sender.capture]
        window = (max(window[0], first), min(window[1], last))
        window = window if window[0] <= window[1] else None
    return replace(
        direction,
        sender=points[id(sender)],
        receiver=points[id(receiver)],
        window_ns=window,
        **{name: getattr(direction, name)[kept] for name in PER_PACKET},
        **{name: getattr(direction, name)[unsent] for name in PER_UNSENT},
    )
