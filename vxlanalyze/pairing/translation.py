"""Join flows of neighbouring observation points that are one despite address or port translation.

Service load balancing (kube-proxy, IPVS, a socket or eBPF load balancer) and masquerading change addresses
and ports inside a node, so that a pod's interface and the node's NIC show one packet as two. What they leave
unchanged forms a second key: IP ID, length, TCP sequence and acknowledgement number, ICMP sequence number,
DNS ID, and the payload. It is used only for flows that the next point does not show under their own
addresses. Translation applies to whole flows, so packets vote and flows are decided (`flow_votes`); a
translated flow then takes the identity and the 5-tuple number of its counterpart on the tunnel's side, and
everything after treats the two as one.

Sources: RFC 3022 section 4 (what NAT changes); Linux net/netfilter/nf_nat_core.c (IP ID, sequence numbers and
payload are kept but for protocol helpers).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import flow_votes, known_translations, translated_errors, tuples
from vxlanalyze.pairing.flow_votes import Site
from vxlanalyze.pairing.numbered import NO_TUPLE, Tuples
from vxlanalyze.pairing.sorting import present
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


def joined(captures: list[Decoded], cluster: Cluster | None = None) -> Translated:
    """Find the translated flows of captures in path order, and give each its counterpart's identity.

    What the files of the `cluster` say about connections and services settles or narrows the choice.
    """
    names = _Names(captures)
    known = None
    found = False
    for near, far in _neighbours(captures):
        if names.is_open(near, far):
            known = known or known_translations.of(cluster or Cluster())
            renamed = flow_votes.counterparts(captures, names, near, far, known)
            _rename(names, near, renamed)
            found |= bool(renamed)
    return _applied(captures, names) if found else Translated(captures, None, _NOTHING)


class _Names:
    """Numbers of 5-tuples across all captures, and their answers, computed on first use."""

    def __init__(self, captures: Sequence[Decoded]) -> None:
        self._captures = captures
        self.identity = np.concatenate([_NOTHING, *(capture.flows.identity for capture in captures)])
        code, self.first = tuples.number_rows(self.identity[:, np.newaxis])
        ends = np.cumsum([len(capture.flows) for capture in captures])[:-1]
        self.of_flow = np.split(code, ends)
        self._translatable = [flow_votes.translatable(capture.flows) for capture in captures]

    @cached_property
    def tuples(self) -> Tuples:
        """The same 5-tuples, as everything after numbers them."""
        return tuples.number([capture.flows for capture in self._captures])

    @cached_property
    def tuple_of(self) -> NDArray[np.int32]:
        """Number in `tuples` of each."""
        return np.concatenate(self.tuples.of_flow)[self.first]

    @cached_property
    def answer(self) -> NDArray[np.int32]:
        """The number of each one's opposite direction, or NO_TUPLE."""
        number = np.full(len(self.tuples) + 1, NO_TUPLE, np.int32)
        number[self.tuple_of] = np.arange(len(self.tuple_of))
        return number[self.tuples.answer[self.tuple_of]]  # NO_TUPLE is the last, which no flow has

    def only(self, site: Site, other: Site) -> NDArray[np.bool_]:
        """Translatable flows of a site that the other does not show."""
        shown = np.zeros(len(self.first), np.bool_)
        shown[self.of_flow[other.capture][other.flows]] = True
        return site.flows & self._translatable[site.capture] & ~shown[self.of_flow[site.capture]]

    def is_open(self, near: Site, far: Site) -> bool:
        """Whether each site shows flows that the other does not."""
        return bool(self.only(near, far).any()) and bool(self.only(far, near).any())


def _neighbours(captures: Sequence[Decoded]) -> Iterator[tuple[Site, Site]]:
    """Give the sites to compare, the one to be renamed first, outwards from the tunnel."""
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


def _rename(names: _Names, near: Site, found: dict[int, int]) -> None:
    """Give the flows of a site the numbers of their counterparts, and likewise their answers' flows."""
    if not found:
        return
    label, answer = names.of_flow[near.capture], names.answer
    new = found.copy()
    for mine, theirs in found.items():
        reply, their_reply = int(answer[mine]), int(answer[theirs])
        if reply == NO_TUPLE or reply in found:
            continue
        if their_reply != NO_TUPLE:
            new[reply] = their_reply
        else:  # no other point shows the answers
            answer[theirs], answer[reply] = reply, theirs
    rows = np.flatnonzero(near.flows & np.isin(label, list(new)))
    label[rows] = [new[number] for number in label[rows].tolist()]


def _applied(captures: list[Decoded], names: _Names) -> Translated:
    """Return the captures with the renamed flows."""
    identity_of, tuple_of = names.identity[names.first], names.tuple_of
    decoded, changed = [], [_NOTHING]
    for capture, label in zip(captures, names.of_flow, strict=True):
        identity = identity_of[label]
        renamed = identity != capture.flows.identity
        changed.append(identity[renamed])
        flows = replace(capture.flows, identity=identity)
        decoded.append(
            translated_errors.without_quotations(replace(capture, flows=flows) if renamed.any() else capture)
        )
    answer = names.tuples.answer.copy()
    answer[tuple_of] = np.append(tuple_of, np.int32(NO_TUPLE))[names.answer]
    of_flow = tuple(tuple_of[label] for label in names.of_flow)
    return Translated(decoded, Tuples(of_flow, answer), present(np.concatenate(changed)))
