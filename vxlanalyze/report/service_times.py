"""The time of each service's requests by part, as quantiles over the requests that both ends show."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.tcp.exchanges import exchanges, one_clock
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.model import DividedRecord, LatencyRecord

_NONE: LatencyRecord = {"p50": None, "p99": None}


def service_times(comparison: Comparison) -> Mapping[int, DividedRecord]:
    """Give the quantiles of each row of `Pairs` that has any; for TCP of data, or of SYNs without data."""
    found = exchanges(comparison)
    if found is None or not (found.pair >= 0).any():
        return {}
    data = np.unique(found.pair[~found.opens])
    is_tcp = pairs(comparison).kind[np.maximum(found.pair, 0)] == RequestKind.TCP
    kept = (found.pair >= 0) & ~(is_tcp & found.opens & np.isin(found.pair, data))
    chosen = np.flatnonzero(kept)
    chosen = chosen[np.argsort(found.pair[chosen], kind="stable")]
    owner = found.pair[chosen]
    comparable = one_clock(comparison)
    records: dict[int, DividedRecord] = {}
    for part in np.split(chosen, np.flatnonzero(owner[1:] != owner[:-1]) + 1):
        if len(part) == 0:
            continue
        records[int(found.pair[part[0]])] = {
            "exchanges": len(part),
            "forward": _quantiles(found.forward_ns[part]) if comparable else _NONE,
            "server": _quantiles(found.server_ns[part]),
            "reverse": _quantiles(found.reverse_ns[part]) if comparable else _NONE,
            "transfer": _quantiles(found.transfer_ns[part]),
        }
    return records


def _quantiles(values: NDArray[np.int64]) -> LatencyRecord:
    """Give the smallest value not exceeded by a share of the values."""
    ordered = np.sort(values)
    middle, late = (int(ordered[max(-(-len(ordered) * share // 100) - 1, 0)]) for share in (50, 99))
    return {"p50": middle, "p99": late}
