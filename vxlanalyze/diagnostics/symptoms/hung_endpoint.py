"""An endpoint whose kernel acknowledges requests that its application never answers: `endpoint-silent`.

The kernel completes handshakes and acknowledges data up to the size of its queues without the application, so
neither shows that the application works.

Sources: RFC 9293 section 3.8.6; listen(2) and ss(8) of Linux (queues of a socket).
"""

from collections.abc import Iterator

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.messages.columns import Protocol
from vxlanalyze.analysis.tcp import limits
from vxlanalyze.analysis.tcp.connections import Connections, connections
from vxlanalyze.analysis.tcp.unanswered_data import UnansweredData, unanswered_data
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed, share, span

CODE = "endpoint-silent"
_NAMES = {Protocol.HTTP1: "HTTP/1", Protocol.HTTP2: "HTTP/2", Protocol.TLS: "TLS ClientHello"}


def find(pair: Comparison) -> Iterator[Finding]:
    """Report the endpoint with the most such requests in each direction."""
    found = connections(pair)
    likely = [each for each in unanswered_data(pair) if each.certain]
    if found is None or not likely:
        return
    seen: set[str | None] = set()
    for each in sorted(likely, key=lambda one: -int(one.requests.sum())):
        label = limits.label(pair, found, int(each.stream[0]))
        if label not in seen:
            seen.add(label)
            yield _finding(pair, found, label, each)


def _finding(pair: Comparison, streams: Connections, label: str | None, found: UnansweredData) -> Finding:
    point = streams.points[found.place]
    node = pair.captures[point.capture].name
    silent = int(found.requests.sum())
    total = silent + found.answered
    kinds = listed([_NAMES[kind] for kind in found.protocols])
    who = f"{pair.cluster.named(found.server)} port {found.port}"
    part = f"{silent:,} of {total:,} requests" if found.answered else count(silent, "request")
    clients = {limits.ends(pair, streams, stream).sender for stream in found.stream.tolist()}
    shown = exhibits.of_rows(pair, [(point, found.row.astype(np.int32))])
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=f"{who} accepted the connection and acknowledged {part} ({kinds}) but sent no data",
        explanation=f"{count(silent, 'request')} of {count(len(clients), 'client')} over "
        f"{count(len(found.stream), 'connection')} reached {node}, which acknowledged every octet. The "
        f"kernel does so without the application, and nothing came from the application.{_ended(found)}"
        f"{_others(found)}",
        remedy=_remedy(pair, node, found),
        evidence={
            "requests": Quantity(silent, "requests"),
            "connections": Quantity(len(found.stream), "connections"),
            "clients": Quantity(len(clients), "clients"),
            "given_up": Quantity(int(found.given_up.sum()), "connections"),
            "answered": Quantity(found.answered, "requests"),
            "longest_wait": Quantity(int(found.waited_ns.max()), "ns"),
        },
        ruled_out=(
            RuledOut("packet-loss", f"{node} acknowledged all data of these requests"),
            RuledOut("endpoint-refused", "the connections were accepted, and the server ended none of them"),
            RuledOut("path-blocked", "its acknowledgements come back over the same path"),
        ),
        explained_by=("mtu-icmp-needed", "mtu-blackhole"),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _ended(found: UnansweredData) -> str:
    """How the connections ended, or that they were still open when the capture ended."""
    ended = found.given_up
    words = ""
    if ended.any():
        after = span(int(np.median(found.waited_ns[ended])))
        words = (
            f" The client ended {share(int(ended.sum()), len(ended))} connections, after {after} (median)."
        )
    if not ended.all():
        waited = span(int(found.waited_ns[~ended].max()))
        number = int((~ended).sum())
        words += (
            f" {count(number, 'connection')} still waited when the capture ended, for up to {waited}; a "
            "server that holds requests on purpose (long polling) looks like that, too."
        )
    return words


def _others(found: UnansweredData) -> str:
    if not found.answered:
        return ""
    return f" Over other connections it answered {count(found.answered, 'request')}."


def _remedy(pair: Comparison, node: str, found: UnansweredData) -> str:
    pod = pair.cluster.name_of(found.server)
    namespace, _, name = pod.rpartition("/") if pod and "/" in pod else ("", "", "")
    log = (
        anywhere(f"kubectl describe pod -n {namespace} {name}", f"kubectl logs -n {namespace} {name}")
        if namespace
        else anywhere(f"kubectl get pods -A -o wide --field-selector status.podIP={found.server}")
    )
    return written(
        "In the network namespace of the application, see where the requests are: Recv-Q above 0 in the line "
        "LISTEN: it accepts no connections; in the others: it does not read; 0 everywhere: it read them and "
        "does not answer; Send-Q above 0: it answered, and something on its node drops that:",
        on(node, f"ss -tanp sport = :{found.port}"),
        "Then see what the process waits for (threads, locks, a database) in its log, before a restart hides "
        "it:" + ("" if namespace else " find the pod, and read its log with kubectl logs:"),
        log,
    )
