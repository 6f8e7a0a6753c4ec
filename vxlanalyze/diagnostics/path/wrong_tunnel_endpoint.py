"""Packets for a pod go to an outer address that is not the node of that pod.

What it checks
    Is the outer destination of each packet an address of the node on which its inner destination lives?
Why it matters
    Each node keeps a map from pod networks to node addresses (flannel: neighbour and forwarding entries;
    Cilium: the tunnel map and ipcache; Calico: routes). An entry that was not updated when a node changed its
    address sends all packets for its pods nowhere, or to a node that does not know them.
How it decides
    The node of a pod is known from the cluster itself (`--kube`, `--facts`): the node of the pod or of the
    pod network, and that node's addresses, including those from which its pods were seen to send. Without
    these, packets decide: the outer address from which the pod itself was seen to send, the last one for a
    pod that moved (its ARP messages count as well; of the requests, only those after the move). A destination
    that is none of these is wrong if nothing sent there for the pod was answered, with so many requests that
    a working node would be this silent with a probability below `chance`, or if the cluster says that the
    address belongs to another node.
When it cannot tell
    Nothing was answered, and neither files nor packets show where the inner destinations run.
What looks like it
    Nodes with several addresses, of which the cluster lists one; NAT between the nodes; anycast tunnel
    endpoints; a pod that moved after the cluster's state was saved: all of these are answered.
What to do
    Check the entry on the sending node and refresh it: restart the CNI's agent there.
Sources
    cilium issues 21844, 31528, 15406 (stale tunnel map and ipcache); felix issue 2494 and flannel issue 654
    (stale forwarding entries); RFC 7348 section 4.1.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import alone
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.underlay import tunnel_ends, underlay
from vxlanalyze.analysis.underlay.homes import InnerHome, InnerHomes, homes_of
from vxlanalyze.analysis.underlay.moves import Move, moves_of
from vxlanalyze.pairing.model import Comparison, Direction, Reason
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed, moment
from vxlanalyze.wire.addresses import mac_text, text

CODE = "wrong-tunnel-endpoint"


class _Wrong(NamedTuple):
    """Packets of a direction to one address although their pods are reached through others."""

    sent_to: str
    home: InnerHome
    pods: list[str]
    packets: NDArray[np.bool_]
    mac: str = ""  # of a pod that moved


_RESTART = "Restarting the network plugin's agent on {} rewrites its entries."


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Compare outer destinations at their first tunnel point with the homes of the inner ones.

    `chance` is the false alarm probability accepted for an address.
    """
    return alone.run(pair, CODE, lambda looked_at: _run(looked_at, chance))


def _run(pair: Comparison, chance: float) -> list[DiagnosticResult]:
    homes = homes_of(pair)
    results = (_direction(pair, direction, homes, chance) for direction in tunnel_ends.entering(pair))
    return [answer for answer in results if answer is not None]


def _direction(
    pair: Comparison, direction: Direction, homes: InnerHomes, chance: float
) -> DiagnosticResult | None:
    responses = answers.of(direction)
    flows = direction.sender.flows
    tunnelled = (flows.outer_family > 0) & (flows.family > 0)
    # An address through which one pod of a node answers is that node's, whatever the cluster lists.
    answering = _destinations(direction, responses.answered & tunnelled)
    right = {(outer, home.addresses) for outer, pod, _ in answering if (home := homes.of(pod)) is not None}
    moves = moves_of(pair).get(direction.sender.capture, {})
    silent = responses.used & ~responses.answered & tunnelled
    wrong, untold = _compare(direction, homes, moves, silent, right)
    wrong += _moved(pair, direction, moves)
    for one in sorted(wrong, key=lambda w: -int((responses.sent & w.packets).sum())):
        if _proved(pair, direction, one, responses, chance):
            return _finding(pair, direction, one, responses)
    if wrong:
        first = wrong[0]
        why = f"packets for {first.pods[0]} go to {first.sent_to}, but {first.home.words}; too few requests"
        return NotAssessed(CODE, why, direction.label)
    if responses.unanswered(untold).any() and not responses.answered.any():
        why = "it is not known on which nodes the inner destinations run; --kube would show it"
        return NotAssessed(CODE, why, direction.label)
    return None


def _compare(
    direction: Direction,
    homes: InnerHomes,
    moves: Mapping[str, Move],
    silent: NDArray[np.bool_],
    right: set[tuple[str, tuple[str, ...]]],
) -> tuple[list[_Wrong], NDArray[np.bool_]]:
    """Packets sent to a wrong address, by that and the right one; and flows to pods of unknown homes."""
    untold = np.zeros(len(direction.sender.flows), np.bool_)
    groups: dict[tuple[str, tuple[str, ...]], _Wrong] = {}
    for sent_to, pod, members in _destinations(direction, silent):
        home = homes.of(pod)
        if home is None:
            untold[members] = True
            continue
        key = (sent_to, home.addresses)
        moved = pod in moves and moves[pod].before == sent_to
        if not moved and key not in right and not homes.at_home(sent_to, home):
            blank = _Wrong(sent_to, home, [], np.zeros(len(direction), np.bool_))
            group = groups.setdefault(key, blank)
            group.pods.append(pod)
            group.packets[np.isin(direction.flow, members)] = True
    return list(groups.values()), untold


def _moved(pair: Comparison, direction: Direction, moves: Mapping[str, Move]) -> list[_Wrong]:
    """Packets to the old place of a pod that has moved, if no request among them was answered."""
    if not moves:
        return []
    sender, found = direction.sender, []
    requests = measure(pair).of_point[pair.points.index(sender)]
    sent_ns = direction.sent_ns(np.arange(len(direction)))
    requested_ns = sender.index.time_ns[requests.first_row]
    for sent_to, pod, members in _destinations(
        direction, answers.of(direction).used & (sender.flows.outer_family > 0)
    ):
        move = moves.get(pod)
        if move is None or move.before != sent_to:
            continue
        later = np.isin(direction.flow, members) & (sent_ns > move.from_ns)
        mine = np.isin(sender.index.flow[requests.first_row], members) & (requested_ns > move.from_ns)
        if later.any() and not requests.at(mine).answered.any():
            words = f"{pod} itself sends from {move.after} since {moment(move.from_ns)}"
            mac = mac_text(int(sender.flows.inner_src_mac[move.flows[0]]))
            found.append(_Wrong(sent_to, InnerHome((move.after,), words, False), [pod], later, mac))
    return found


def _destinations(
    direction: Direction, chosen: NDArray[np.bool_]
) -> Iterable[tuple[str, str, NDArray[np.intp]]]:
    """Each pair of outer and inner destination of chosen flows, and its flows."""
    flows, rows = direction.sender.flows, np.flatnonzero(chosen)
    key = np.column_stack([flows.outer_family, flows.outer_dst, flows.family, flows.dst])[rows]
    names, code = distinct(key)
    if not len(names):
        return ()
    members = np.split(rows[np.argsort(code, kind="stable")], np.cumsum(np.bincount(code))[:-1])
    outer, inner = text(names[:, 1:17], names[:, 0]), text(names[:, 18:], names[:, 17])
    return zip(outer, inner, members, strict=True)


def _proved(pair: Comparison, direction: Direction, wrong: _Wrong, responses: Answers, chance: float) -> bool:
    """Whether silence proves it, lost or arrived, or the cluster itself names the address's owner."""
    requests = responses.sent & wrong.packets & (direction.reason != Reason.WINDOW)
    if answers.conclusive(int(requests.sum()), chance):
        return True
    packets = int(wrong.packets.sum())
    return pair.cluster.node(pair.cluster.node_of(wrong.sent_to) or "") is not None and answers.conclusive(
        packets, chance
    )


def _finding(pair: Comparison, direction: Direction, wrong: _Wrong, responses: Answers) -> Finding:
    near = direction.sender.name
    chosen = wrong.packets
    packets, requests = int(chosen.sum()), int((responses.request & chosen).sum())
    pods = listed([pair.cluster.named(p) for p in wrong.pods], at_most=3)
    right = " or ".join(wrong.home.addresses)
    owner = pair.cluster.node_of(wrong.sent_to) or _captured(pair, wrong.sent_to)
    stranger = f"an address of {owner}" if owner else "an address of no known node"
    shown = exhibits.of_packets(pair, direction, chosen)
    map_says, map_evidence = _saved_map(pair, wrong)
    rests = "the files that describe the cluster" if wrong.home.by_cluster else "packets alone"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{near} sends packets for {pods} to {wrong.sent_to}, but {wrong.home.words}: "
        f"none of {count(requests, 'request')}{' after that' if wrong.mac else ''} was answered",
        explanation=f"{count(packets, 'packet')} left {near} for {wrong.sent_to}, {stranger}, while "
        f"{wrong.home.words}. This rests on {rests}. Nothing sent there for {pods} "
        f"{'after that ' if wrong.mac else ''}was answered.{map_says}",
        remedy=_remedy(near, wrong, right, underlay.of(direction, pair.cluster).cni),
        evidence={
            "sent_to": Quantity(wrong.sent_to),
            "expected_endpoint": Quantity(right),
            "packets": Quantity(packets, "packets"),
            "unanswered_requests": Quantity(requests, "packets"),
            **map_evidence,
        },
        ruled_out=(
            RuledOut("outer-address-rewritten", "no packet is known to be translated on to the right node"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _captured(pair: Comparison, address: str) -> str | None:
    """Name the capture whose node has an address."""
    return next((p.name for p in pair.points if p.encapsulated and address in p.addresses), None)


def _remedy(near: str, wrong: _Wrong, right: str, cni: str | None) -> str:
    pod = wrong.pods[0]
    if wrong.mac:
        return _remedy_of_a_move(near, wrong, right)
    family = "-6 " if ":" in pod else ""
    tables = [
        f"ip {family}route get {pod}",
        f"ip neigh show to {pod}",
        f"bridge fdb show | grep -w {wrong.sent_to}",
    ]
    cilium = ["cilium-dbg bpf ipcache list", "cilium-dbg bpf tunnel list"]
    shown = f"On {near}, find the entry that maps {pod} to {wrong.sent_to}, and set it to {right}"
    if cni == "cilium":
        return written(f"{shown} (in the Cilium pod of that node):", on(near, *cilium), _RESTART.format(near))
    also = "With flannel, the annotation of each node that gives its address:" if cni != "calico" else ""
    annotation = anywhere("kubectl describe nodes | grep flannel.alpha.coreos.com/public-ip")
    return written(
        f"{shown}:",
        on(near, *tables),
        also,
        annotation if also else "",
        *(() if cni else ("Where Cilium runs, in its pod of that node:", on(near, *cilium))),
        _RESTART.format(near),
    )


def _remedy_of_a_move(near: str, wrong: _Wrong, right: str) -> str:
    """Renew the forwarding entry of a MAC; DEVICE is what its listing shows."""
    return written(
        f"{wrong.pods[0]} moved, and {near} did not learn it. Its MAC is {wrong.mac}; see which forwarding "
        f"entry {near} has for it:",
        on(near, f"bridge fdb show | grep -i {wrong.mac}"),
        f"If that says {wrong.sent_to}, replace the entry (DEVICE: the device of that line):",
        on(near, f"bridge fdb replace {wrong.mac} dev DEVICE dst {right} self"),
        "An entry that is static or permanent never follows a move; nor does any where the device does not "
        "learn (nolearning) and a control plane (BGP EVPN, an agent) writes the entries: then see why that "
        "one did not:",
        on(near, "ip -d link show type vxlan", f"vtysh -c 'show evpn mac vni all' | grep -i {wrong.mac}"),
    )


def _saved_map(pair: Comparison, wrong: _Wrong) -> tuple[str, dict[str, Quantity]]:
    """What the tunnel maps saved by the user say about it."""
    routes = [r for r in pair.cluster.routes_of(wrong.pods[0]) if r.endpoint]
    if not routes:
        return "", {}
    route = routes[0]
    verdict = "it is the fault" if route.endpoint == wrong.sent_to else "the packets do not follow it"
    sentence = (
        f" The tunnel map saved with {route.capture} sends {route.network} to {route.endpoint}: {verdict}."
    )
    return sentence, {"tunnel_map": Quantity(f"{route.network} > {route.endpoint}")}


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=("duplicate-tunnel-mac",))
