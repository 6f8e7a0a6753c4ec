"""Clients that keep sending to an address no longer in use, and how to release them.

A service's address is translated once for each socket; a socket over UDP that stays open keeps the pod that
was chosen, even after that pod is gone, until its connection tracking entry is deleted.

Source: kubernetes issues 71514 and 125467; conntrack(8).
"""

import numpy as np

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written

_MOST_SOCKETS = 3
_LEAST_REQUESTS = 3


def sockets(requests: Requests) -> tuple[int, ...]:
    """Ports of the UDP sockets with requests; empty where there are more than a few."""
    if not len(requests) or not np.isin(requests.kind, (RequestKind.DNS, RequestKind.UDP)).all():
        return ()
    flow = requests.point.index.flow[requests.first_row]
    ports = np.unique(requests.point.flows.sport[flow])
    return tuple(ports.tolist()) if len(ports) <= _MOST_SOCKETS else ()


def is_likely(pair: Comparison, server: str, requests: Requests) -> bool:
    """Whether requests look like those of sockets that a stale entry directs to a deleted pod."""
    if not sockets(requests):
        return False
    return pair.cluster.lacks(server) or (not pair.cluster.pods and requests.asked.sum() >= _LEAST_REQUESTS)


def explain(pair: Comparison, server: str, requests: Requests) -> str:
    """State which clients still send to which address."""
    ports = sockets(requests)
    which = f"port {ports[0]}" if len(ports) == 1 else f"ports {', '.join(map(str, ports))}"
    who = f"{'One client socket' if len(ports) == 1 else f'{len(ports)} client sockets'} ({which})"
    if pair.cluster.lacks(server):
        still = "asks" if len(ports) == 1 else "ask"
        return (
            f"Nothing in the cluster (--kube) has {server}. {who} still {still} it: an old entry of "
            "connection tracking."
        )
    return (
        f"All of it comes from {who[0].lower()}{who[1:]}: an old entry of connection tracking may hold it to "
        "a pod that is gone."
    )


def remedy(node: str, server: str, port: int) -> str:
    """Say how to delete the entries on the client's node."""
    entries = f"-p udp --reply-src {server} --reply-port-src {port}"
    return written(
        f"List and delete the connection tracking entries for {server} on the client's node:",
        on(node, f"conntrack -L {entries}", f"conntrack -D {entries}"),
    )
