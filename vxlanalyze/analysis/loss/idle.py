"""Loss of flows that had been silent for long: something on the path has forgotten them.

A path that dies takes flows in the middle of a conversation. A firewall or load balancer that forgets idle
connections takes those that were silent, from their next packet on.

Sources: moby issue 31208 (IPVS, 900 s); RFC 5382 section 5 (NAT session time-outs).
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.peculiarity import Peculiarity
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.analysis.loss.turns import Turn
from vxlanalyze.pairing.model import Direction
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, span

_LONG_NS = 10_000_000_000
_LEAST = 3  # flows


class Idle(NamedTuple):
    """Flows that were lost after a silence of at least `silent_ns`."""

    flows: int
    silent_ns: int


def without_paths(picture: Picture) -> Picture | None:
    """Leave whole flows unexplained if all of them had been silent; None if that changes nothing."""
    paths = [e for e in picture.of(LossKind.ECMP) if not isinstance(e.detail, Turn)]
    packets = np.concatenate([np.empty(0, np.intp), *(e.packets for e in paths)]).astype(np.intp)
    if not len(packets) or found(picture.direction, packets) is None:
        return None
    kept = tuple(e for e in picture.explanations if e not in paths)
    return replace(picture, explanations=kept, unexplained=np.union1d(picture.unexplained, packets))


def found(direction: Direction, packets: NDArray[np.integer]) -> Idle | None:
    """Find out whether lost packets are all of flows that had delivered, and then been silent for long.

    Flows that were silent as long and go on deny it.
    """
    flow, lost = direction.flow[packets], np.unique(direction.flow[packets])
    if len(lost) < _LEAST:
        return None
    sent_ns = direction.sent_ns(np.arange(len(direction)))
    first = np.full(len(direction.sender.flows), np.iinfo(np.int64).max)
    np.minimum.at(first, flow, sent_ns[packets])
    arrived = np.flatnonzero(direction.delivered)
    before = arrived[sent_ns[arrived] < first[direction.flow[arrived]]]
    last = np.full(len(first), np.iinfo(np.int64).min)
    np.maximum.at(last, direction.flow[before], sent_ns[before])
    after = arrived[sent_ns[arrived] > first[direction.flow[arrived]]]
    if np.isin(direction.flow[after], lost).any() or (last[lost] < 0).any():
        return None
    silent_ns = int((first[lost] - last[lost]).min())
    if silent_ns < _LONG_NS or _others_pause(direction, arrived, lost, sent_ns, silent_ns):
        return None
    return Idle(len(lost), silent_ns)


def _others_pause(
    direction: Direction,
    arrived: NDArray[np.integer],
    lost: NDArray[np.integer],
    sent_ns: NDArray[np.integer],
    silent_ns: int,
) -> bool:
    """Whether any other flow delivers after a silence as long."""
    others = arrived[~np.isin(direction.flow[arrived], lost)]
    order = others[np.lexsort((sent_ns[others], direction.flow[others]))]
    same = direction.flow[order[1:]] == direction.flow[order[:-1]]
    return bool((same & (np.diff(sent_ns[order]) >= silent_ns)).any())


def of(picture: Picture) -> Peculiarity | None:
    """Describe it where all unexplained losses are of such flows."""
    idle = found(picture.direction, picture.unexplained)
    if idle is None:
        return None
    near, far = picture.direction.sender.name, picture.direction.receiver.name
    return Peculiarity(
        which=f"{count(idle.flows, 'flow')} that had been silent for {span(idle.silent_ns)} or more",
        text=f"All of them are of {count(idle.flows, 'flow')} that worked, were silent for at least "
        f"{span(idle.silent_ns)}, and lose every packet since; no flow without such a silence loses any. ",
        remedy=written(
            "A device on the path (firewall, NAT, load balancer) forgets connections that are idle: raise "
            "its time-out, or let the ends send TCP keepalives more often than that. What the nodes "
            "themselves keep:",
            on(near, "sysctl net.netfilter.nf_conntrack_tcp_timeout_established"),
            on(far, "sysctl net.netfilter.nf_conntrack_tcp_timeout_established"),
            "In the clients' pods, if their sockets have keepalives at all (SO_KEEPALIVE):",
            anywhere("sysctl net.ipv4.tcp_keepalive_time net.ipv4.tcp_keepalive_intvl"),
        ),
        cause="a device on the path forgets idle connections",
    )
