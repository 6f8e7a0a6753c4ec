"""Neighbour requests look the same every time they are sent, so a single one cannot fix a clock.

An ARP request (RFC 826) or a neighbour solicitation (RFC 4861) has no number of its own. Where each of two
captures holds one, they need not be the same packet, unlike all other packets that are paired.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import CaptureFacts
from vxlanalyze.pairing.sightings import MAX_DRIFT_PPM, Sightings
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.protocols import ICMPV6

_NEIGHBOUR_DISCOVERY = (133, 137)  # first and last type
_APART_NS = 1_000_000_000  # requests repeated within a second come from the same timer
_AGREEING_NS = 5_000_000  # a path's delay; restarted timers are rarely this regular
NEAR_NS = 1_000_000_000  # more than any path's delay, less than the time between two requests


def lookalikes(flows: Flows) -> NDArray[np.bool_]:
    """Mark the flows whose packets have nothing that is unique to each, shape ``(f,)``."""
    kind = flows.sport >> 8  # ICMP types are stored in place of ports
    first, last = _NEIGHBOUR_DISCOVERY
    soliciting = (flows.protocol == ICMPV6) & (kind >= first) & (kind <= last)
    result: NDArray[np.bool_] = (flows.family == 0) | soliciting
    return result


def believable(seen: Sightings, doubtful: NDArray[np.bool_]) -> Sightings:
    """Leave out doubtful sightings that disagree with the nearest reliable ones.

    Parameters
    ----------
    seen : Sightings
        Of `m` packets.
    doubtful : NDArray[np.bool_]
        Shape ``(m,)``: the packet looks like others of its kind.
    """
    doubted = np.flatnonzero(doubtful)
    if len(doubted) in (0, len(doubtful)):
        return seen
    sure = np.flatnonzero(~doubtful)
    after = np.minimum(np.searchsorted(seen.time_ns[sure], seen.time_ns[doubted]), len(sure) - 1)
    before = np.maximum(after - 1, 0)
    difference_ns = seen.difference_ns[doubted]
    off = np.minimum(
        *(np.abs(difference_ns - seen.difference_ns[sure[neighbour]]) for neighbour in (before, after))
    )
    if (off <= NEAR_NS).all():
        return seen
    keep = np.ones(len(doubtful), np.bool_)
    keep[doubted[off > NEAR_NS]] = False
    return Sightings(seen.time_ns[keep], seen.difference_ns[keep], seen.forward[keep])


def alone_believable(seen: Sightings, facts: tuple[CaptureFacts, CaptureFacts]) -> bool:
    """Whether a clock may rest on lookalikes where no other packets are in common.

    At two moments they confirm each other. At a single moment they are accepted where the captures keep most
    of the overlap that they have by their own clocks: a request at the end of one capture and one at the
    beginning of the other are more likely two.
    """
    by_own_clocks_ns = overlap_ns(facts)
    shifted_ns = overlap_ns(facts, int(np.median(seen.difference_ns)))
    return _at_two_moments(seen) or (by_own_clocks_ns > 0 and shifted_ns >= by_own_clocks_ns / 2)


def overlap_ns(facts: tuple[CaptureFacts, CaptureFacts], offset_ns: int = 0) -> int:
    """Overlap of both captures if the second clock is ahead by an offset; negative where there is none."""
    a, b = facts
    if a.first_ns is None or a.last_ns is None or b.first_ns is None or b.last_ns is None:
        return 0
    return min(a.last_ns + offset_ns, b.last_ns) - max(a.first_ns + offset_ns, b.first_ns)


def _at_two_moments(seen: Sightings) -> bool:
    """Whether packets at least a second apart agree on one offset, which mere lookalikes do not."""
    order = np.argsort(seen.time_ns, kind="stable")
    time_ns, difference_ns = seen.time_ns[order], seen.difference_ns[order]
    apart_ns = time_ns - time_ns[:1]
    agrees = np.abs(difference_ns - difference_ns[:1]) <= _AGREEING_NS + MAX_DRIFT_PPM * 1e-6 * apart_ns
    return bool((agrees & (apart_ns >= _APART_NS)).any())
