"""The finding about packets lost inside a node: its wording, and where to look on that node."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, inside_node, inside_words
from vxlanalyze.analysis.loss.inside_node import LostInside
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import count

_SUFFERS = ("rate-limited", "packet-loss")  # traffic is degraded; the other codes mean that it does not pass
_CONNTRACK = "conntrack -S | grep -oE '(insert_failed|drop|early_drop)=[0-9]+' | sort | uniq -c"
_COUNTERS = (
    _CONNTRACK,
    "iptables-save -c | grep -E -- '-j (DROP|REJECT)'",
    "nft list ruleset | grep -E 'counter.*(drop|reject)'",
    "tc -s qdisc show",
    "nstat -az | grep -E 'Drop|RcvbufErrors|RPFilter|InAddrErrors'",
    "ip -s link",
)
_LONGEST_IN_NODE_NS = 150_000  # from a pod's interface to the card; between two nodes it is rarely less
_TWICE = "Run each of these twice, before and after a test:"


def findings(pair: Comparison, code: str) -> list[Finding]:
    """Report losses inside nodes that belong to a code, the most packets first."""
    cases = [_of_code(lost, code) for lost in inside_node.losses(pair)]
    cases = [case for case in cases if case.packets.any()]
    cases.sort(key=lambda case: -int(case.packets.sum()))
    return [_finding(pair, case, code) for case in cases]


def _of_code(lost: LostInside, code: str) -> LostInside:
    """Reduce the losses inside a node to the packets of a code."""
    named = code in inside_words.KINDS
    if lost.only_seconds:
        return replace(lost, packets=np.zeros_like(lost.packets)) if named else lost
    codes = (code,) if named else tuple(inside_words.KINDS)
    explained = lost.picture.packets_of(e for c in codes for e in inside_words.explanations(lost, c))
    return replace(lost, packets=lost.packets & (explained if named else ~explained))


def _finding(pair: Comparison, inside: LostInside, code: str) -> Finding:
    direction = inside.picture.direction
    node = pair.captures[direction.sender.capture].name
    gone, delivered = int(np.count_nonzero(inside.packets)), int(np.count_nonzero(direction.delivered))
    ordered = inside.packets[inside.packets | direction.delivered]
    runs = int(ordered[0]) + int(np.count_nonzero(ordered[1:] & ~ordered[:-1]))
    low, high = evidence.loss_interval(gone, gone + delivered, runs)
    shown = exhibits.of_packets(pair, direction, inside.packets)
    named = code in inside_words.KINDS
    summary = inside_words.summary(pair, inside, code) if named else _share(inside, node, (low, high))
    return Finding(
        code=code,
        severity=Severity.WARNING if code in _SUFFERS else Severity.CRITICAL,
        direction=direction.label,
        summary=summary,
        explanation=f"{affected.packets(affected.protocols(direction, inside.packets))} of "
        f"{_sizes(direction, inside.packets)} reach {inside.last} and do not reach "
        f"{direction.receiver.name}, in the one capture of {node}, which shows both: nothing between the "
        f"nodes loses them. {'' if named else _race(inside)}",
        remedy=_remedy(node, inside, code),
        evidence={
            "lost": Quantity(gone, "packets"),
            "judged": Quantity(gone + delivered, "packets"),
            "loss_ratio": Quantity(gone / (gone + delivered), "ratio"),
            "loss_ratio_low": Quantity(low, "ratio"),
            "loss_ratio_high": Quantity(high, "ratio"),
            "runs": Quantity(runs, "runs"),
            "inside": Quantity(node),
            "last_seen": Quantity(inside.last),
            "second_packets": Quantity(inside.seconds, "packets"),
            **inside_words.figures(inside, code),
        },
        ruled_out=(RuledOut("path-blocked", f"all of them arrived at {node}"),) if inside.inwards else (),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _sizes(direction: Direction, chosen: NDArray[np.bool_]) -> str:
    """State the smallest and largest packet, as a pod sees them: without a tunnel's headers."""
    low, high = int(direction.length[chosen].min()), int(direction.length[chosen].max())
    return f"{low:,} bytes" if low == high else f"{low:,} to {high:,} bytes"


def _share(inside: LostInside, node: str, bounds: tuple[float, float]) -> str:
    """State the share of passing packets that is lost, and where."""
    direction = inside.picture.direction
    gone = int(np.count_nonzero(inside.packets))
    judged = gone + int(np.count_nonzero(direction.delivered))
    are = "is" if gone == 1 else "are"
    return (
        f"{gone:,} of {count(judged, 'packet')} {inside_words.towards(inside)} {are} lost inside {node} "
        f"({100 * gone / judged:.3g} %, between {100 * bounds[0]:.3g} % and {100 * bounds[1]:.3g} %): "
        f"seen at {inside.last} and not at {direction.receiver.name}{_only(inside)}"
    )


def _only(inside: LostInside) -> str:
    return ": only second packets of new conversations" if inside.only_seconds else ""


def _race(inside: LostInside) -> str:
    """Explain that it affects only second packets, where it does."""
    if not inside.only_seconds:
        return ""
    return (
        "Each of them is the second packet of a new 5-tuple, sent right after the first (as a resolver sends "
        "A and AAAA from one socket): both make a conntrack entry at once, and one insertion fails. "
    )


def _remedy(node: str, inside: LostInside, code: str) -> str:
    names = (inside.last, inside.picture.direction.receiver.name)
    numbers = [name.rpartition("/if")[2] for name in names if "/if" in name]
    devices = ""
    if numbers and all(number.isdigit() for number in numbers):
        devices = on(node, f"ip -o link | grep -E '^({'|'.join(dict.fromkeys(numbers))}):'")
    where = f"Look on {node}, not at the network between the nodes."
    first = (f"{where} The names of these interfaces:", devices) if devices else (where,)
    if not inside.only_seconds:
        return written(*first, _specific(inside, code, node), _everywhere(node))
    return written(
        *first,
        _TWICE,
        on(node, _CONNTRACK),
        "insert_failed that rises by the number of missing packets confirms it. Until the kernel is newer, "
        "let resolvers use a socket for each query: options: [{name: single-request-reopen}] under "
        "dnsConfig of the pod. NodeLocal DNSCache, which asks over TCP and without conntrack, avoids the "
        "race altogether.",
    )


def _specific(inside: LostInside, code: str, node: str) -> str:
    return inside_words.where_to_look(code, node, _first_ns(inside.picture.direction, inside.packets))


def _first_ns(direction: Direction, packets: NDArray[np.bool_]) -> int:
    return int(direction.sent_ns(packets).min())


def _everywhere(node: str) -> str:
    return written(
        _TWICE,
        on(node, *_COUNTERS),
        "Then the policies that select the pod, and, where Cilium runs, what it drops (in its pod on that "
        "node):",
        anywhere("kubectl get networkpolicy -A"),
        on(node, "cilium-dbg monitor --type drop"),
    )


def commands(place: str, node: str) -> str:
    """Say where to look on a node that loses packets between a pod and its network card."""
    return written(f"Look on {place}, not at the network between the nodes.", _everywhere(node))


def node_of(direction: Direction) -> str | None:
    """Name the node that contains a hop, where one side shows packets without the tunnel; else None."""
    near, far = direction.sender, direction.receiver
    within = near.encapsulated != far.encapsulated and not _is_far(direction)
    return f"the node of {near.name} and {far.name}" if within else None


def _is_far(direction: Direction) -> bool:
    """Whether packets take longer than inside a node: a pod's capture, and the card of another node."""
    delays_ns = direction.delay_ns[direction.delivered]
    return bool(len(delays_ns)) and int(delays_ns.min()) > _LONGEST_IN_NODE_NS


def evidence_of(direction: Direction) -> dict[str, Quantity]:
    """Name the node that contains a hop, as evidence; empty for a hop between nodes."""
    node = node_of(direction)
    return {} if node is None else {"inside": Quantity(node)}


def remedy_of(direction: Direction, code: str = "", lost: NDArray[np.bool_] | None = None) -> str | None:
    """Say where to look on the node that contains a hop; None for a hop between two cards.

    Parameters
    ----------
    direction : Direction
        One side of it shows packets without the tunnel.
    code : str
        Of the finding.
    lost : NDArray[np.bool_], optional
        The packets concerned, shape ``(m,)``.
    """
    place = node_of(direction)
    if place is None:
        far = direction.sender.encapsulated != direction.receiver.encapsulated
        return _on_the_way_to_another_node(direction) if far else None
    card = direction.sender if direction.sender.encapsulated else direction.receiver
    node = node_name(card.name)
    first = "" if lost is None else inside_words.where_to_look(code, node, _first_ns(direction, lost))
    return written(first, commands(place, node))


def _on_the_way_to_another_node(direction: Direction) -> str:
    """Separate the pod's own node from the network, where the other capture is of another node."""
    near, far = direction.sender, direction.receiver
    pod, card = (far, near) if near.encapsulated else (near, far)
    ports = np.unique(card.flows.outer_dport[card.flows.outer_dport > 0]).tolist()[:4]
    rule = " or ".join(f"udp port {port}" for port in ports) or "host CARD"
    finds = [f"kubectl get pods -A -o wide --field-selector status.podIP={a}" for a in pod.addresses[:1]]
    return written(
        f"They are lost on the pod's own node or between the nodes: {card.name} is another node. A capture "
        "of the card of the pod's node (NODE, NIC) during the same test separates the two:",
        anywhere(*finds),
        on("NODE", f"tcpdump -i NIC -s 192 -w node.pcap '{rule}'"),
    )
