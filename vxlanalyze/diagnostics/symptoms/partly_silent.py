"""An endpoint answers only some of the requests that reach its node: a case of `endpoint-silent`.

DNS has its own diagnostic (`dns-unanswered`). Where the unanswered requests are those that closely follow
others, a queue overflows: a socket buffer, or a listen queue.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import ClientServerPairs, pairs
from vxlanalyze.analysis.statistics import fisher
from vxlanalyze.pairing.model import NO_ROW, Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, share

CODE = "endpoint-silent"
_CLOSE_NS, _CROWD = 50_000_000, 3  # this many requests within that time are a burst
_BURST_CHANCE = 1e-3
_LEAST_RUNS = 3


class _Part(NamedTuple):
    """One endpoint: kind, name, requests, and which of these stay unanswered, shape ``(r,)``."""

    kind: RequestKind
    server: str
    port: int
    requests: Requests
    open_: NDArray[np.bool_]
    chance: float


def find(pair: Comparison, label: str, requests: Requests, chance: float) -> list[Finding]:
    """Report the endpoint with the most unanswered requests; `chance` is that of a false alarm."""
    found = list(_parts(pairs(pair), requests))
    likely = [part for part in found if part.chance * len(found) < chance]
    worst = max(likely, key=lambda part: int(part.open_.sum()), default=None)
    return [] if worst is None else [_finding(pair, label, worst)]


def _parts(between: ClientServerPairs, requests: Requests) -> Iterator[_Part]:
    """Endpoints that answer some requests but not others."""
    of = between.of_tuple[requests.tuple_of]
    ends = list(zip(between.kind.tolist(), between.server, between.port.tolist(), strict=True))
    number: dict[tuple[int, str, int], int] = {}
    endpoint = np.array([number.setdefault(end, len(number)) for end in ends], np.intp)[of]
    open_ = requests.answer_row == NO_ROW
    ignored, taken = (np.bincount(endpoint[some], minlength=len(number)) for some in (open_, ~open_))
    for (kind, server, port), place in number.items():
        if kind == RequestKind.DNS or not ignored[place] or not taken[place]:
            continue
        mine = endpoint == place
        if _runs(requests.at(mine), open_[mine]) < _LEAST_RUNS:
            continue  # silent for a while, and perhaps only slow
        bound = silence.chance(int(ignored[place]), int(ignored[place] + taken[place]))
        yield _Part(RequestKind(kind), server, port, requests.at(mine), open_[mine], bound)


def _runs(requests: Requests, open_: NDArray[np.bool_]) -> int:
    """Number of times the endpoint fell silent, in the order in which requests arrived."""
    in_order = open_[np.argsort(requests.point.index.time_ns[requests.first_row], kind="stable")]
    return int(in_order[0]) + int(np.count_nonzero(in_order[1:] & ~in_order[:-1]))


def _in_bursts(part: _Part) -> bool:
    """Whether the unanswered requests are those that closely follow several others."""
    times = part.requests.point.index.time_ns[part.requests.first_row]
    ordered = np.sort(times)
    before = np.searchsorted(ordered, times) - np.searchsorted(ordered, times - _CLOSE_NS)
    crowded = before >= _CROWD
    gone, kept = crowded[part.open_], crowded[~part.open_]
    counts = (int(gone.sum()), int(kept.sum()), int((~gone).sum()), int((~kept).sum()))
    return bool(gone.mean() > 0.9) and fisher.chance(*counts) < _BURST_CHANCE


def _finding(pair: Comparison, label: str, part: _Part) -> Finding:
    node = pair.captures[part.requests.point.capture].name
    ignored, requests = int(part.open_.sum()), len(part.requests)
    named = pair.cluster.named(part.server)
    who = (
        f"echo to {named}"
        if part.kind is RequestKind.ICMP
        else f"{part.kind.name} port {part.port} of {named}"
    )
    bursts = _in_bursts(part)
    shown = exhibits.of_rows(pair, [(part.requests.point, part.requests.first_row[part.open_])])
    how = ", all within bursts of requests" if bursts else ""
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=f"{share(ignored, requests)} requests ({who}) that reached {node} got no answer{how}",
        explanation=f"They are in {node}'s capture, and no answer left it; the same endpoint answered the "
        f"other {requests - ignored:,}. "
        + (
            "A request that comes alone is answered: a queue in front of the process is full. "
            if bursts
            else ""
        )
        + f"An endpoint that ignores one request in fifty ignores so many with a probability of at most "
        f"{part.chance:.2g}.",
        remedy=_remedy(node, part),
        evidence={
            "requests": Quantity(requests, "requests"),
            "unanswered": Quantity(ignored, "requests"),
            "endpoint": Quantity(who),
            "in_bursts": Quantity("yes" if bursts else "no"),
            "chance": Quantity(part.chance, "probability"),
        },
        ruled_out=(RuledOut("packet-loss", f"all {count(ignored, 'request')} are in {node}'s capture"),),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _remedy(node: str, part: _Part) -> str:
    """Say how to detect a full queue, then what else drops packets on the node."""
    inside = f"In the network namespace of {part.server}, before and after a test, see"
    queue = ""
    if part.kind is RequestKind.UDP:
        queue = written(
            f"{inside} whether RcvbufErrors rises: it counts what a full socket buffer takes.",
            on(node, "nstat -az UdpRcvbufErrors UdpInErrors", f"ss -lunm sport = :{part.port}"),
            "If it does, let the process read faster, or ask for a larger buffer, up to this limit:",
            on(node, "sysctl net.core.rmem_max"),
        )
    elif part.kind is RequestKind.TCP:
        queue = written(
            f"{inside} whether the listen queue overflows:",
            on(node, "nstat -az TcpExtListenOverflows TcpExtListenDrops", f"ss -tlni sport = :{part.port}"),
        )
    tool = "ip6tables" if ":" in part.server else "iptables"
    return written(
        queue,
        "Otherwise see what drops packets on the node itself:"
        if queue
        else "See what drops packets on the node itself:",
        on(node, "conntrack -S", f"{tool} -L FORWARD -nv", "nft list ruleset"),
    )
