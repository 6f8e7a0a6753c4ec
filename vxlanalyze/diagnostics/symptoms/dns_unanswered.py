"""DNS queries stay without an answer.

What it asks
    Which DNS servers leave queries unanswered, how many of how many, for which names, and where do these die?
Why it matters
    Service discovery is the first thing that pods notice. Behind one service address stand several DNS
    pods, so when the way to one of them is broken, names resolve by turns: every query to the pod on
    the client's own node is answered, every query to the pod on the other node is not.
How it decides
    Queries over UDP are told apart by client, server and identifier; what a resolver sends again
    is the same query. A server is reported when it leaves more unanswered than a working one does: the
    chance of that, at one in fifty, is below `chance`; every copy that was sent counts. Queries asked so
    late that the answer may stand behind the end of the capture are left out. The far capture tells
    where they died: lost on their way, arrived and not answered, or answered and the answer lost.
When it cannot tell
    All queries were asked at the very end of the capture; none of too few was answered; the snap length cut
    the identifiers off. DNS over TCP or TLS is not looked at.
What looks like it
    A server that refuses (`endpoint-refused`) or answers with an error (that is an answer). A path that loses
    packets: then this is its consequence. Queries that never leave the node because two of one socket race
    for the same translation (the five-second delay of kubernetes issue 56903): neither capture of a NIC
    holds them.
What to do
    Ask each DNS pod by itself: `dig @POD-ADDRESS kubernetes.default.svc.cluster.local`. Where queries arrive
    and are not answered, look at that pod: its log, its readiness, its upstream servers.
Sources
    RFC 1035 section 4.1.1; RFC 5452 section 3 (a query is known by its identifier and its ports).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import Answer, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.requests.dns_names import names
from vxlanalyze.analysis.requests.fates import Fate, fates, unanswered_of
from vxlanalyze.analysis.requests.requests import Requests
from vxlanalyze.analysis.requests.services import ServiceFigures, pairs, services
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.words import count, listed

CODE = "dns-unanswered"

_INSIDE = (
    "not-answered",
    "port-unreachable",
    "vni-mismatch",
    "stale-tunnel-mac",
    "duplicate-tunnel-mac",
    "wrong-tunnel-endpoint",
    "reply-not-translated",
    "outer-checksum-bad",
    "inner-checksum-bad",
    "corrupted-in-transit",
    "endpoint-silent",
)
_ON_THE_WAY = (
    "not-encapsulated",
    "path-blocked",
    "protocol-blocked",
    "ecmp-member-blocked",
    "flow-blocked",
    "header-blocked",
    "new-flows-blocked",
    "rate-limited",
    "mtu-icmp-needed",
    "mtu-blackhole",
    "fragments-lost",
    "burst-outage",
    "packet-loss",
)
_WHERE = {
    Fate.UNKNOWN: "the captures do not show where {n} died",
    Fate.LOST: "{n} were lost between the captures",
    Fate.SILENT: "{n} arrived, and no answer came out of the server's node",
    Fate.ANSWER_LOST: "{n} were answered, and the answers were lost on the way back",
}


class _Server(NamedTuple):
    """A client and server of which queries stay unanswered, and where these died."""

    figures: ServiceFigures
    requests: Requests
    fate: NDArray[np.uint8]
    label: str | None


def check(pair: Comparison, *, chance: float = 1e-3) -> list[Answer]:
    """Look for DNS servers that leave queries unanswered.

    `chance` is the false alarm probability accepted for a server that is silent once in fifty times.
    """
    asked = [f for f in services(pair) if f.protocol == "dns"]
    silent = [_server(pair, f) for f in asked if f.unanswered]
    told = [s for s in silent if _chance(s) < chance]
    groups: dict[str | None, list[_Server]] = {}
    for server in told:
        groups.setdefault(server.label, []).append(server)
    answers: list[Answer] = [_finding(pair, label, members, asked) for label, members in groups.items()]
    if not told:
        answers += [
            NotAssessed(CODE, f"{_count(s.figures)}: too few to tell", s.label)
            for s in silent
            if s.figures.answered == 0
        ][:1]
    return answers


def _server(pair: Comparison, figures: ServiceFigures) -> _Server:
    requests = unanswered_of(pair, figures.pair, figures.point)
    found = fates(pair, requests, int(pairs(pair).way[figures.pair]))
    most = Fate(int(np.bincount(found.fate, minlength=len(Fate)).argmax()))
    return _Server(figures, requests, found.fate, found.label[most])


def _chance(server: _Server) -> float:
    """How likely a working server is that silent; every copy asked for an answer."""
    copies = int(server.requests.copies.sum())
    return silence.chance(copies, copies + server.figures.answered)


def _count(figures: ServiceFigures) -> str:
    return (
        f"{figures.server} left {figures.unanswered:,} of {count(figures.requests, 'query', 'queries')} "
        f"of {figures.client} unanswered"
    )


def _died(fate: NDArray[np.int64]) -> str:
    """Say where unanswered queries died, counted by fate."""
    unanswered, kinds = int(fate.sum()), [f for f in Fate if fate[f]]
    if len(kinds) > 1:
        told = [_WHERE[f].format(n=_share(int(fate[f]), unanswered)) for f in kinds]
        return f"Of {count(unanswered, 'unanswered query', 'unanswered queries')}, {'; '.join(told)}"
    text = _WHERE[kinds[0]].format(n=f"all {unanswered:,} unanswered queries")
    if unanswered == 1:
        text = text.replace("all 1 unanswered queries were", "the unanswered query was")
        text = text.replace("all 1 unanswered queries", "the unanswered query")
    return text[:1].upper() + text[1:]


def _finding(
    pair: Comparison, label: str | None, servers: Sequence[_Server], asked: Sequence[ServiceFigures]
) -> Finding:
    servers = sorted(servers, key=lambda s: (-s.figures.unanswered, s.figures.server, s.figures.client))
    fate = np.bincount(np.concatenate([s.fate for s in servers]), minlength=len(Fate))
    shown = exhibits.of_rows(pair, ((s.requests.point, s.requests.first_row) for s in servers))
    unanswered = int(fate.sum())
    wanted = _names(pair, servers)
    about = f" They ask for {listed(wanted)}." if wanted else ""
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=_summary(pair, servers, asked),
        explanation=f"{_died(fate)}.{about}{_others(pair, servers, asked)}",
        remedy=_remedy(pair, servers, fate),
        evidence=_evidence(servers, fate, wanted),
        ruled_out=tuple(_ruled_out(servers, fate)),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
        explained_by=_INSIDE if fate[Fate.SILENT] == unanswered else None,
    )


def _share(part: int, whole: int) -> str:
    return "all" if part == whole > 1 else f"{part:,}"


def _summary(pair: Comparison, servers: Sequence[_Server], asked: Sequence[ServiceFigures]) -> str:
    first = servers[0].figures
    where = pair.cluster.named(first.server)
    more = f"; {count(len(servers) - 1, 'more pair')} of client and server alike" if len(servers) > 1 else ""
    queries = count(first.requests, "DNS query", "DNS queries")
    if first.answered:
        return f"{where} left {first.unanswered:,} of {queries} of {first.client} unanswered{more}"
    good = _always_answers(first, asked)
    if good is None:
        return f"{where} answered none of {queries} of {pair.cluster.named(first.client)}{more}"
    return (
        f"One DNS pod always answers, the other never: {where} answered none of {queries}, "
        f"{pair.cluster.named(good.server)} all {good.requests:,}{more}"
    )


def _always_answers(silent: ServiceFigures, asked: Iterable[ServiceFigures]) -> ServiceFigures | None:
    """A server that answered everything: of the same service and client where there is one."""
    good = [f for f in asked if f.server != silent.server and f.requests and f.answered == f.requests]
    good.sort(key=lambda f: (f.service != silent.service, f.client != silent.client, -f.requests, f.server))
    return good[0] if good else None


def _others(pair: Comparison, servers: Sequence[_Server], asked: Sequence[ServiceFigures]) -> str:
    """Tell of the service's other pods: what they answered, or why they are not to be seen."""
    silent = servers[0].figures
    if _always_answers(silent, asked) is not None:
        return " So names resolve by turns, depending on which pod a query goes to."
    unseen = [a for a in _backends(pair, silent.server) if a not in {f.server for f in asked}]
    if not unseen:
        return ""
    home = pair.cluster.node_of(silent.client) or _node_at(pair, silent.point)
    local = [a for a in unseen if home is not None and pair.cluster.node_of(a) == home]
    pods = listed([pair.cluster.named(a) for a in local or unseen])
    if not local:
        return f" Behind the same service stands {pods}, unasked here."
    return (
        f" Behind the same service stands {pods}, on the client's own node: queries to it do not enter "
        "the tunnel, so these captures do not show them. If it answers, names resolve by turns."
    )


def _node_at(pair: Comparison, place: int) -> str | None:
    """Name of the node of a point, told by its addresses or by the capture's name."""
    point = pair.points[place]
    owners = [pair.cluster.node_of(a) for a in point.addresses]
    name = pair.captures[point.capture].name
    return next(filter(None, owners), name if pair.cluster.node(name) else None)


def _backends(pair: Comparison, server: str) -> list[str]:
    found = (b.rpartition(":")[0].strip("[]") for s in pair.cluster.services_of(server) for b in s.backends)
    return list(dict.fromkeys(a for a in found if a != server and (":" in a) == (":" in server)))


def _remedy(pair: Comparison, servers: Sequence[_Server], fate: NDArray[np.intp]) -> str:
    server = servers[0].figures.server
    pod = pair.cluster.name_of(server)
    probe = f"`dig @{server} kubernetes.default.svc.cluster.local` from the client shows the same."
    if fate[Fate.SILENT]:
        name = pod.rpartition("/")[2] if pod else "POD"
        namespace = pod.rpartition("/")[0] if pod and "/" in pod else "kube-system"
        return (
            f"The queries reach its node: look at the pod itself with `kubectl logs -n {namespace} {name}` "
            f"and `kubectl get pod -n {namespace} {name} -o wide` (readiness, restarts), at a NetworkPolicy "
            f"for port 53, and at its upstream servers. {probe}"
        )
    return f"Mend the way between the nodes first; DNS is only where it shows. Then {probe}"


def _evidence(
    servers: Sequence[_Server], fate: NDArray[np.intp], wanted: Sequence[str]
) -> dict[str, Quantity]:
    asked = sum(s.figures.requests for s in servers)
    told = {
        "queries": Quantity(asked, "queries"),
        "unanswered": Quantity(int(fate.sum()), "queries"),
        "sent_again": Quantity(int(sum((s.requests.copies - 1).sum() for s in servers)), "packets"),
    }
    for each in Fate:
        told[each.name.lower()] = Quantity(int(fate[each]), "queries")
    for server in servers[:5]:
        figures = server.figures
        told[f"{figures.client} > {figures.server}"] = Quantity(
            f"{figures.unanswered} of {figures.requests} unanswered"
        )
    for number, name in enumerate(wanted[:5], 1):
        told[f"name_{number}"] = Quantity(name, "name")
    return told


def _names(pair: Comparison, servers: Sequence[_Server]) -> list[str]:
    asked: dict[str, None] = {}
    for server in servers[:3]:
        asked |= dict.fromkeys(names(pair, server.requests.point, server.requests.first_row))
    return list(asked)


def _ruled_out(servers: Sequence[_Server], fate: NDArray[np.intp]) -> Iterable[RuledOut]:
    refused = sum(s.figures.refused for s in servers)
    if not refused:
        yield RuledOut("endpoint-refused", "no server refused: neither an ICMP error nor a reset came back")
    if fate[Fate.SILENT] == fate.sum():
        yield RuledOut(
            "packet-loss", f"all {int(fate[Fate.SILENT]):,} unanswered queries are in the far capture too"
        )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=(*_ON_THE_WAY, *_INSIDE))
