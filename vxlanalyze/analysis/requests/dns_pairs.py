"""Queries that leave one socket in pairs, and whether it is the second of a pair that stays unanswered.

The resolver of a C library sends A and AAAA queries from one socket at once. Where the node has no connection
tracking entry for that socket yet, both packets create one, and the second is dropped (`insert_failed`).

Source: kubernetes issues 56903 and 62628, weave issue 3287.
"""

from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.statistics import fisher
from vxlanalyze.text.commands import on, written

_PAIR_NS = 50_000_000  # from one call of the resolver; a retry comes later
CHANCE = 1e-3
_LEAST_INSIDE, _CHANCE_INSIDE = 3, 0.1


class PairFigures(NamedTuple):
    """Queries that were the first and the second of a pair, by whether a transmission got no answer."""

    first_unanswered: int
    first_answered: int
    second_unanswered: int
    second_answered: int

    @property
    def second_dies(self) -> bool:
        """Whether nearly all unanswered ones are the second of a pair, more than random loss explains."""
        unanswered = self.first_unanswered + self.second_unanswered
        most = self.second_unanswered > 9 * self.first_unanswered
        return unanswered > 0 and most and self.chance < CHANCE

    @property
    def second_seems_to_die(self) -> bool:
        """Whether only second ones fail: sufficient where they are known to be dropped inside a node."""
        several = self.second_unanswered >= _LEAST_INSIDE and self.first_unanswered == 0
        return self.second_dies or (several and self.chance < _CHANCE_INSIDE)

    @property
    def chance(self) -> float:
        """Probability that this many of them are the second at random."""
        return fisher.chance(
            self.second_unanswered, self.second_answered, self.first_unanswered, self.first_answered
        )


def figures(requests: Requests) -> PairFigures:
    """Count those of some DNS requests that are half of a pair."""
    times = requests.point.index.time_ns[requests.first_row]
    order = np.lexsort((times, requests.tuple_of))
    tuple_of, sorted_ns = requests.tuple_of[order], times[order]
    close = (tuple_of[1:] == tuple_of[:-1]) & (np.diff(sorted_ns) <= _PAIR_NS)
    second = np.append(False, close)
    # Of three in a row the third begins anew.
    second[1:] &= ~(second[:-1] & np.append(False, close[:-1])[: len(second) - 1])
    first = np.append(second[1:], False) & ~second
    unanswered = (requests.unanswered_transmissions > 0)[order]
    counts = [int(c[half].sum()) for half in (first, second) for c in (unanswered, ~unanswered)]
    return PairFigures(*counts)


def explain(found: PairFigures, types: dict[str, int]) -> str:
    """Explain the figures; `types` are those of the unanswered queries."""
    kind = f" (type {next(iter(types))})" if len(types) == 1 else ""
    seconds = found.second_unanswered + found.second_answered
    firsts = found.first_unanswered + found.first_answered
    other = ""
    if kind and not found.second_answered:
        other = f" A server that never answers type {next(iter(types))} would look the same: query it alone."
    return (
        f"Of the queries that left a socket in pairs, {found.second_unanswered:,} of {seconds:,} second ones"
        f"{kind} got no answer at first, and {found.first_unanswered:,} of {firsts:,} first ones "
        f"(probability under random loss: {found.chance:.2g}). That is how a race in connection tracking "
        f"looks: both "
        f"packets of a new socket make an entry, and the second is dropped.{other}"
    )


def remedy(node: str) -> str:
    """Say how to detect the race on a node, and how to avoid it."""
    return written(
        what_drops(node),
        "Make the resolver use one socket per query, in the pod specification of the clients: "
        "dnsConfig: {options: [{name: single-request-reopen}]}. Or run NodeLocal DNSCache, which queries the "
        "server over TCP and needs no translation.",
    )


def what_drops(node: str) -> str:
    """Say how to check whether connection tracking or something else drops the second of two packets."""
    return written(
        "Check whether connection tracking drops them (insert_failed rises with each drop):",
        on(node, "conntrack -S | grep -o 'insert_failed=[0-9]*'"),
        "If it does not rise, look for another drop on that node (netfilter, socket buffers):",
        on(node, "iptables -L FORWARD -nv", "nstat -az UdpRcvbufErrors UdpNoPorts IpInDiscards"),
    )
