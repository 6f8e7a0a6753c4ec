"""The exchanges of a comparison as a DataFrame: a row for each request with its answer."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import Protocol
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.tcp import framing, limits
from vxlanalyze.analysis.tcp.connections import connections
from vxlanalyze.analysis.tcp.exchanges import UNKNOWN, Exchanges, exchanges, one_clock
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.text.escaping import plain
from vxlanalyze.wire.rows import columns

# Payloads are read again from the captures, for at most this many requests.
MOST_READ = 20_000
_AT_ONCE = 1_000
_NAMES = ("forward_ns", "server_ns", "reverse_ns", "transfer_ns", "latency_ns")
COLUMNS = (
    *("protocol", "message", "client", "server", "service", "sent", *_NAMES, "request_frame", "answer_frame"),
)


def exchange_frame(comparison: Comparison) -> pd.DataFrame:
    """Build the table; empty with one capture, which cannot divide a request's time."""
    found = exchanges(comparison)
    if found is None or len(found) == 0:
        return pd.DataFrame(columns=list(COLUMNS))
    who = _who(comparison, found)
    frame = pd.DataFrame(who, columns=["protocol", "client", "server", "service"])
    frame["message"] = _messages(comparison, found)
    frame["sent"] = pd.to_datetime(found.sent_ns, utc=True)
    for name in _NAMES:
        known = name not in ("forward_ns", "reverse_ns") or one_clock(comparison)
        frame[name] = pd.array(getattr(found, name) if known else [None] * len(found), dtype="Int64")
    ends = _ends(comparison)
    for name, rows, place in (
        ("request_frame", found.request_row, 1 - found.place),
        ("answer_frame", found.answer_row, found.place),
    ):
        frames = [end.frame(np.clip(rows, 0, max(len(end.index) - 1, 0)).astype(np.int32)) for end in ends]
        frame[name] = np.where(place == 0, *frames)
    return frame[list(COLUMNS)]


def _ends(comparison: Comparison) -> tuple[Point, Point]:
    return comparison.hops[0].forward.sender, comparison.hops[-1].forward.receiver


def _who(comparison: Comparison, found: Exchanges) -> list[tuple[str, str, str, str | None]]:
    """Name protocol, client, server and service of each exchange; each pair once."""
    between, followed = pairs(comparison), connections(comparison)
    known: dict[tuple[int, int], tuple[str, str, str, str | None]] = {}
    names = []
    alone = np.where(found.pair >= 0, UNKNOWN, found.connection)
    for pair, connection in zip(found.pair.tolist(), alone.tolist(), strict=True):
        if (pair, connection) not in known:
            if pair >= 0:
                protocol, client = between.protocols[pair], between.client[pair]
                server, text, port = between.server[pair], between.server_texts[pair], int(between.port[pair])
            elif followed is not None:
                joined = limits.ends(comparison, followed, int(followed.client[connection]))
                protocol, client, server, port = "TCP", joined.sender, joined.receiver, joined.receiver_port
                text = endpoint_text(server, port)
            services = (s.full_name for s in comparison.cluster.services_of(server, port or None) if s.name)
            named = next((plain(name) for name in services), None)
            known[pair, connection] = protocol.lower(), client, text, named
        names.append(known[pair, connection])
    return names


def _messages(comparison: Comparison, found: Exchanges) -> list[str | None]:
    """Describe each request where its framing or its payload identifies it."""
    messages: list[str | None] = [
        framing.numbered(number, grpc=grpc) if kind == Protocol.HTTP2 else ("SYN" if opens else None)
        for kind, number, grpc, opens in zip(
            found.framing.tolist(),
            found.number.tolist(),
            found.grpc.tolist(),
            found.opens.tolist(),
            strict=True,
        )
    ]
    chosen = np.flatnonzero((found.connection != UNKNOWN) & (found.framing != Protocol.HTTP2))[:MOST_READ]
    for place, end in enumerate(_ends(comparison)):
        mine = chosen[found.place[chosen] != place]
        read = payloads(comparison, end, found.request_row[mine])
        for number, skip, octets in zip(mine.tolist(), found.skip[mine].tolist(), read, strict=True):
            messages[number] = framing.message(octets[skip:])
    return messages


def payloads(comparison: Comparison, point: Point, rows: NDArray[np.int64]) -> Iterator[bytes]:
    """Read the payloads of some rows from their capture, as far as the snap length left them."""
    source = comparison.captures[point.capture].source
    for begin in range(0, len(rows), _AT_ONCE):
        frames = source.fetch(point.index.place[rows[begin : begin + _AT_ONCE]])
        read = columns(frames, source.interfaces, ports=comparison.ports)
        for start, length in zip(read["payload_start"], read["payload_captured"], strict=True):
            yield frames.data[start : start + length].tobytes() if start >= 0 else b""
