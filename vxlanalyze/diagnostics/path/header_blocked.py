"""All packets with one value of a header field or option are dropped, while others pass.

What it checks
    Do lost and delivered packets differ in a field other than size, protocol, service or source port: ECN or
    DSCP, TTL, don't fragment, VNI, VLAN, a TCP flag, an option of IP, TCP or Geneve? And where packets die
    inside the receiver: do unanswered requests differ from answered ones in this way?
Why it matters
    A filter on an easily overlooked field blocks some connections of every service, as clients and settings
    differ. It looks like random loss, but retrying never helps.
How it decides
    A sample of lost and delivered packets is read again with every field. A value counts if at least five
    lost packets have it and no delivered one. Chance would produce this at most once in ten thousand
    directions, taking the number of values examined into account.
When it cannot tell
    Fewer than five packets were lost, or fewer than five were delivered; a short snap length cut off the
    fields.
What looks like it
    A field that correlates with a size, service or client: then that simpler explanation is named. Packets
    that a client sends only while something else is broken (retransmitted SYNs without options).
What to do
    Find the device that filters by that field; until then, do not set it.
Sources
    systemd issue 9748 (ECN); cilium issue 22955 and PR 23890 (Geneve option of direct server return); RFC
    6040; RFC 7126 (filtering of IPv4 options); RFC 7872 (extension headers in the wild).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, headers, loss
from vxlanalyze.analysis.loss.headers import HeaderRule
from vxlanalyze.analysis.loss.picture import Explanation, LossKind
from vxlanalyze.analysis.requests import answers as requests
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.analysis.underlay import between_captures, underlay
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.diagnostics.path import display_filters
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed

CODE = "header-blocked"


def check(pair: Comparison, *, chance: float = 1e-4) -> list[DiagnosticResult]:
    """Report each direction in which a header field decides; `chance` bounds false alarms."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    found: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        rules = [(e.detail, e) for e in picture.of(LossKind.HEADER) if isinstance(e.detail, HeaderRule)]
        found += [
            _with_rival(_finding(pair, picture.direction, rule, answered=False), picture.direction, e)
            for rule, e in rules
        ]
        if not rules:
            rule = _unanswered(pair, picture.direction, chance)
            found += [_finding(pair, picture.direction, rule, answered=True)] if rule else []
    return found


def _unanswered(pair: Comparison, direction: Direction, chance: float) -> HeaderRule | None:
    """Compare requests that arrived but got no answer with those that were answered."""
    requested = requests.of(direction)
    silent = requested.unanswered()
    served = requested.arrived & ~silent
    # A client without any answer differs from others in its fields, but also has a separate fault.
    silent &= headers.alike(direction, silent, served, headers.SOURCE)
    if not silent.any() or not served.any():
        return None
    return headers.decide(pair, direction, np.flatnonzero(silent), np.flatnonzero(served), chance)


def _with_rival(finding: Finding, direction: Direction, explanation: Explanation) -> Finding:
    """State where a filter by service would look the same."""
    if LossKind.FLOW not in explanation.rivals:
        return finding
    chosen = np.zeros(len(direction), np.bool_)
    chosen[explanation.packets] = True
    names = listed(affected.service_ports(direction, chosen), at_most=4)
    text = (
        f" Only {names} carry it, and nothing of these arrived: one mark explains what a filter for each of "
        "them would. To distinguish the two, send one of them unmarked."
    )
    return replace(finding, explanation=finding.explanation + text)


def _finding(pair: Comparison, direction: Direction, rule: HeaderRule, *, answered: bool) -> Finding:
    chosen = np.zeros(len(direction), np.bool_)
    chosen[rule.chosen] = True
    near, far, what = direction.sender.name, direction.receiver.name, f"{rule.field} {rule.value}"
    shown = exhibits.of_packets(pair, direction, chosen)
    fate = f"arrive at {far} and none is answered" if answered else "are lost"
    others = "answered requests" if answered else "delivered packets"
    also = f" The same packets, and no others, have {listed(rule.also)}." if rule.also else ""
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"All packets from {near} to {far} with {what} {fate} "
        f"({count(int(chosen.sum()), 'packet')}); none of {rule.others:,} {others} has it",
        explanation=f"{affected.packets(affected.protocols(direction, chosen))} of "
        f"{affected.sizes(direction, chosen)} carry {what}. Read again were {rule.sampled:,} that died and "
        f"{rule.others:,} {others}, with every header field.{also} Under random loss, that happens with a "
        f"probability "
        f"of at most {evidence.chance(rule.nats):.0e}.",
        remedy=_remedy(direction, rule, answered, underlay.of(direction, pair.cluster)),
        evidence={
            "field": Quantity(rule.field),
            "value": Quantity(rule.value),
            "packets": Quantity(int(chosen.sum()), "packets"),
            "others_sampled": Quantity(rule.others, "packets"),
            "others_with_it": Quantity(0, "packets"),
            "chance": Quantity(evidence.chance(rule.nats), "ratio"),
        },
        ruled_out=_ruled_out(direction, chosen, answered),
        explained_by=(),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=_filter(direction, rule, shown),
    )


def _filter(direction: Direction, rule: HeaderRule, shown: exhibits.Exhibit) -> str:
    """Restrict the filter to the field; one of the outer header needs no decoded tunnel."""
    condition = display_filters.condition(rule.field, rule.value, direction.sender.flows)
    return shown._replace(decoded=shown.decoded or rule.field.startswith("outer")).only(condition)


def _ruled_out(direction: Direction, chosen: NDArray[np.bool_], answered: bool) -> tuple[RuledOut, ...]:
    if answered:
        return (RuledOut("packet-loss", f"the packets are in the capture of {direction.receiver.name}"),)
    why = "loss at random does not choose by a header field"
    return (*affected.not_by_size(direction, chosen), RuledOut("packet-loss", why))


def _remedy(direction: Direction, rule: HeaderRule, answered: bool, below: Underlay) -> str:
    near, far = direction.sender.name, direction.receiver.name
    if not answered:
        return written(between_captures.filters(near, far, below, rule.field), *_until(near, rule, below))
    programs = ("nft list ruleset", "iptables-save -c", "tc filter show dev NIC ingress")
    return written(
        f"Find what filters or mishandles {rule.field} on {far} (NIC, the device named in the route):",
        on(far, f"ip route get {below.near}", *programs),
        *_until(near, rule, below),
    )


def _until(near: str, rule: HeaderRule, below: Underlay) -> list[str]:
    """Say how to avoid sending it until then."""
    field = rule.field
    if field.endswith("ECN") or field in ("TCP flag ECE", "TCP flag CWR"):
        return _switched_off(near, "net.ipv4.tcp_ecn", undo=2)
    if field == "TCP option time stamps":
        return _switched_off(near, "net.ipv4.tcp_timestamps", undo=1)
    device, kind = below.device, below.link_type or "vxlan"
    shown = [] if device != "DEVICE" else ["The name of the tunnel device (DEVICE):", on(near, below.listing)]
    if field == "outer DSCP":
        return [
            *shown,
            f"Until then, let the tunnel device of {near} not copy it:",
            on(near, f"ip link set {device} type {kind} tos 0"),
            "To undo it:",
            on(near, f"ip link set {device} type {kind} tos inherit"),
        ]
    if field == "outer TTL":
        return [f"The tunnel device of {near} sets it:", on(near, below.listing)]
    if field.startswith("Geneve"):
        return [
            "A device or kernel that does not know the option may drop it: let it pass, or choose a mode of "
            "the network plugin that does not send it (Cilium: loadBalancer.dsrDispatch)."
        ]
    return [f"To see which of the senders set it, look at the frames of this finding in {near}'s capture."]


def _switched_off(near: str, name: str, undo: int) -> list[str]:
    """Disable a TCP setting, and how to undo it; each network namespace has its own value."""
    return [
        f"Until then, set {name} to 0 in the pods that send it (securityContext.sysctls: the node's value "
        f"does not reach them), and on {near} itself for what runs in its own network:",
        on(near, f"sysctl -w {name}=0"),
        "To undo it:",
        on(near, f"sysctl -w {name}={undo}"),
    ]


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
