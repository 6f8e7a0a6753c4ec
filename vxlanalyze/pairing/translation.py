"""Flows of neighbouring observation points that are one, though addresses or ports are translated between.

Service load balancing (kube-proxy, IPVS, a socket or eBPF load balancer) and masquerading change addresses
and ports inside a node, so that a pod's interface and the node's NIC show one packet as two. What they leave
alone is a second key: IP ID, length, TCP sequence and acknowledgement number, ICMP sequence number, DNS ID,
and the payload. It is used only for flows that the next point does not show under their own addresses. Whole
flows are translated, so packets vote and flows are decided (`flow_votes`); a translated flow then takes the
identity and the 5-tuple number of its counterpart on the tunnel's side, and everything after treats the two
as one.

Sources: RFC 3022 section 4 (what NAT changes); Linux net/netfilter/nf_nat_core.c (IP ID, sequence numbers and
payload are kept but for protocol helpers).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import flow_votes, tuples
from vxlanalyze.pairing.flow_votes import Site
from vxlanalyze.pairing.sorting import present
from vxlanalyze.pairing.tuples import NO_TUPLE, Tuples
from vxlanalyze.wire.model import Decoded, Flows, Tunnel

_NOTHING = np.zeros(0, np.uint64)


@dataclass(frozen=True, slots=True)
class Translated:
    """Captures whose translated flows have their counterparts' identities.

    Parameters
    ----------
    decoded : list of Decoded
        The captures, in path order; the same objects where nothing is translated.
    tuples : Tuples or None
        Their 5-tuples, numbered alike across translation; None where nothing is translated.
    identities : NDArray[np.uint64]
        The identities that stand for more than one 5-tuple.
    """

    decoded: list[Decoded]
    tuples: Tuples | None
    identities: NDArray[np.uint64]


def joined(captures: list[Decoded]) -> Translated:
    """Find the translated flows of captures in path order, and give each the identity of its counterpart."""
    candidates = [pair for pair in _neighbours(captures) if _is_open(captures, *pair)]
    if not candidates:
        return Translated(captures, None, _NOTHING)
    numbered = tuples.number([capture.flows for capture in captures])
    labels = [of_flow.copy() for of_flow in numbered.of_flow]
    answer = numbered.answer.copy()
    for near, far in candidates:
        found = flow_votes.counterparts(captures, labels, answer, near, far)
        _rename(labels, answer, near, found)
    return _applied(captures, numbered, labels, answer)


def _neighbours(captures: Sequence[Decoded]) -> Iterator[tuple[Site, Site]]:
    """Give the sites to be compared, the one to be renamed first, outwards from the tunnel."""
    tunnelled = [capture.flows.tunnel != Tunnel.NONE for capture in captures]
    cards = [i for i, flows in enumerate(tunnelled) if flows.any()]
    for before, after in pairwise(cards):
        ends = _between_same_ends(captures[before].flows, captures[after].flows)
        yield Site(after, tunnelled[after] & ends[1]), Site(before, tunnelled[before] & ends[0])
    for i in cards:
        for inside in _inside(captures[i].flows, tunnelled[i]):
            yield Site(i, inside), Site(i, tunnelled[i])
    first = cards[0] if cards else 0
    for i in [*range(first - 1, -1, -1), *range(first + 1, len(captures))]:
        towards = i + 1 if i < first else i - 1
        if i not in cards:
            shown = tunnelled[towards] if towards in cards else ~tunnelled[towards]
            yield Site(i, ~tunnelled[i]), Site(towards, shown)


def _between_same_ends(one: Flows, other: Flows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Flows whose outer source and destination both captures show."""
    ends = [np.concatenate([f.outer_src, f.outer_dst], axis=1).view(np.uint64) for f in (one, other)]
    code, _ = tuples.number_rows(np.concatenate(ends))
    here, there = code[: len(one)], code[len(one) :]
    return np.isin(here, there), np.isin(there, here)


def _inside(flows: Flows, tunnelled: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Flows at each interface that carries no tunnel packets."""
    interface = flows.interface.astype(np.int64) << 32 | flows.if_index
    for number in np.setdiff1d(interface, interface[tunnelled]).tolist():
        yield interface == number


def _is_open(captures: Sequence[Decoded], near: Site, far: Site) -> bool:
    """Whether each site shows flows that the other does not; cheap, for it is nearly always no."""
    here, there = (captures[s.capture].flows for s in (near, far))
    mine = near.flows & flow_votes.translatable(here)
    theirs = far.flows & flow_votes.translatable(there)
    mine &= ~np.isin(here.identity, there.identity[far.flows])
    return bool(mine.any()) and bool((theirs & ~np.isin(there.identity, here.identity[near.flows])).any())


def _rename(
    labels: list[NDArray[np.int32]],
    answer: NDArray[np.int32],
    near: Site,
    found: dict[int, int],
) -> None:
    """Give the flows of a site the labels of their counterparts, and likewise their answers' flows."""
    label = labels[near.capture]
    names = found.copy()
    for mine, theirs in found.items():
        reply, their_reply = int(answer[mine]), int(answer[theirs])
        if reply == NO_TUPLE or reply in found:
            continue
        if their_reply != NO_TUPLE:
            names[reply] = their_reply
        else:  # no other point shows the answers
            answer[theirs], answer[reply] = reply, theirs
    rows = np.flatnonzero(near.flows & np.isin(label, list(names)))
    label[rows] = [names[number] for number in label[rows].tolist()]


def _applied(
    captures: list[Decoded], numbered: Tuples, labels: list[NDArray[np.int32]], answer: NDArray[np.int32]
) -> Translated:
    """Hand on what was renamed."""
    identity = np.zeros(len(numbered), np.uint64)
    for capture, of_flow in zip(captures, numbered.of_flow, strict=True):
        identity[of_flow] = capture.flows.identity
    decoded, changed = [], [_NOTHING]
    for capture, before, after in zip(captures, numbered.of_flow, labels, strict=True):
        renamed = before != after
        if renamed.any():
            flows = replace(
                capture.flows, identity=np.where(renamed, identity[after], capture.flows.identity)
            )
            changed.append(flows.identity[renamed])
            capture = replace(capture, flows=flows)
        decoded.append(capture)
    identities = present(np.concatenate(changed))
    if not len(identities):
        return Translated(captures, numbered, _NOTHING)
    return Translated(decoded, Tuples(tuple(labels), answer), identities)
