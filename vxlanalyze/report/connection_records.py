"""The TCP connections with the most to gain, as plain data."""

import numpy as np

from vxlanalyze.analysis.tcp import limits
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.division import (
    WAITED_FOR,
    Division,
    Quantiles,
    division,
    round_trips,
    think_times,
    windows,
)
from vxlanalyze.analysis.tcp.two_clocks import BOTH
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.model import ConnectionRecord, SpreadRecord
from vxlanalyze.text.escaping import plain

MOST_CONNECTIONS = 100


def connection_records(comparison: Comparison) -> list[ConnectionRecord]:
    """Describe the connections with the most to gain, the worst first."""
    found = division(comparison)
    if found is None:
        return []
    return [_record(comparison, found, connection) for connection in found.worst(MOST_CONNECTIONS)]


def connections_total(comparison: Comparison) -> int:
    """Count the TCP connections of a comparison."""
    found = division(comparison)
    return 0 if found is None else found.connections.total


def _record(comparison: Comparison, found: Division, connection: int) -> ConnectionRecord:
    followed = found.connections
    client, server = int(followed.client[connection]), int(followed.server[connection])
    joined = limits.ends(comparison, followed, client)
    figures = followed.figures
    sent = figures[[client, server], at.BYTES]
    heavier = (client, server)[int(np.argmax(sent))]
    segments, resent = (int(figures[[client, server], column].sum()) for column in (at.SEGMENTS, at.RESENT))
    active_ns = int(found.active_ns[connection])
    named = (
        s.full_name for s in comparison.cluster.services_of(joined.receiver, joined.receiver_port) if s.name
    )
    only = int(followed.only[connection])
    return {
        "client": endpoint_text(joined.sender, joined.sender_port),
        "server": endpoint_text(joined.receiver, joined.receiver_port),
        "service": next((plain(name) for name in named), None),
        "limit": found.limit(connection),
        "gain_ns": int(found.gain_ns[connection]),
        "active_ns": active_ns,
        "idle_ns": int(found.idle_ns[connection]),
        "waited_ns": dict(zip(WAITED_FOR, found.waited_ns[connection].tolist(), strict=True)),
        "client_bytes": int(sent[0]),
        "server_bytes": int(sent[1]),
        "bits_per_s": round(8e9 * int(sent.sum()) / active_ns, 1) if active_ns else 0.0,
        "rtt_ns": _spread(round_trips(followed, connection)),
        "think_ns": _spread(think_times(followed, server)),
        "window_bytes": _spread(windows(followed, heavier)),
        "resent": resent,
        "resent_ratio": round(resent / (segments + resent), 6) if segments else None,
        "seen_at": None if only == BOTH else followed.points[only].name,
    }


def _spread(values: Quantiles) -> SpreadRecord:
    return {"min": values.min, "p50": values.p50, "p99": values.p99, "max": values.max}
