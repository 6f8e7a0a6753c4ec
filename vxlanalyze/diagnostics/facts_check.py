"""Compare facts saved with the captures with the packets: evidence for findings.

Each table that `--facts` reads makes a statement that packets can confirm or contradict: the tunnel map gives
the destination of packets for a pod network, the forwarding entries the MAC of a node, the service list the
pods of a service address, and the offload settings the reason for unfilled checksums. An entry that agrees is
ruled out as a cause, in a sentence; one that does not is reported by the finding that it proves
(`wrong-tunnel-endpoint`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut
from vxlanalyze.analysis.requests.services import ServiceFigures, services
from vxlanalyze.diagnostics.host_facts import (
    counters,
    drops,
    entries,
    firewall,
    routes,
    settings,
    sockets,
    tracked,
    tunnel_device,
    wanted,
)
from vxlanalyze.diagnostics.host_facts.model import Statement
from vxlanalyze.kubernetes.model import TunnelRoute
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import mac_text, text
from vxlanalyze.wire.model import INNER_L4_SHIFT, OUTER_L4_SHIFT, UNFILLED, checksum_states

_MOST_DESTINATIONS = 5000
_MAP_SPEAKS = frozenset(
    (
        "path-blocked",
        "protocol-blocked",
        "flow-blocked",
        "burst-outage",
        "not-answered",
        "stale-tunnel-mac",
        "port-unreachable",
        "dns-unanswered",
        "endpoint-silent",
    )
)
_ENTRIES_SPEAK = frozenset(("path-blocked", "not-answered", "vni-mismatch", "dns-unanswered"))
_BACKENDS_SPEAK = frozenset(("dns-unanswered", "endpoint-silent", "endpoint-refused"))
_SETTINGS_SPEAK = frozenset(("checksum-offload", "outer-checksum-bad", "inner-checksum-bad"))


@dataclass(frozen=True, slots=True)
class MapCheck:
    """An entry of a node's tunnel map compared with the packets that the node sent.

    `followed` packets for its network went to its endpoint, `elsewhere` counts the others by destination.
    `right` says whether the endpoint is an address of the node that hosts the network, None where unknown.
    """

    route: TunnelRoute
    followed: int
    elsewhere: dict[str, int]
    node: str | None
    right: bool | None


def tunnel_map(pair: Comparison, direction: Direction) -> list[MapCheck]:
    """Compare the map saved with a direction's sender with the packets of that direction."""
    capture = pair.captures[direction.sender.capture].name
    sent: dict[TunnelRoute, dict[str, int]] = {}
    for (outer, inner), packets in _destinations(direction).items():
        for route in pair.cluster.routes_of(inner):
            if route.capture == capture:
                went = sent.setdefault(route, {})
                went[outer] = went.get(outer, 0) + packets
    return [_checked(pair, direction, route, went) for route, went in sent.items()]


def _checked(pair: Comparison, direction: Direction, route: TunnelRoute, went: dict[str, int]) -> MapCheck:
    owner = pair.cluster.node_of(route.network.split("/")[0])
    node = pair.cluster.node(owner) if owner else None
    known = set(direction.receiver.addresses) | set(node.addresses if node else ())
    elsewhere = {address: packets for address, packets in went.items() if address != route.endpoint}
    return MapCheck(
        route, went.get(route.endpoint, 0), elsewhere, owner, route.endpoint in known if known else None
    )


def _destinations(direction: Direction) -> dict[tuple[str, str], int]:
    """Packets of a direction by outer and inner destination, the most frequent first."""
    flows = direction.sender.flows
    packets = np.bincount(direction.flow, minlength=len(flows))
    used = np.flatnonzero((packets > 0) & (flows.outer_family > 0) & (flows.family > 0))
    key = np.column_stack([flows.outer_family, flows.outer_dst, flows.family, flows.dst])[used]
    names, code = distinct(key)
    sums = np.bincount(code, packets[used], minlength=len(names)).astype(np.int64)
    chosen = np.argsort(-sums, kind="stable")[:_MOST_DESTINATIONS]
    outer, inner = text(names[:, 1:17], names[:, 0]), text(names[:, 18:], names[:, 17])
    return {(outer[i], inner[i]): int(sums[i]) for i in chosen}


def map_sentences(pair: Comparison, direction: Direction) -> Iterator[RuledOut]:
    """State for each tunnel map entry confirmed by packets and cluster that it is not the cause."""
    for check in tunnel_map(pair, direction):
        if not check.followed or check.elsewhere or check.right is False:
            continue
        route = check.route
        whose = f", an address of {check.node}," if check.node and check.right else ""
        verdict = "is right" if check.right else "is followed"
        yield RuledOut(
            "wrong-tunnel-endpoint",
            f"the tunnel map saved with {route.capture} {verdict}: {route.network} is sent to "
            f"{route.endpoint}{whose} by the map and by {count(check.followed, 'packet')}, so it is not that",
        )


def entry_sentences(pair: Comparison, direction: Direction) -> Iterator[RuledOut]:
    """State for each forwarding entry in use that it leads to the far node."""
    capture = pair.captures[direction.sender.capture].name
    rows = [row for fact in pair.cluster.facts_of("bridge-fdb", capture) for row in fact.rows if "dst" in row]
    entries = {(row["mac"], row["dst"]) for row in rows}
    flows = direction.sender.flows
    used = present(direction.flow)
    used = used[flows.outer_family[used] > 0]
    ends = text(flows.outer_dst[used], flows.outer_family[used])
    macs = [mac_text(int(m)) for m in flows.inner_dst_mac[used]]
    for mac, end in sorted(set(zip(macs, ends, strict=True)) & entries):
        if end in direction.receiver.addresses:
            yield RuledOut(
                "wrong-tunnel-endpoint",
                f"the forwarding entry saved with {capture} sends {mac} to {end}, and so do the packets",
            )


def backend_sentences(pair: Comparison) -> Iterator[str]:
    """Compare the backends of services with the pods that received requests."""
    figures = services(pair)
    backends = {s.full_name: s.backends for s in pair.cluster.services if s.name}
    for service in dict.fromkeys(f.service for f in figures if f.service):
        if backends.get(service):
            yield _backends(service, backends[service], [f for f in figures if f.service == service])


def _backends(service: str, backends: Sequence[str], figures: Sequence[ServiceFigures]) -> str:
    servers = sorted({f.server for f in figures})
    answering = {f.server for f in figures if f.answered}
    pods = f"{count(len(servers), 'pod')} queried here ({listed(servers, at_most=3)})"
    names = listed(backends, at_most=3)
    return f"The saved tables put {names} behind {service}; of {pods} {len(answering)} answered."


def setting_sentences(pair: Comparison, direction: Direction) -> Iterator[RuledOut]:
    """Compare the offload settings of the sender with the checksums in its capture."""
    capture = pair.captures[direction.sender.capture].name
    unfilled = _unfilled(direction.sender, direction)
    for fact in pair.cluster.facts_of("ethtool-k", capture):
        state = {row["feature"]: row["state"] for row in fact.rows}
        device = fact.rows[0]["device"] or "its device"
        setting = state.get("tx-checksumming") or state.get("tx-checksum-ip-generic")
        if setting is None or not unfilled:
            continue
        if setting == "on":
            why = (
                f"tx-checksumming of {device} is on at {capture}, so its "
                f"{count(unfilled, 'unfilled checksum')} are left to the NIC"
            )
            yield RuledOut("inner-checksum-bad", why)
        else:
            why = (
                f"tx-checksumming of {device} is off at {capture}, and yet {count(unfilled, 'checksum')} "
                "are partial: another device (the tunnel's, the pod's) leaves them to the card"
            )
            yield RuledOut("checksum-offload", why)


def _unfilled(point: Point, direction: Direction) -> int:
    checks = point.index.checks[present(direction.sent_row)]
    states = [checksum_states(checks, shift) for shift in (INNER_L4_SHIFT, OUTER_L4_SHIFT)]
    return int(np.count_nonzero(np.isin(states, UNFILLED).any(axis=0)))


_HOSTS = (
    *(drops.statements, firewall.statements, tunnel_device.statements, entries.statements, routes.statements),
    *(settings.statements, tracked.statements, sockets.statements, counters.statements),
)
_SPEAKERS = (
    (_MAP_SPEAKS, map_sentences),
    (_ENTRIES_SPEAK, entry_sentences),
    (_SETTINGS_SPEAK, setting_sentences),
)


def with_evidence(findings: Iterable[Finding], pair: Comparison) -> tuple[Finding, ...]:
    """Add to each finding what the saved tables say about it; a code that was found is never ruled out."""
    findings = tuple(findings)
    if not pair.cluster.facts:
        return findings
    codes = {finding.code for finding in findings}
    return tuple(_with_sentences(finding, pair, codes) for finding in findings)


def _with_sentences(finding: Finding, pair: Comparison, found: set[str]) -> Finding:
    if finding.code in _BACKENDS_SPEAK:
        more = " ".join(backend_sentences(pair))
        finding = replace(finding, explanation=f"{finding.explanation} {more}".strip())
    direction = _direction(pair, finding)
    if direction is None:
        lacking = counters.of_captures(pair, finding) if finding.code == "capture-loss" else ()
        return _with_facts(finding, list(lacking))
    sentences = [s for codes, speak in _SPEAKERS if finding.code in codes for s in speak(pair, direction)]
    new = tuple(s for s in sentences if s.code not in found and s not in finding.ruled_out)
    finding = replace(finding, ruled_out=(*finding.ruled_out, *new))
    statements = [statements for speak in _HOSTS for statements in speak(pair, direction, finding)]
    return _with_facts(finding, [*statements, *wanted.statements(pair, direction, finding, statements)])


def _direction(pair: Comparison, finding: Finding) -> Direction | None:
    """The direction of a finding, between nodes or inside one."""
    inside = (d for hop in pair.inside for d in hop.directions)
    return next((d for d in (*pair.directions, *inside) if d.label == finding.direction), None)


def _with_facts(finding: Finding, statements: Sequence[Statement]) -> Finding:
    """Put causes shown by facts before those suggested by packets, and notes after them."""
    causes, notes = [s for s in statements if s.cause], [s for s in statements if not s.cause]
    explanation = [*(s.sentence for s in causes), finding.explanation.strip(), *(s.sentence for s in notes)]
    remedies = [s.remedy for s in causes if s.remedy] or [finding.remedy]
    where = f"; the cause stands in {listed([s.place for s in causes])}" if causes else ""
    shown = {f"fact_{n}": Quantity(s.place) for n, s in enumerate(causes, 1)}
    return replace(
        finding,
        summary=finding.summary + where,
        explanation=" ".join(explanation),
        remedy="\n".join(remedies),
        evidence={**finding.evidence, **shown},
    )
