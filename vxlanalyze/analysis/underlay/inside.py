"""How far packets get inside the receiving node, from an `any` capture and ICMP errors.

Sources: Linux cooked captures (LINKTYPE_LINUX_SLL2) name the interface of each frame; RFC 1812 section
5.2.7.1 (administratively prohibited is sent by a filter).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import Quantity
from vxlanalyze.analysis.requests import refusals
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.underlay import underlay_errors
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import Tunnel

_FEW = 0.1  # of the requests
_NEVER_NS = np.iinfo(np.int64).max
_PROHIBITED = {4: (9, 10, 13), 6: (1, 5)}  # codes of destination unreachable that a filter sends


@dataclass(frozen=True, slots=True)
class Reach:
    """The last place where unanswered packets were seen.

    Parameters
    ----------
    decapsulated : bool or None
        Whether they were seen outside of the tunnel in the node; None where no capture could show it.
    endpoint_spoke : bool
        Whether an endpoint or its node reported that it does not serve them: then they did not vanish.
    rejected : bool
        Whether a firewall after the tunnel reports that it rejects them.
    verdict, words : str
        The same as a clause for the summary ("" where nothing is known), and as sentences.
    """

    decapsulated: bool | None = None
    endpoint_spoke: bool = False
    verdict: str = ""
    words: str = ""
    rejected: bool = False
    evidence: dict[str, Quantity] = field(default_factory=dict)


def reached(pair: Comparison, direction: Direction, responses: Answers) -> Reach:
    """Follow the unanswered requests of a direction into the receiver."""
    far = direction.receiver.name
    if not direction.receiver.encapsulated:
        return Reach(True, verdict="it says nothing", words=f"{far} is the endpoint itself. ")
    rejected, others = _rejections(pair, direction, responses)
    if others:
        return Reach(endpoint_spoke=True)
    if rejected:
        words = (
            f"{far} sends back {count(rejected, 'ICMP error')} 'administratively prohibited' inside the "
            f"tunnel: "
            "it takes the packets out of the tunnel, and then a firewall rule rejects them. "
        )
        evidence = {"rejected_inside": Quantity(rejected, "packets"), "taken_out_of_tunnel": Quantity("yes")}
        return Reach(True, False, "a firewall after decapsulation rejects them", words, True, evidence)
    prohibited = underlay_errors.about(pair, direction, underlay_errors.PROHIBITED)
    before = max((len(e.row) for e in prohibited), default=0)
    if before:
        words = (
            f"{count(before, 'ICMP error')} 'administratively prohibited' quote the outer packets: a "
            f"firewall "
            "rejects the tunnel's port before anything is taken out of it. "
        )
        evidence = {"rejected_outside": Quantity(before, "packets"), "taken_out_of_tunnel": Quantity("no")}
        return Reach(False, False, "a firewall rejects the tunnel's port", words, evidence=evidence)
    return _in_any_capture(pair, direction, responses)


def _rejections(pair: Comparison, direction: Direction, responses: Answers) -> tuple[int, int]:
    """ICMP errors about requests that came out of the tunnel: those of a filter, and the others."""
    wanted = np.zeros(len(direction.sender.flows), np.bool_)
    wanted[responses.flow[responses.request]] = True
    best = (0, 0)
    numbered = tuples.at((direction.sender, direction.receiver))
    requests = numbered.of_flow[0][wanted]
    for point, tuple_of in zip((direction.sender, direction.receiver), numbered.of_flow, strict=True):
        if not point.encapsulated:
            continue
        found = refusals.find(pair, point, tuple_of)
        about = np.isin(found.tuple_of, requests)
        filtered = np.zeros(len(found), np.bool_)
        for family, codes in _PROHIBITED.items():
            filtered |= (found.family == family) & np.isin(found.code, codes)
        best = max(best, (int((about & filtered).sum()), int((about & ~filtered).sum())), key=sum)
    return best


def _in_any_capture(pair: Comparison, direction: Direction, responses: Answers) -> Reach:
    """Look for the same inner packets outside of the tunnel in the receiver's capture."""
    receiver = direction.receiver
    elsewhere = [p for p in pair.points if p.capture == receiver.capture and p is not receiver]
    if not elsewhere:
        return Reach(
            words="Whether the node takes them out of the tunnel cannot be determined from a capture of its "
            "network card. "
        )
    silent = np.flatnonzero(responses.unanswered())
    identities = present(direction.sender.flows.identity[responses.flow[silent]])
    since_ns = int(receiver.index.time_ns[direction.received_row[silent]].min(initial=_NEVER_NS))
    copies = {p.name: _unencapsulated_copies(p, identities, since_ns) for p in elsewhere}
    seen = {name: n for name, n in copies.items() if n > _FEW * len(silent)}  # some died elsewhere
    packets = max(seen.values(), default=0)
    evidence = {
        "taken_out_of_tunnel": Quantity("yes" if seen else "no"),
        "seen_inside": Quantity(packets, "packets"),
        "interfaces_inside": Quantity(", ".join(seen) or None),
    }
    if not seen:
        words = (
            f"The capture of {receiver.name} covers its other interfaces too, and none of them shows these "
            f"packets "
            "outside of the tunnel: they are dropped before they are taken out of it. "
        )
        return Reach(False, False, "they are never taken out of the tunnel", words, evidence=evidence)
    if len(seen) == 1:
        words = (
            f"They are seen outside of the tunnel on {next(iter(seen))} and on no interface after it: "
            "the reverse path filter or a firewall drops them between the two. "
        )
        return Reach(True, False, f"they get no further than {next(iter(seen))}", words, evidence=evidence)
    words = (
        f"They are seen outside of the tunnel on {listed(list(seen))}, so they reach the pods' side of the "
        f"node: "
        "the pods, or what filters for them, are silent. "
    )
    return Reach(True, False, f"they are seen up to {list(seen)[-1]}", words, evidence=evidence)


def _unencapsulated_copies(point: Point, identities: NDArray[np.uint64], since_ns: int) -> int:
    """Count the packets of some flows that a point shows outside of the tunnel since some time."""
    flows, index = point.flows, point.index
    chosen = np.append((flows.tunnel == Tunnel.NONE) & np.isin(flows.identity, identities), False)
    rows = slice(None) if point.rows is None else point.rows
    late = index.time_ns[rows] >= since_ns
    return int((chosen[index.flow[rows]] & late).sum())
