"""An endpoint answered, and stopped from some moment until the end: a case of `endpoint-silent`."""

from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.requested_endpoints import RequestedEndpoints, named_endpoints
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.underlay.seen_elsewhere import AddressSighting, elsewhere
from vxlanalyze.diagnostics.symptoms import silent_pod
from vxlanalyze.pairing.model import NO_ROW, Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, moment

CODE = "endpoint-silent"
_LEAST_SILENCE_NS = 1_000_000_000  # a shorter silence may be slowness


class _Stop(NamedTuple):
    """Endpoints that stopped answering: their later requests, since when, and those that others answered."""

    who: str
    late: Requests
    since_ns: int
    others: int


def find(
    pair: Comparison, label: str, requests: Requests, endpoints: RequestedEndpoints, chance: float
) -> list[Finding]:
    """Look for endpoints that answered, but stopped from some moment until the end."""
    first_ns = requests.point.index.time_ns[requests.first_row]
    open_ = requests.answer_row == NO_ROW
    last_ns = np.full(len(endpoints.names), np.iinfo(np.int64).min)
    np.maximum.at(last_ns, endpoints.of_request[~open_], first_ns[~open_])
    # None of them was answered, since their endpoint's last answered request came before.
    late = (first_ns > last_ns[endpoints.of_request]) & ~endpoints.dns[endpoints.of_request]
    size = len(endpoints.names)
    packets = np.bincount(endpoints.of_request[late], requests.copies[late], size)
    before = int(requests.copies[open_ & ~late].sum())
    ratio = (before + 1) / (before + int(endpoints.answered.sum()) + 2)
    until_ns = np.full(size, np.iinfo(np.int64).min)
    np.maximum.at(until_ns, endpoints.of_request[late], first_ns[late])
    certain = (packets * np.log(ratio) < np.log(chance)) & (packets > 0)
    certain[certain] = until_ns[certain] - last_ns[certain] >= _LEAST_SILENCE_NS
    if not certain.any():
        return []
    mine = late & certain[endpoints.of_request]
    since_ns = int(last_ns[certain].min())
    others = int(np.count_nonzero(~open_ & (first_ns > since_ns) & ~certain[endpoints.of_request]))
    who = named_endpoints(pair, endpoints, certain)
    return [_finding(pair, label, _Stop(who, requests.at(mine), since_ns, others))]


def _finding(pair: Comparison, label: str, stop: _Stop) -> Finding:
    who, late, since_ns, others = stop
    packets = int(late.copies.sum())
    node = pair.captures[late.point.capture].name
    shown = exhibits.of_rows(pair, [(late.point, late.first_row)])
    address = pairs(pair).server[int(pairs(pair).of_tuple[late.tuple_of[0]])]
    moved = elsewhere(pair, address)
    meanwhile = (
        f"Other endpoints of {node} answered {count(others, 'request')} meanwhile, so it is not the node."
        if others
        else f"Nothing of {node} answered anything afterwards, so it may be the node: send a request to "
        "another pod there."
    )
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=f"{who} answered until {moment(since_ns)}, and none of {count(len(late), 'request')} "
        f"that reached {node} afterwards"
        + (f": {address} now appears behind {moved.outer}" if moved else ""),
        explanation=f"{count(packets, 'packet')} were requests without any response, though the same "
        f"endpoint had answered before: look for what changed then. {meanwhile}{_new_place(moved)}",
        remedy=_forget(pair, label, address, moved) if moved else silent_pod.remedy(pair, node, address),
        evidence={
            "requests": Quantity(len(late), "requests"),
            "unanswered_packets": Quantity(packets, "packets"),
            "last_answered": Quantity(moment(since_ns)),
            "answered_by_others": Quantity(others, "requests"),
            "appears_behind": Quantity(moved.outer if moved else None),
        },
        ruled_out=(
            RuledOut("packet-loss", f"all {packets:,} packets are in {node}'s capture"),
            RuledOut("endpoint-refused", "nothing refused them: neither a reset nor an ICMP error came back"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _new_place(moved: AddressSighting | None) -> str:
    if moved is None:
        return ""
    return (
        f" In the capture of {moved.point.name}, packets from this address ({moved.mac}) come from "
        f"{moved.outer} since {moment(moved.time_ns)}: it moved to that node, or another machine has it."
    )


def _forget(pair: Comparison, label: str, address: str, moved: AddressSighting) -> str:
    """Say where the sender keeps the old place."""
    near = next((d.sender.name for d in pair.directions if d.label == label), label.partition(">")[0])
    return written(
        f"See whether {near} still has the old place of {address}; it has to be {moved.outer}:",
        on(near, f"bridge fdb show | grep -i {moved.mac}", f"ip neigh show to {address}"),
    )
