"""A reset or an answer arrives that its alleged sender never sent.

What it checks
    Which resets, SYN ACKs, DNS responses and ICMP errors arrive at X in the name of a pod on Y, while Y's own
    capture, which covers the time, shows that Y never sent them?
Why it matters
    A device between the nodes answers in the far pod's name. The client's log says "connection refused" or
    "connection reset by peer", and everybody investigates a pod that never received the request.
How it decides
    From the far node's capture: it holds other packets of this direction and time, but not these. The share
    of the other packets that it lacks (at least the drops that it states, and never zero) bounds the
    probability that it merely missed as many packets of this sort. If the requests that they answer are
    missing there as well, that is further evidence. It is reported if the probability is below `chance`.
When it cannot tell
    The far capture holds nothing of the direction, does not cover the time, or lacks so many packets that
    these may be among them. Conversations that it does not show at all (a filter, another card) are ignored.
What looks like it
    A pod that refuses (`endpoint-refused`): then its node's capture holds the refusal. A capture that lost
    packets (`capture-loss`): it also lacks data packets. A reject rule on X itself: its reset never crosses
    X's network card.
What to do
    Find the device between the nodes that looks into the tunnel: a firewall with "reject", an intrusion
    prevention system, a load balancer, the hypervisor's distributed firewall.
Sources
    RFC 9293 section 3.10.7 (who sends resets); RFC 5358 and RFC 5452 section 4 (forged DNS responses);
    RFC 3360 (resets sent by firewalls).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import dns_names, forged
from vxlanalyze.analysis.requests.forged import Forged, Sort
from vxlanalyze.analysis.requests.taken_requests import taken
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.protocols import TCP, UDP
from vxlanalyze.wire.rows import columns

CODE = "foreign-reset"
_MOST_READ = 200
_MOST_NAMED = 3
_NOUNS = {
    Sort.RESET: ("reset", "resets"),
    Sort.SYN_ACK: ("SYN ACK", "SYN ACKs"),
    Sort.DNS: ("DNS response", "DNS responses"),
    Sort.ICMP_ERROR: ("ICMP error", "ICMP errors"),
}


def check(pair: Comparison, *, chance: float = forged.CHANCE) -> list[DiagnosticResult]:
    """Look for answers and refusals in each direction that their alleged sender did not send.

    `chance` is the false alarm probability accepted for a direction.
    """
    found = (_direction(pair, direction, chance) for direction in pair.directions)
    return [answer for answer in found if answer is not None]


def _direction(pair: Comparison, direction: Direction, chance: float) -> DiagnosticResult | None:
    suspect = forged.of(pair, direction)
    if not len(suspect):
        return None
    if suspect.chance < chance:
        return _finding(pair, direction, suspect)
    near = direction.sender.name
    if not suspect.matched:
        why = f"{near}'s capture holds no packet of this direction"
    else:
        why = (
            f"{near}'s capture lacks {_counted(suspect)} that arrived, but also {suspect.missing:,} other "
            f"packets of {suspect.missing + suspect.matched:,}{_dropped(suspect)}: it may have lost them"
        )
    return NotAssessed(CODE, why, direction.label)


def _dropped(found: Forged) -> str:
    return f", and states {count(found.dropped, 'dropped packet')}" if found.dropped else ""


def _counted(found: Forged) -> str:
    return listed([count(n, *_NOUNS[sort]) for sort, n in forged.sorts(found)])


def _finding(pair: Comparison, direction: Direction, found: Forged) -> Finding:
    near, far = direction.receiver.name, direction.sender.name
    whom = listed(_alleged(pair, direction, found.row), at_most=_MOST_NAMED)
    wanted = dns_names.names(pair, direction.receiver, found.at(Sort.DNS))
    hops = _hop_limits(pair, direction, found.row)
    shown = exhibits.of_rows(pair, [(direction.receiver, found.row)])
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{_counted(found)} that claim to come from {whom} reached {near}, and {far} never sent "
        f"{'them' if len(found) > 1 else 'it'}: a device between the nodes answers in the pod's name",
        explanation=f"The capture of {far} holds {found.matched:,} other packets of this direction and lacks "
        f"{found.missing:,}{_dropped(found)}, so the probability that it missed this many of this "
        f"kind is at most {found.chance:.2g}.{_requests(found, far, len(taken(pair, direction)))}"
        f"{_wanted(wanted)}{_limits(hops, far)}",
        remedy=written(*_remedy(pair, direction)),
        evidence={
            "forged": Quantity(len(found), "packets"),
            **{sort.name.lower(): Quantity(n, "packets") for sort, n in forged.sorts(found)},
            "conversations": Quantity(found.requests, "conversations"),
            "requests_not_arrived": Quantity(found.requests_missing, "conversations"),
            "otherwise_missing": Quantity(found.missing, "packets"),
            "seen_at_both": Quantity(found.matched, "packets"),
            **{f"name_{i}": Quantity(name, "name") for i, name in enumerate(wanted[:_MOST_NAMED], 1)},
            "chance": Quantity(found.chance, "probability"),
            **({"ttl_forged": Quantity(hops[0]), "ttl_of_the_pod": Quantity(hops[1])} if hops else {}),
        },
        ruled_out=(
            RuledOut("endpoint-refused", f"no refusal left {far}: its capture would hold it"),
            RuledOut(
                "capture-loss",
                f"{far}'s capture lacks {found.missing:,} of {found.missing + found.matched:,} other packets",
            ),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _alleged(pair: Comparison, direction: Direction, rows: NDArray[np.int32]) -> list[str]:
    """Name the endpoints in whose name the packets come, the most frequent first."""
    flows = direction.receiver.flows
    flow, times = np.unique(direction.receiver.index.flow[rows], return_counts=True)
    named: dict[str, int] = {}
    sources = text(flows.src[flow], flows.family[flow])
    ported = np.isin(flows.protocol[flow], (TCP, UDP))
    ports = np.where(ported, flows.sport[flow], 0)
    for source, port, n in zip(sources, ports.tolist(), times.tolist(), strict=True):
        pod = pair.cluster.name_of(source)
        name = (endpoint_text(source, port) if port else source) + (f" ({pod})" if pod else "")
        named[name] = named.get(name, 0) + n
    return sorted(named, key=lambda name: (-named[name], name))


def _requests(found: Forged, far: str, taken_: int) -> str:
    if not found.requests:
        return ""
    if taken_ and taken_ >= len(found):
        return f" The packets that they answer never reached {far}: the device takes them and answers itself."
    what = count(found.requests, "conversation")
    if found.requests_missing == found.requests:
        none = "It answers" if len(found) == 1 else "They answer"
        return f" {none} {what} of which nothing reached {far} either."
    if found.requests_missing:
        return f" Of the {what} that they answer, nothing of {found.requests_missing:,} reached {far}."
    return f" What they answer ({what}) did reach {far}: the device reads along and puts its own in."


def _wanted(names: Sequence[str]) -> str:
    return f" The DNS responses are for {listed(names, at_most=_MOST_NAMED)}." if names else ""


def _hop_limits(pair: Comparison, direction: Direction, rows: NDArray[np.int32]) -> tuple[str, str] | None:
    """TTLs of the forged packets, and of genuine ones of the direction, on arrival."""
    genuine = direction.received_row[direction.delivered]
    sources = [_ttls(pair, direction, some[:_MOST_READ]) for some in (rows, genuine)]
    if not all(len(s) for s in sources):
        return None
    forged_ttls, own = (sorted(set(s.tolist())) for s in sources)
    return listed(forged_ttls), listed(own)


def _ttls(pair: Comparison, direction: Direction, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    source = pair.captures[direction.receiver.capture].source
    point = direction.receiver
    found = columns(source.fetch(point.index.place[rows]), source.interfaces, ports=pair.ports)
    ttl: NDArray[np.int64] = found["ttl"] if point.encapsulated else found["outer_ttl"]
    return ttl[ttl >= 0]


def _limits(hops: tuple[str, str] | None, far: str) -> str:
    if hops is None or set(hops[0].split(", ")) & set(hops[1].split(", ")):
        return ""
    return f" Their TTL is {hops[0]}; genuine packets from {far} arrive with {hops[1]}."


def _remedy(pair: Comparison, direction: Direction) -> Iterator[str]:
    near, far = direction.receiver.name, direction.sender.name
    below = underlay.of(direction, pair.cluster)
    yield (
        f"Neither node's pods are at fault. Find the device between {near} and {far} that reads the inner "
        "packets (firewall that rejects, intrusion prevention, load balancer, a hypervisor's distributed "
        "firewall) and exempt the tunnel from it; encrypting the tunnel (WireGuard, IPsec) hides the inner "
        "packets from it."
    )
    if below.capture_rule:
        yield "See which source MAC and outer TTL the forged packets carry:"
        yield on(near, f"tcpdump -nne -v -i any '{below.capture_rule}'")


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
