"""The requests to a node's endpoints, and how many of them were answered."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import ClientServerPairs
from vxlanalyze.pairing.model import NO_ROW, Comparison
from vxlanalyze.text.words import listed

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class RequestedEndpoints:
    """Requests to `e` endpoints of a node, by name; arrays of shape ``(e,)``."""

    names: tuple[str, ...]
    servers: tuple[str, ...]
    requests: NDArray[np.int64]
    packets: NDArray[np.int64]  # copies of unanswered requests
    answered: NDArray[np.int64]
    dns: NDArray[np.bool_]
    of_request: NDArray[np.intp]  # shape (r,): the endpoint of each request


def endpoints_of(between: ClientServerPairs, requests: Requests) -> RequestedEndpoints:
    """Count the outcomes of each endpoint's requests."""
    of = between.of_tuple[requests.tuple_of]
    names = [f"{kind} {text}" for kind, text in zip(between.protocols, between.server_texts, strict=True)]
    unique = {name: i for i, name in enumerate(dict.fromkeys(names[i] for i in np.unique(of)))}
    endpoint = np.array([unique.get(name, -1) for name in names], np.intp)[of]
    server = {unique[names[i]]: between.server[i] for i in np.unique(of)}
    open_ = requests.answer_row == NO_ROW
    size = len(unique)
    return RequestedEndpoints(
        tuple(unique),
        tuple(server[i] for i in range(size)),
        np.bincount(endpoint, minlength=size),
        np.bincount(endpoint[open_], requests.copies[open_], minlength=size).astype(np.int64),
        np.bincount(endpoint[~open_], minlength=size),
        np.array([name.startswith(RequestKind.DNS.name) for name in unique], np.bool_),
        endpoint,
    )


def silent_ratio(endpoints: RequestedEndpoints, silent: NDArray[np.bool_]) -> float:
    """Rate at which the others stay silent; by Laplace's rule of succession never 0."""
    unanswered, answered = int(endpoints.packets[~silent].sum()), int(endpoints.answered[~silent].sum())
    return (unanswered + 1) / (unanswered + answered + 2)


def named_endpoints(pair: Comparison, endpoints: RequestedEndpoints, chosen: NDArray[np.bool_]) -> str:
    """Name the chosen endpoints for a sentence."""
    rows = np.flatnonzero(chosen)
    return listed([_name(pair, endpoints, int(i)) for i in rows], at_most=_MOST_NAMED)


def _name(pair: Comparison, endpoints: RequestedEndpoints, endpoint: int) -> str:
    kind, _, address = endpoints.names[endpoint].partition(" ")
    name = pair.cluster.name_of(endpoints.servers[endpoint])
    what = "echo to " if kind == RequestKind.ICMP.name else ""
    return f"{what}{address}" + (f" ({name})" if name else "")
