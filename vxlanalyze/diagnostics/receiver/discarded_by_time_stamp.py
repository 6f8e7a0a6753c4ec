"""SYNs of one address that a receiver discards because of TCP time stamps: a case of `source-unanswered`.

Several clients share the address through masquerading, each with its own clock. A receiver that keeps one
time stamp per address ignores those whose clock is behind.

Sources: flannel issue 530, kubernetes issue 33945, calico issue 6439; RFC 7323 section 5; Linux ip-sysctl.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import time_stamps
from vxlanalyze.analysis.requests.by_source import Ignored
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.requests.time_stamps import Clocks, Older
from vxlanalyze.pairing.model import NO_ROW, Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count

CODE = "source-unanswered"
_LEAST_UNANSWERED = 4  # SYNs needed before their time stamps are read
_MOST_READ = 500
_MOSTLY = 9  # ratio of SYNs that fit the explanation to those that do not


class _Discarded(NamedTuple):
    """SYNs of one client to one endpoint, and how their time stamps divide them."""

    syns: Requests
    division: Older | Clocks


def find(pair: Comparison, each: Ignored, chance: float) -> Iterator[Finding]:
    """Look for a client whose SYNs are dropped for their time stamps; `chance` is that of a false alarm."""
    found = _discarded(pair, each.requests, chance)
    if found is not None:
        yield _finding(pair, each.label, found)


def _discarded(pair: Comparison, requests: Requests, chance: float) -> _Discarded | None:
    if not len(requests):
        return None
    syns = requests.at(requests.kind == RequestKind.TCP)
    pair_of = pairs(pair).of_tuple[syns.tuple_of]
    open_ = syns.answer_row == NO_ROW
    ignored, accepted = (np.bincount(pair_of[m], minlength=len(pairs(pair))) for m in (open_, ~open_))
    candidates = np.flatnonzero((ignored >= _LEAST_UNANSWERED) & (accepted > 0)).tolist()
    for candidate in candidates:
        mine = syns.at(pair_of == candidate)
        for division in _divisions(pair, mine):
            if _decides(division) and 2 * division.chance * len(candidates) < chance:
                return _Discarded(mine, division)
    return None


def _divisions(pair: Comparison, syns: Requests) -> Iterator[Older | Clocks]:
    times: NDArray[np.int64] = syns.point.index.time_ns[syns.first_row]
    order = np.argsort(times, kind="stable")[:_MOST_READ]
    answered = (syns.answer_row != NO_ROW)[order]
    values = time_stamps.stamps(pair, syns.point, syns.first_row[order])
    yield time_stamps.older(values, answered)
    clocks = time_stamps.clocks(times[order], values, answered)
    if clocks is not None:
        yield clocks


def _decides(division: Older | Clocks) -> bool:
    """Whether nearly all on one side were dropped, and nearly all on the other were not."""
    dead, odd, silent = division[:3]
    return dead > _MOSTLY * (odd + silent)


def _finding(pair: Comparison, label: str, found: _Discarded) -> Finding:
    direction = next(d for d in pair.directions if d.label == label)
    near, far = direction.sender.name, direction.receiver.name
    syns, division = found
    between = pairs(pair)
    place = int(between.of_tuple[syns.tuple_of[0]])
    client, server = between.client[place], between.server_texts[place]
    unanswered = syns.answer_row == NO_ROW
    shown = exhibits.of_rows(pair, [(syns.point, syns.first_row[unanswered])])
    silent = int(unanswered.sum())
    which, proof = _texts(division, client)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=label,
        summary=f"{server} ignored {silent:,} of {count(len(syns), 'connection')} from {client}: {which}",
        explanation=f"{proof} (probability of so many at random: {division.chance:.2g}). So looks a "
        "receiver that keeps one time stamp for an address (PAWS with net.ipv4.tcp_tw_recycle) when "
        f"several clients with clocks of their own share {client} (masquerade, an egress gateway): it "
        "discards SYNs that look older than what it has accepted from that address.",
        remedy=_remedy(near, far, client, server),
        evidence={
            "connections": Quantity(len(syns), "connections"),
            "unanswered": Quantity(silent, "connections"),
            **{
                name: Quantity(value, "connections")
                for name, value in zip(division._fields[:4], division[:4], strict=True)
            },
            "source_1": Quantity(client),
            "chance": Quantity(division.chance, "probability"),
        },
        ruled_out=(RuledOut("packet-loss", f"all of these SYNs are in {far}'s capture"),),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _texts(division: Older | Clocks, client: str) -> tuple[str, str]:
    """State which SYNs are dropped, with figures."""
    dead, odd, silent, fine = division[:4]
    if isinstance(division, Older):
        return (
            "those whose TCP time stamp is older than that of a connection it had accepted from the same "
            "address",
            f"Of the SYNs with an older time stamp {dead:,} stayed unanswered and {odd:,} were accepted; of "
            f"the others {silent:,} and {fine:,}",
        )
    clients = f"come from {division.clocks} clocks, so from as many clients or nodes"
    return (
        f"those whose TCP time stamps come from {division.ignored} of {division.clocks} clocks",
        f"The TCP time stamps of the SYNs from {client} {clients}. Of {division.ignored} of them {dead:,} "
        f"SYNs stayed unanswered and {odd:,} were accepted; of the others {silent:,} and {fine:,}",
    )


def _remedy(near: str, far: str, client: str, server: str) -> str:
    return written(
        f"In the network namespace of {server}, see whether the check is on (Linux before 4.12), and "
        "whether the kernel counts these SYNs as rejected by time stamp:",
        on(
            far,
            "sysctl net.ipv4.tcp_tw_recycle",
            "nstat -az TcpExtPAWSPassive TcpExtPAWSPassiveRejected TcpExtPAWSEstab",
        ),
        "If it is 1, switch it off:",
        on(far, "sysctl -w net.ipv4.tcp_tw_recycle=0"),
        "To undo it:",
        on(far, "sysctl -w net.ipv4.tcp_tw_recycle=1"),
        "Or let the clients keep addresses of their own; the rule that rewrites them:",
        on(near, f"{'ip6tables' if ':' in client else 'iptables'} -t nat -S | grep -E 'MASQUERADE|SNAT'"),
    )
