"""Wording for packets lost inside a node, by finding code, and where to look."""

from collections.abc import Sequence

import numpy as np

from vxlanalyze.analysis.finding import Quantity
from vxlanalyze.analysis.loss import affected, loss
from vxlanalyze.analysis.loss.inside_node import LostInside
from vxlanalyze.analysis.loss.picture import Explanation, LossKind
from vxlanalyze.analysis.loss.rate import RateLimit
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed, moment, span

_MOST_NAMED = 4
KINDS = {
    "path-blocked": LossKind.PATH,
    "protocol-blocked": LossKind.PROTOCOL,
    "flow-blocked": LossKind.FLOW,
    "burst-outage": LossKind.INTERRUPTION,
    "mtu-blackhole": LossKind.SIZE,
    "rate-limited": LossKind.RATE,
}
"""What of it has a code of its own; the rest is packet-loss."""


def explanations(inside: LostInside, code: str) -> tuple[Explanation, ...]:
    """Explanations of a code; a path is blocked from some moment on, since some packets passed."""
    found = inside.picture.of(KINDS[code])
    return tuple(e for e in found if e.kind is not LossKind.PATH or e.from_ns is not None)


def summary(pair: Comparison, inside: LostInside, code: str) -> str:
    """State what is lost inside a node, and between which interfaces."""
    made = {
        "path-blocked": _from_a_moment_on,
        "burst-outage": _for_a_time,
        "mtu-blackhole": _above_a_size,
        "rate-limited": _above_a_rate,
    }.get(code)
    return made(pair, inside, explanations(inside, code)) if made else _of_a_kind(pair, inside, code)


def towards(inside: LostInside) -> str:
    """State the direction of the packets."""
    return "from the tunnel to its pods" if inside.inwards else "from its pods into the tunnel"


def _node(pair: Comparison, inside: LostInside) -> str:
    return pair.captures[inside.picture.direction.sender.capture].name


def _gone(inside: LostInside) -> int:
    return int(np.count_nonzero(inside.packets))


def _delivered(inside: LostInside) -> int:
    return int(np.count_nonzero(inside.picture.direction.delivered))


def _between(inside: LostInside) -> str:
    return f"seen at {inside.last} and not at {inside.picture.direction.receiver.name}"


def _of_a_kind(pair: Comparison, inside: LostInside, code: str) -> str:
    found, delivered = explanations(inside, code), _delivered(inside)
    names = sorted({name for e in found for name in _names(pair, inside, e)})
    which = f"{loss.since(found)}{listed(names, at_most=_MOST_NAMED)}"
    return (
        f"{which[:1].upper()}{which[1:]}: all {count(_gone(inside), 'packet')} {towards(inside)} are lost "
        f"inside {_node(pair, inside)}, {_between(inside)}, while "
        f"{count(delivered, 'other packet')} {'reaches' if delivered == 1 else 'reach'} it"
    )


def _names(pair: Comparison, inside: LostInside, explanation: Explanation) -> list[str]:
    if inside.picture.lost is None:
        return []
    return affected.members(inside.picture.direction, inside.picture.lost, explanation.rule, pair.cluster)


def _from_a_moment_on(pair: Comparison, inside: LostInside, found: Sequence[Explanation]) -> str:
    begin = min(e.from_ns for e in found if e.from_ns is not None)
    return (
        f"From {moment(begin)} to the end, none of {count(_gone(inside), 'packet')} {towards(inside)} passes "
        f"{_node(pair, inside)}: {_between(inside)}, where {_delivered(inside):,} arrived before"
    )


def _for_a_time(pair: Comparison, inside: LostInside, found: Sequence[Explanation]) -> str:
    times = [inside.picture.direction.sent_ns(e.packets) for e in found]
    lasted_ns = sum(int(t.max() - t.min()) for t in times)
    first, last = min(int(t.min()) for t in times), max(int(t.max()) for t in times)
    how_often = f"{len(found)} times nothing" if len(found) > 1 else "Nothing"
    return (
        f"{how_often} {towards(inside)} passes {_node(pair, inside)} between {moment(first)} and "
        f"{moment(last)} ({span(lasted_ns)} in all): {count(_gone(inside), 'packet')} {_between(inside)}"
    )


def _above_a_size(pair: Comparison, inside: LostInside, found: Sequence[Explanation]) -> str:
    direction = inside.picture.direction
    smallest = int(direction.length[inside.packets].min())
    passed = direction.length[direction.delivered & (direction.length < smallest)]
    largest = f", while {int(passed.max()):,} bytes reach it" if len(passed) else ""
    since = loss.since(found)
    return (
        f"{since}{'all' if since else 'All'} {count(_gone(inside), 'packet')} {towards(inside)} of "
        f"{smallest:,} bytes or more (inner IP packet) are lost inside {_node(pair, inside)}: "
        f"{_between(inside)}{largest}"
    )


def _above_a_rate(pair: Comparison, inside: LostInside, found: Sequence[Explanation]) -> str:
    limit = next(e.detail for e in found if isinstance(e.detail, RateLimit))
    return (
        f"{_gone(inside):,} of {count(limit.same_kind, 'packet')} {towards(inside)} are lost inside "
        f"{_node(pair, inside)} within bursts: loss sets in after about {limit.burst:,} packets within "
        f"{span(limit.window_ns)}, and slower packets of the same flows all pass; {_between(inside)}"
    )


def figures(inside: LostInside, code: str) -> dict[str, Quantity]:
    """Figures of the summary of a code that others have not."""
    limits = [e.detail for e in inside.picture.explanations if isinstance(e.detail, RateLimit)]
    if code != "rate-limited" or not limits:
        return {}
    return {
        "sent_in_these_flows": Quantity(limits[0].same_kind, "packets"),
        "burst": Quantity(limits[0].burst, "packets"),
        "window": Quantity(limits[0].window_ns, "ns"),
    }


def where_to_look(code: str, node: str, first_ns: int) -> str:
    """State what to check for a code before the node's counters; "" if only these.

    `first_ns` is the send time of the first packet, by the node's clock.
    """
    if code in ("path-blocked", "burst-outage"):
        since = f"{moment(first_ns)[:19].replace('T', ' ')} UTC"
        return written(
            f"Find what changed on {node} at that moment (a policy or rule that was loaded, the network "
            "plugin's agent, a device that went down):",
            on(node, f"journalctl --utc --since '{since}'", "ip -br link"),
            anywhere("kubectl get events -A --sort-by=.lastTimestamp"),
        )
    if code == "mtu-blackhole":
        return written(
            "Compare the MTUs of the devices on the path, and look for rules that match a length; a pod's "
            "MTU must not be larger than that of any device that its packets pass:",
            on(node, "ip -d link | grep -E 'mtu|vxlan|geneve'", "iptables-save | grep -wE 'length|TCPMSS'"),
        )
    if code == "rate-limited":
        return written(
            "Look for a limit on the node: bandwidth annotations of pods, policers, rules that limit a rate:",
            anywhere("kubectl get pods -A -o yaml | grep -E '(in|e)gress-bandwidth'"),
            on(node, "iptables-save -c | grep -wE 'limit|hashlimit'", "nft list ruleset | grep -w limit"),
            on(node, "cat /proc/net/softnet_stat"),
        )
    return ""
