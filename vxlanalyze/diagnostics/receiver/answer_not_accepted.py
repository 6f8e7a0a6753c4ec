"""Responses reach a node's wire, but the requester does not accept them: they are dropped inside the node.

What it checks
    Does a client repeat a request although its node's capture shows the answer: the same query with the same
    identifier from the same port, or the same SYN after its SYN ACK?
Why it matters
    The request arrived, the answer came back, and the capture on the network card looks healthy. The answer
    dies inside the node: in connection tracking, a filter, a policy, or because a translation is missing.
How it decides
    By the client's own capture, so no clocks are compared. A request counts if it was repeated more than 100
    ms after its answer. A query whose partner from the same socket (A and AAAA) got no answer does not count,
    since resolvers then repeat both; nor does one whose answer was an error or truncated. Where most are
    repeated together with a second query that was missing at first, that one died inside the node. It is
    reported if losing one answer in fifty would explain this many repetitions, of one client or of all, with
    a probability below `chance`. SYNs from clients outside of the cluster that a node answers directly,
    without the tunnel, count if they are repeated after the answer and the client never acknowledges it.
When it cannot tell
    Echo requests and plain UDP: these are not repeated.
What looks like it
    Loss of answers on the path (`packet-loss`, `path-blocked`): then they are not in the client's capture. A
    scanner or half-open health check that resets the SYN ACK sends no second SYN. Answers with an invalid
    checksum (`inner-checksum-bad`) or from an address that got no request (`reply-not-translated`).
What to do
    Follow one answer inside the node: `tcpdump -ni any` shows which interfaces it reaches; the counters of
    netfilter and connection tracking show what drops it.
Sources
    cilium issues 9755, 13349; calico issue 13191; kubernetes issue 74839; RFC 9293 section 3.10.7.3.
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import answers, dns_pairs
from vxlanalyze.analysis.requests.acceptance import CHANCE, NotTaken, not_taken
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.underlay import firewall, underlay
from vxlanalyze.diagnostics.receiver import direct_answer
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.numbers import RST

CODE = "answer-not-accepted"
_MOST_NAMED = 3


def check(pair: Comparison, *, chance: float = CHANCE) -> list[DiagnosticResult]:
    """Look for answers that arrive although the request is repeated; `chance` is that of a false alarm."""
    found = [_finding(pair, found) for found in not_taken(pair, chance)]
    return [*found, *direct_answer.findings(pair, chance)]


def _finding(pair: Comparison, found: NotTaken) -> Finding:
    requests = found.requests
    between = pairs(pair)
    places = list(dict.fromkeys(between.of_tuple[requests.tuple_of].tolist()))
    clients = list(dict.fromkeys(between.client[p] for p in places))
    servers = list(dict.fromkeys(between.server_texts[p] for p in places))
    node = pair.captures[requests.point.capture].name
    queries = int((requests.kind == RequestKind.DNS).sum())
    again = int(found.times.sum())
    who = listed([pair.cluster.named(c) for c in clients], at_most=_MOST_NAMED)
    rows = np.concatenate([requests.first_row, requests.answer_row, requests.last_row])
    shown = exhibits.of_rows(pair, [(requests.point, rows)])
    resets = _resets(found)
    met = f", and {count(resets, 'SYN ACK')} met a reset from {node}" if resets else ""
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=found.label,
        summary=_unsent(found, who, node, servers)
        or f"{len(requests):,} of {count(found.answered, 'answer')} from "
        f"{listed(servers, at_most=_MOST_NAMED)} reached {node}, and {who} did not take "
        f"{'them' if len(requests) > 1 else 'it'}: the same request was sent again {_times(again)}",
        explanation=f"{_what(queries, len(requests))} again more than 100 ms after the answer stood in "
        f"{node}'s capture{met}. {_died(found, node)}. If a node lost one answer in fifty, so many would "
        f"have a probability of at most {found.chance:.2g}.",
        remedy=dns_pairs.remedy(node)
        if found.second_unsent
        else written(_remedy(node, clients[0], servers[0]), _host_firewall(pair, found, node)),
        evidence={
            "answers_not_taken": Quantity(len(requests), "answers"),
            "answered": Quantity(found.answered, "requests"),
            "asked_again": Quantity(again, "requests"),
            "queries": Quantity(queries, "queries"),
            "connections": Quantity(len(requests) - queries, "connections"),
            "second_query_unsent": Quantity(found.alone, "queries"),
            "reset_by_asker": Quantity(resets, "connections"),
            "chance": Quantity(found.chance, "probability"),
        },
        ruled_out=(
            RuledOut("packet-loss", f"the answers are in {node}'s capture"),
            RuledOut("endpoint-silent", f"{listed(servers, at_most=_MOST_NAMED)} did answer"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _what(queries: int, number: int) -> str:
    if queries == number:
        return f"{count(queries, 'query', 'queries')} came from the same port with the same identifier"
    if queries == 0:
        return f"{count(number, 'SYN')} came with the same sequence number"
    return f"{count(queries, 'query', 'queries')} and {count(number - queries, 'SYN')} came unchanged"


def _unsent(found: NotTaken, who: str, node: str, servers: list[str]) -> str:
    if not found.second_unsent:
        return ""
    return (
        f"{who} repeated {count(found.alone, 'answered query', 'answered queries')} to "
        f"{listed(servers, at_most=_MOST_NAMED)}, each together with a second one that had not left {node} "
        "at first: the second query of a pair from one socket is dropped there"
    )


def _died(found: NotTaken, node: str) -> str:
    if found.second_unsent:
        return (
            f"{count(found.alone, 'query', 'queries')} went out alone at first, and with a second one from "
            f"the same port (A and AAAA) when repeated: that one was dropped inside {node}, before its "
            "network card, and the resolver waited for its answer"
        )
    return f"The responses are dropped inside {node}, between its network card and the client{_inside(found)}"


def _inside(found: NotTaken) -> str:
    if not found.inside:
        return ""
    return f"; {found.inside:,} of them are seen at an interface after the card too, so it is further inside"


def _resets(found: NotTaken) -> int:
    """Connections whose client sent a reset after the SYN ACK arrived."""
    requests = found.requests
    tcp = requests.kind == RequestKind.TCP
    if not tcp.any():
        return 0
    point = requests.point
    flow = point.index.flow[requests.first_row[tcp]]
    rows = np.flatnonzero(np.isin(point.index.flow, flow) & (point.index.tcp_flags & RST != 0))
    return len(np.unique(point.index.flow[rows]))


def _remedy(node: str, client: str, server: str) -> str:
    address = server.rpartition(":")[0].strip("[]") if ":" in server and not _is_address(server) else server
    return written(
        "See up to which interface an answer gets (in from the tunnel, out to the pod):",
        on(node, f"tcpdump -nei any 'host {client} and host {address}'"),
        "Then what drops it (connection tracking, the reverse path check, a rule):",
        on(
            node,
            "conntrack -S",
            "nstat -az TcpExtIPReversePathFilter IpInDiscards TcpExtListenDrops",
            f"{'ip6tables' if ':' in client else 'iptables'} -L FORWARD -nv",
        ),
        "Where Cilium runs, in its pod on that node:",
        on(node, "cilium-dbg monitor --type drop"),
    )


def _host_firewall(pair: Comparison, found: NotTaken, node: str) -> str:
    """Without evidence that the node decapsulates anything, its firewall may drop all of it."""
    direction = next(d for hop in pair.hops for d in (hop.forward, hop.backward) if d.label == found.label)
    if answers.of(direction).answered.any():
        return ""
    below = underlay.of(direction, pair.cluster)
    return written(
        f"If no answer comes out of the tunnel device, allow {below.ports_text} in {node}'s host firewall:",
        firewall.allow(below, node),
    )


def _is_address(server: str) -> bool:
    return server.count(":") > 1 and not server.startswith("[")


DIAGNOSTIC = base.Diagnostic(
    code=CODE,
    check=check,
    explained_by=(
        "integrity",
        "stale-tunnel-mac",
        "vni-mismatch",
        "reply-not-translated",
        "not-answered",
    ),
)
