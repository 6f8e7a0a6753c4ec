"""Requests that reached their destination node, according to that node's own capture."""

from collections.abc import Iterator

import numpy as np

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import BACKWARD, FORWARD, pairs
from vxlanalyze.pairing.model import NO_ROW, Comparison
from vxlanalyze.wire.model import Anomaly

_KINDS = (RequestKind.ICMP, RequestKind.TCP, RequestKind.DNS, RequestKind.UDP)


def arrived(comparison: Comparison) -> Iterator[tuple[str, Requests]]:
    """Give the requests that reached the last and the first node, with the labels of their directions.

    Only requests whose fate the capture shows are given, and none of which it shows the first fragment alone.
    One whose answer appears only inside the node counts as answered and is left out.
    """
    if not comparison.hops:
        return
    between = pairs(comparison)
    for sense, capture, label in (
        (FORWARD, len(comparison.captures) - 1, comparison.hops[-1].forward.label),
        (BACKWARD, 0, comparison.hops[0].backward.label),
    ):
        places = [r for r in measure(comparison).of_point if r.point.capture == capture]
        main = places[0]
        chosen = np.isin(main.kind, _KINDS) & main.decided
        chosen &= between.sense[between.of_tuple[main.tuple_of]] == sense
        whole = main.point.index.anomalies[main.first_row] & np.uint32(Anomaly.FIRST_FRAGMENT) == 0
        chosen &= whole | (main.answer_row != NO_ROW)
        for inside in places[1:]:
            answered = np.isin(main.key, inside.key[inside.answer_row != NO_ROW])
            chosen &= ~answered | (main.answer_row != NO_ROW)
        yield label, main.at(chosen)
