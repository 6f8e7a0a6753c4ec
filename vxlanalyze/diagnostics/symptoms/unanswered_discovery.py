"""Broadcast requests that nobody answers, ARP and DHCP: cases of `endpoint-silent`.

Sources: RFC 826 (a host answers a request for its own address); RFC 2131 section 4.1 (a client sends its
DISCOVER again after 4, 8, 16 s until a server offers an address).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import answers
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW, Flows, Tunnel
from vxlanalyze.wire.protocols import UDP

CODE = "endpoint-silent"
_REQUEST, _REPLY = 1, 2  # operations of ARP
_SERVER_PORT = 67
_LEAST_ARP, _LEAST_DHCP = 5, 4  # requests of one asker
_LEAST_NS = 3_000_000_000


class _Unanswered(NamedTuple):
    """Requests of a direction, shape ``(m,)``, their flows, and the number of those who sent them."""

    direction: Direction
    packets: NDArray[np.bool_]
    flows: NDArray[np.int32]
    askers: int


def find(pair: Comparison) -> list[Finding]:
    """Report addresses of a node that answer no ARP request of some askers, and DHCP that nobody answers."""
    found: list[Finding] = []
    for direction in pair.directions:
        if direction.sender.encapsulated and direction.receiver.encapsulated and direction.assessed:
            found += [_of_arp(pair, each) for each in _arp(pair, direction)]
            found += [_of_dhcp(pair, each) for each in _dhcp(direction)]
    return found


def _arp(pair: Comparison, direction: Direction) -> Iterator[_Unanswered]:
    flows = direction.sender.flows
    asks = _in_tunnel(flows) & (flows.family == 0) & (flows.sport == _REQUEST) & flows.src[:, :4].any(axis=1)
    asks &= (flows.src != flows.dst).any(axis=1)
    if not (asks & direction.sender.decoded.usage.used).any():
        return
    back = answers.opposite(pair, direction)
    own = np.unique(back.flow[back.flow != NO_FLOW])
    lives = back.sender.flows
    talking = own[lives.family[own] == 4]
    asks &= np.isin(_words(flows.dst)[:, 0], _words(lives.src[talking])[:, 0])
    known = [_heard(point.flows) for point in (direction.sender, direction.receiver)]
    asks &= ~np.isin(_both(flows.dst, flows.src), np.concatenate(known))
    yield from _repeated(direction, asks, _LEAST_ARP)


def _heard(flows: Flows) -> NDArray[np.uint64]:
    """Pairs of addresses of which the second hears from the first: by an ARP reply, or anything else."""
    heard = _in_tunnel(flows) & ((flows.family == 4) | (flows.family == 0) & (flows.sport == _REPLY))
    return _both(flows.src[heard], flows.dst[heard])


def _dhcp(direction: Direction) -> Iterator[_Unanswered]:
    for point in (direction.sender, direction.receiver):
        flows = point.flows
        if ((flows.protocol == UDP) & (flows.sport == _SERVER_PORT) & point.decoded.usage.used).any():
            return
    flows = direction.sender.flows
    asks = _in_tunnel(flows) & (flows.family == 4) & (flows.protocol == UDP) & (flows.dport == _SERVER_PORT)
    yield from _repeated(direction, asks & (flows.dst[:, :4] == 0xFF).all(axis=1), _LEAST_DHCP)


def _repeated(direction: Direction, asks: NDArray[np.bool_], least: int) -> Iterator[_Unanswered]:
    """Keep askers that send the same request again and again, all of which arrive."""
    known = direction.flow != NO_FLOW
    packets = known & direction.delivered
    packets[packets] = asks[direction.flow[packets]]
    flows, flow = direction.sender.flows, direction.flow[packets]
    keys = np.stack([_both(flows.src, flows.dst), flows.inner_src_mac], axis=1)[flow]
    askers, of = np.unique(keys, axis=0, return_inverse=True)
    of = of.reshape(-1)
    times = direction.sent_ns(packets)
    first, last = np.full(len(askers), np.iinfo(np.int64).max), np.zeros(len(askers), np.int64)
    np.minimum.at(first, of, times)
    np.maximum.at(last, of, times)
    kept = (np.bincount(of, minlength=len(askers)) >= least) & (last - first >= _LEAST_NS)
    if kept.any():
        packets[packets] = kept[of]
        yield _Unanswered(direction, packets, np.unique(direction.flow[packets]), int(kept.sum()))


def _of_arp(pair: Comparison, found: _Unanswered) -> Finding:
    direction, flows = found.direction, found.direction.sender.flows
    far = direction.receiver.name
    askers, wanted = (
        sorted(set(text(side[found.flows], flows.family[found.flows]))) for side in (flows.src, flows.dst)
    )
    names = listed([pair.cluster.named(a) for a in wanted], 3)
    return _finding(
        (pair, found),
        f"{names} answered none of {count(int(found.packets.sum()), 'ARP request')} from "
        f"{listed([pair.cluster.named(a) for a in askers], 3)} that reached {far}, though "
        f"{'it sends' if len(wanted) == 1 else 'they send'} to others from there",
        f"The requests arrive, and neither an ARP reply nor anything else goes back to "
        f"{'the sender' if len(askers) == 1 else 'these senders'}. Others know the MAC already, and notice "
        "nothing.",
        written(
            "See whether the requests come out of the tunnel device and reach the interface of "
            f"{names}, and whether a reply comes back to it:",
            on(far, f"tcpdump -nei any 'arp and host {wanted[0]}'"),
            "Then what filters broadcasts or ARP there: suppression and flooding of the bridge ports, rules:",
            on(far, "bridge -d link show", "nft list ruleset bridge", "ebtables -L --Lc"),
        ),
        {"askers": Quantity(", ".join(askers)), "addresses": Quantity(", ".join(wanted))},
    )


def _of_dhcp(pair: Comparison, found: _Unanswered) -> Finding:
    far = found.direction.receiver.name
    return _finding(
        (pair, found),
        f"None of {count(int(found.packets.sum()), 'DHCP request')} of {count(found.askers, 'client')} "
        f"that reached {far} was answered: neither capture shows a DHCP server",
        "The clients send their broadcasts again and again, and nothing comes from UDP port 67, to them or "
        "to anybody else.",
        written(
            f"If the server is on {far}, see whether the requests come out of the tunnel device and reach "
            "it, and whether it answers:",
            on(far, "tcpdump -nei any 'udp port 67 or udp port 68'"),
            "Then what filters there: rules for UDP 67 and 68, and anti-spoofing, since the clients have no "
            "address yet (0.0.0.0):",
            on(far, "nft list ruleset", "iptables -L FORWARD -nv", "bridge -d link show"),
        ),
        {"clients": Quantity(found.askers, "clients")},
    )


def _finding(
    of: tuple[Comparison, _Unanswered],
    summary: str,
    explanation: str,
    remedy: str,
    evidence: dict[str, Quantity],
) -> Finding:
    pair, found = of
    direction = found.direction
    rows = direction.received_row[found.packets]
    shown = exhibits.of_rows(pair, [(direction.receiver, rows)])
    requests = int(found.packets.sum())
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=summary,
        explanation=explanation,
        remedy=remedy,
        evidence={"requests": Quantity(requests, "requests"), **evidence},
        ruled_out=(
            RuledOut(
                "packet-loss", f"all {count(requests, 'request')} are in {direction.receiver.name}'s capture"
            ),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _in_tunnel(flows: Flows) -> NDArray[np.bool_]:
    tunnelled: NDArray[np.bool_] = flows.tunnel != Tunnel.NONE
    return tunnelled


def _words(addresses: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """IPv4 addresses as numbers, in the first column."""
    return np.ascontiguousarray(addresses).view(np.uint32)


def _both(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """One number for each pair of IPv4 addresses."""
    a, b = _words(first)[:, 0].astype(np.uint64), _words(second)[:, 0].astype(np.uint64)
    both: NDArray[np.uint64] = a << np.uint64(32) | b
    return both
