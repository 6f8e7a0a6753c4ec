"""The finding about packets that are lost inside a node: its words, and where to look on that node."""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected
from vxlanalyze.analysis.loss.inside_node import LostInside
from vxlanalyze.analysis.loss.loss import Explanation
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed

_CONNTRACK = "conntrack -S | grep -oE '(insert_failed|drop|early_drop)=[0-9]+' | sort | uniq -c"
_COUNTERS = (
    _CONNTRACK,
    "iptables-save -c | grep -E -- '-j (DROP|REJECT)'",
    "nft list ruleset | grep -E 'counter.*(drop|reject)'",
    "tc -s qdisc show",
    "nstat -az | grep -E 'Drop|RcvbufErrors|RPFilter|InAddrErrors'",
    "ip -s link",
)
_TWICE = "Take each of these twice, before and after a test:"


def finding(pair: Comparison, inside: LostInside, code: str) -> Finding:
    """Report what is lost between two interfaces of a node."""
    direction = inside.picture.direction
    node = pair.captures[direction.sender.capture].name
    gone, delivered = int(np.count_nonzero(inside.packets)), int(np.count_nonzero(direction.delivered))
    judged = gone + delivered
    ordered = inside.packets[inside.packets | direction.delivered]
    runs = int(ordered[0]) + int(np.count_nonzero(ordered[1:] & ~ordered[:-1]))
    low, high = evidence.loss_interval(gone, judged, runs)
    shown = exhibits.of_packets(pair, direction, inside.packets)
    whither = "from the tunnel to its pods" if inside.inwards else "from its pods into the tunnel"
    return Finding(
        code=code,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=f"{gone:,} of {count(judged, 'packet')} {whither} {'is' if gone == 1 else 'are'} lost "
        f"inside {node} "
        f"({100 * gone / judged:.3g} %, between {100 * low:.3g} % and {100 * high:.3g} %): seen at "
        f"{inside.last} and "
        f"not at {direction.receiver.name}" + _only(inside),
        explanation=f"{affected.packets(affected.protocols(direction, inside.packets))} of "
        f"{affected.sizes(direction, inside.packets)} reach {inside.last} and do not reach "
        f"{direction.receiver.name}, by the one capture of {node}, which shows both: nothing between the "
        f"nodes "
        f"loses them. {_what_decides(pair, inside)}",
        remedy=_remedy(node, inside),
        evidence={
            "lost": Quantity(gone, "packets"),
            "judged": Quantity(judged, "packets"),
            "loss_ratio": Quantity(gone / judged, "ratio"),
            "loss_ratio_low": Quantity(low, "ratio"),
            "loss_ratio_high": Quantity(high, "ratio"),
            "runs": Quantity(runs, "runs"),
            "inside": Quantity(node),
            "last_seen": Quantity(inside.last),
            "second_packets": Quantity(inside.seconds, "packets"),
        },
        ruled_out=(RuledOut("path-blocked", f"all of them arrived at {node}"),) if inside.inwards else (),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _only(inside: LostInside) -> str:
    return ": only second packets of new conversations" if inside.only_seconds else ""


def _what_decides(pair: Comparison, inside: LostInside) -> str:
    """Name what the losses follow, where that is beyond chance."""
    if inside.only_seconds:
        return (
            "Each of them is the second packet of a new 5-tuple, sent right after the first (as a "
            "resolver sends A "
            "and AAAA from one socket): both make a conntrack entry at once, and one insertion fails. "
        )
    picture = inside.picture
    named = [n for e in picture.explanations for n in _names(pair, inside, e)]
    return f"All packets of {listed(named)} are among them. " if named else ""


def _names(pair: Comparison, inside: LostInside, explanation: Explanation) -> list[str]:
    if inside.picture.lost is None:
        return []
    return affected.members(inside.picture.direction, inside.picture.lost, explanation.rule, pair.cluster)


def _remedy(node: str, inside: LostInside) -> str:
    names = (inside.last, inside.picture.direction.receiver.name)
    numbers = [name.rpartition("/if")[2] for name in names if "/if" in name]
    devices = ""
    if numbers and all(number.isdigit() for number in numbers):
        devices = on(node, f"ip -o link | grep -E '^({'|'.join(dict.fromkeys(numbers))}):'")
    where = f"Look on {node}, not at the network between the nodes."
    first = (f"{where} The names of these interfaces:", devices) if devices else (where,)
    if not inside.only_seconds:
        return written(*first, _everywhere(node))
    return written(
        *first,
        _TWICE,
        on(node, _CONNTRACK),
        "insert_failed that rises by the number of missing packets confirms it. Until the kernel is newer, "
        "let resolvers use a socket for each query: options: [{name: single-request-reopen}] under "
        "dnsConfig of the pod. NodeLocal DNSCache, which asks over TCP and without conntrack, avoids the "
        "race altogether.",
    )


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
