"""One of several equal-cost paths between the nodes is dead.

What it checks
    Are all packets of some outer source ports lost, of every size and to every service, while other source
    ports of the same direction are not affected?
Why it matters
    The outer source port is a hash of the inner flow, and routers use it to choose among equal paths. One
    dead link or line card then affects a fixed share of all connections: each either works perfectly or not
    at all, and a retry from a new client port may help.
How it decides
    Of all explanations, the set of outer source ports fits the losses best, taking the number of possible
    sets into account, and random loss would look like this at most once in ten thousand directions. Ports
    that share a remainder modulo the number of paths are a simpler set. Many light flows are pooled: that no
    source port loses only a part of its packets, although many could, is evidence. Where every n-th packet is
    lost whatever its flow, members are used in turn and one of them is dead. In tunnels without ports (IP in
    IP, GRE), where devices hash the inner packet, the inner flow takes the place of the port.
When it cannot tell
    Few flows: where each lost flow is an entire service, the service is the simpler explanation
    (`flow-blocked`). Where one service loses some of its single-packet flows, it may be the service or the
    path: that is `packet-loss`, which says so. Single-packet flows prove nothing individually, only together.
What looks like it
    A blocked service (all lost flows go to it), random loss among flows of one packet, loss of SYNs only:
    Linux gives a retransmitted SYN another outer source port (`packet-loss` says so).
What to do
    Give the network team the lost outer source ports and the pair of outer addresses: with their hash they
    find the member of the port channel or the next hop.
Sources
    RFC 7348 section 5 (source port as entropy); RFC 6438 and RFC 7424 (hashing over members).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, loss
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.loss.traits import Trait, has_no_ports
from vxlanalyze.analysis.loss.turns import Turn
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.diagnostics import explaining
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, share
from vxlanalyze.wire.addresses import text

CODE = "ecmp-member-blocked"
_PORTS_LISTED, _FLOWS_LISTED = 40, 5
_BOND = "grep -H -E 'Bonding Mode|Slave Interface|MII Status|Link Failure' /proc/net/bonding/*"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction in which whole outer source ports are lost."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        turns = [e for e in picture.of(LossKind.ECMP) if isinstance(e.detail, Turn)]
        answers += [_in_turn(pair, picture, e, e.detail) for e in turns if isinstance(e.detail, Turn)]
        if len(picture.of(LossKind.ECMP)) > len(turns):
            answers.append(_finding(pair, picture))
        elif len(picture.unexplained) and _ports(picture) < 2:
            why = "all packets have one outer source port: they take one path, whichever it is"
            answers.append(NotAssessed(CODE, why, picture.direction.label))
    return answers


def _ports(picture: Picture) -> int:
    return 0 if picture.lost is None else len(picture.lost.traits[Trait.OUTER_PORT])


def _finding(pair: Comparison, picture: Picture) -> Finding:
    direction = picture.direction
    explanations = [e for e in picture.of(LossKind.ECMP) if e.detail is None]
    lost = picture.packets_of(explanations)
    if has_no_ports(direction.sender.flows, direction.flow[lost]).all():
        return _of_inner_flows(pair, picture, lost, explanations)
    ports = np.unique(direction.sender.flows.outer_sport[direction.flow[lost]])
    all_ports = _ports(picture)
    paths = max(e.rule.paths for e in explanations)
    shown = exhibits.of_packets(pair, direction, lost)
    below = underlay.of(direction, pair.cluster)
    numbers = ", ".join(str(int(p)) for p in ports[:_PORTS_LISTED])
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{loss.since(explanations)}{len(ports):,} of {count(all_ports, 'outer source port')} from "
        f"{direction.sender.name} to {direction.receiver.name} lose every packet "
        f"({count(int(lost.sum()), 'packet')}); the others arrive: one of several paths drops everything",
        explanation=_explanation(direction, lost, len(ports), all_ports)
        + (_REMAINDER.format(paths, int(ports[0]) % paths) if paths else "")
        + loss.by_chance(explanations),
        remedy=written(
            "Ask the network team which member of a port channel, or which equal-cost next hop, carries "
            f"{below.ports_text} {below.ends_text} with source port {numbers}"
            f"{' and others' if len(ports) > _PORTS_LISTED else ''}, and have it taken out. To see where the "
            "path ends, with a lost source port and then with one that works:",
            on(
                direction.sender.name,
                f"traceroute -U -p {below.ports[0] if below.ports else 8472} --sport={int(ports[0])} "
                f"{below.far}",
            ),
        ),
        evidence={
            "lost_source_ports": Quantity(numbers),
            "lost_ports": Quantity(len(ports), "ports"),
            "ports": Quantity(all_ports, "ports"),
            "lost": Quantity(int(lost.sum()), "packets"),
            "delivered": Quantity(int(np.count_nonzero(direction.delivered)), "packets"),
            "smallest_lost": Quantity(int(direction.wire_length[lost].min()), "bytes"),
            "largest_lost": Quantity(int(direction.wire_length[lost].max()), "bytes"),
            "chance": Quantity(max(e.chance for e in explanations), "ratio"),
        },
        ruled_out=_ruled_out(direction, lost),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _of_inner_flows(
    pair: Comparison, picture: Picture, lost: NDArray[np.bool_], explanations: list[Explanation]
) -> Finding:
    """Report whole inner flows lost in a tunnel without ports, where devices hash the inner packet."""
    direction = picture.direction
    near, far = direction.sender.name, direction.receiver.name
    below = underlay.of(direction, pair.cluster)
    flows = np.unique(direction.flow[lost])
    named = [_named(pair, direction, int(row)) for row in flows[:_FLOWS_LISTED]]
    delivered = int(np.count_nonzero(direction.delivered))
    shown = exhibits.of_packets(pair, direction, lost)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{loss.since(explanations)}{len(flows):,} of {count(_ports(picture), 'inner flow')} from "
        f"{near} to {far} lose every packet ({count(int(lost.sum()), 'packet')}); the others arrive: one of "
        "several paths drops everything",
        explanation=f"No packet of {count(len(flows), 'inner flow')} arrives: "
        f"{affected.packets(affected.protocols(direction, lost))} of {affected.sizes(direction, lost)}. The "
        f"other flows deliver {count(delivered, 'packet')}. {below.ports_text} has no ports, so devices that "
        "choose among equal paths hash the inner packet. " + loss.by_chance(explanations),
        remedy=written(
            "Ask the network team which member of a port channel, or which equal-cost next hop, carries "
            f"{below.ports_text} {below.ends_text} with these inner flows, and have it taken out: "
            f"{listed(named)}{', and others' if len(flows) > _FLOWS_LISTED else ''}.",
            f"If {near} has a bond, its mode and the state of each member:",
            on(near, _BOND),
        ),
        evidence={
            "lost_flows": Quantity(len(flows), "flows"),
            "flows": Quantity(_ports(picture), "flows"),
            "lost": Quantity(int(lost.sum()), "packets"),
            "delivered": Quantity(delivered, "packets"),
            "smallest_lost": Quantity(int(direction.wire_length[lost].min()), "bytes"),
            "largest_lost": Quantity(int(direction.wire_length[lost].max()), "bytes"),
            "chance": Quantity(max(e.chance for e in explanations), "ratio"),
        },
        ruled_out=_ruled_out(direction, lost),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _named(pair: Comparison, direction: Direction, row: int) -> str:
    """Name an inner flow: protocol and both ends."""
    flows = direction.sender.flows
    ends = text(np.stack([flows.src[row], flows.dst[row]]), np.repeat(flows.family[row], 2))
    src, dst = (pair.cluster.named(address) for address in ends)
    return (
        f"{affected.protocol_name(int(flows.protocol[row]))} {src} port {flows.sport[row]} to {dst} port "
        f"{flows.dport[row]}"
    )


def _in_turn(pair: Comparison, picture: Picture, explanation: Explanation, turn: Turn) -> Finding:
    """Report loss of every n-th packet."""
    direction = picture.direction
    lost = picture.packets_of([explanation])
    near, far, gone = direction.sender.name, direction.receiver.name, int(lost.sum())
    shown = exhibits.of_packets(pair, direction, lost)
    which = {2: "second", 3: "third"}.get(turn.every, f"{turn.every}th")
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"Every {which} packet from {near} to {far} is lost ({gone:,} of "
        f"{count(picture.judged, 'packet')}), "
        f"whatever its flow: one of {turn.every} members that take turns drops everything",
        explanation=f"{share(round(turn.in_turn * (gone - 1)), gone - 1).capitalize()} losses come exactly "
        f"{turn.every} packets after the one before, in {count(turn.flows, 'flow')}: packets are sent over "
        f"{turn.every} members in turn (a bond in round robin, per-packet balancing), and one delivers "
        f"nothing. "
        f"{loss.by_chance([explanation])}",
        remedy=written(
            f"If {near} has a bond, its mode and the state of each member (BOND, MEMBER: its names there):",
            on(near, _BOND),
            "Take the dead member out:",
            on(near, "ip link set MEMBER nomaster"),
            "To undo it:",
            on(near, "ip link set MEMBER master BOND"),
            "MII monitoring sees the link only; ARP monitoring (arp_ip_target) also finds a switch that "
            "discards after it. Without a bond, ask the network team for per-packet load balancing between "
            "the nodes, and which path is dead; balancing by flow would also end the reordering.",
        ),
        evidence={
            "every": Quantity(turn.every, "packets"),
            "in_turn": Quantity(turn.in_turn, "ratio"),
            "lost": Quantity(gone, "packets"),
            "flows": Quantity(turn.flows, "flows"),
            "chance": Quantity(explanation.chance, "ratio"),
        },
        ruled_out=(
            *affected.not_by_size(direction, lost),
            RuledOut("packet-loss", "loss at random does not keep time"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


_REMAINDER = (
    "Divided by {}, all that are lost leave {}, and no other does: that many paths, and one of them is "
    "dead, "
    "where the low bits of the port choose. "
)


def _explanation(direction: Direction, lost: NDArray[np.bool_], ports: int, all_ports: int) -> str:
    delivered = int(np.count_nonzero(direction.delivered))
    kinds = affected.packets(affected.protocols(direction, lost))
    return (
        f"No packet of {count(ports, 'source port')} arrives: {kinds} of "
        f"{affected.sizes(direction, lost)}. The other {all_ports - ports:,} source ports deliver "
        f"{count(delivered, 'packet')}. The outer source port is a hash of the inner flow, and routers "
        "choose among equal paths by it. "
    )


def _ruled_out(direction: Direction, lost: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    ruled_out = list(affected.not_by_size(direction, lost))
    same = _same_services(direction, lost)
    if same:
        why = f"other flows to {'the same service' if same == 1 else f'{same} of the same services'} arrive"
        ruled_out.append(RuledOut("flow-blocked", why))
    ruled_out.append(RuledOut("packet-loss", "each flow arrives completely or not at all"))
    return tuple(ruled_out)


def _same_services(direction: Direction, lost: NDArray[np.bool_]) -> int:
    """Services with some flows completely lost while others arrive."""
    flows = direction.sender.flows

    def services(chosen: NDArray[np.bool_]) -> set[tuple[bytes, int, int]]:
        rows = np.unique(direction.flow[chosen])
        return {(flows.dst[r].tobytes(), int(flows.protocol[r]), int(flows.dport[r])) for r in rows}

    return len(services(lost) & services(direction.delivered))


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=explaining.MISDIRECTED)
