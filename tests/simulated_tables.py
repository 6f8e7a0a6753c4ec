"""The tables of simulated captures: index, flows, fragments, and frames held in memory."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import File, Frames, Interface
from vxlanalyze.wire.model import NO_VNI, Flows, Fragments, Index

if TYPE_CHECKING:
    from tests.simulate import Flow

UDP = 17
FRAGMENT_BYTES = 1376  # payload of a first fragment on a link of 1400 bytes

# How a packet travels: whole; in pieces that all arrive; of the pieces only the first, or all but the first;
# or only the first was kept by a capture filter, and the packet did arrive.
WHOLE, REASSEMBLED, FIRST_ONLY, REST_ONLY, FIRST_KEPT = range(5)


def index_of(columns: dict[str, NDArray[Any]]) -> Index:
    n = len(columns["time_ns"])
    wide = ("seq", "ack", "length", "payload_length", "outer_length", "digest", "digest_length", "anomalies")
    wide += ("window",)
    narrow = ("ip_id", "outer_ip_id", "tcp_flags", "checks")
    wanted = {"time_ns": np.int64, "place": np.int64, "flow": np.int32}
    wanted |= dict.fromkeys(wide, np.uint32) | dict.fromkeys(narrow, np.uint16)
    columns = {"window": np.zeros(n), **columns, "place": np.arange(n)}
    return Index(**{name: columns[name].astype(dtype) for name, dtype in wanted.items()})


def flows_of(flows: "Sequence[Flow]") -> Flows:
    def column(name: str, dtype: Any) -> NDArray[Any]:
        return np.array([getattr(f, name) for f in flows], dtype=dtype)

    def outer(name: str, dtype: Any) -> NDArray[Any]:
        return np.array([getattr(f, name) if f.tunnel else 0 for f in flows], dtype=dtype)

    ports = [f.outer_sport if f.outer_sport is not None else 32768 + f.identity % 28232 for f in flows]
    return Flows(
        interface=column("interface", np.uint16),
        if_index=column("if_index", np.uint32),
        packet_type=column("packet_type", np.uint8),
        tunnel=column("tunnel", np.uint8),
        tunnel_depth=outer("tunnel_depth", np.uint8),
        encryption=column("encryption", np.uint8),
        vni=np.array([f.vni if f.tunnel else NO_VNI for f in flows], dtype=np.uint32),
        outer_family=column("outer_family", np.uint8),
        outer_src=addresses_of([f.outer_src if f.tunnel else None for f in flows]),
        outer_dst=addresses_of([f.outer_dst if f.tunnel else None for f in flows]),
        outer_protocol=np.array([UDP if f.tunnel else 0 for f in flows], dtype=np.uint8),
        outer_sport=np.array([p * bool(f.tunnel) for f, p in zip(flows, ports, strict=True)], np.uint16),
        outer_dport=outer("outer_dport", np.uint16),
        outer_src_mac=column("outer_src_mac", np.uint64),
        outer_dst_mac=column("outer_dst_mac", np.uint64),
        inner_src_mac=outer("inner_src_mac", np.uint64),
        inner_dst_mac=outer("inner_dst_mac", np.uint64),
        family=column("family", np.uint8),
        src=addresses_of([f.src for f in flows]),
        dst=addresses_of([f.dst for f in flows]),
        protocol=column("protocol", np.uint8),
        sport=column("sport", np.uint16),
        dport=column("dport", np.uint16),
        mss=column("mss", np.uint16),
        identity=column("identity", np.uint64),
    )


def addresses_of(texts: Sequence[str | None]) -> NDArray[np.uint8]:
    packed = [b"" if t is None else ip_address(t).packed for t in texts]
    joined = b"".join(p.ljust(16, b"\0") for p in packed)
    return np.frombuffer(joined, np.uint8).reshape(len(texts), 16).copy()


def fragments_of(pieces: Iterable[tuple["Flow", int, int, int]]) -> Fragments:
    """Make the table from (flow, how it travels, row or 0, outer IP identification) of each packet."""
    rows: list[tuple[int, int, int, int, bool, int, bool]] = []
    sources, families = [], []
    for group, (flow, how, row, ip_id) in enumerate(pieces):
        parts = [(0, True)] if how != REST_ONLY else []
        parts += [(FRAGMENT_BYTES, False)] if how in (REASSEMBLED, REST_ONLY) else []
        for offset, more in parts:
            rows.append((row, ip_id, offset, FRAGMENT_BYTES, more, group, how == REASSEMBLED))
            sources.append(flow)
            families.append(flow.outer_family)
    if not rows:
        return Fragments.none()
    row, ip_ids, offset, length, more_, groups, complete = (np.array(c) for c in zip(*rows, strict=True))
    return Fragments(
        row=row.astype(np.int64),
        family=np.array(families, np.uint8),
        outer_src=addresses_of([f.outer_src for f in sources]),
        outer_dst=addresses_of([f.outer_dst for f in sources]),
        protocol=np.full(len(rows), UDP, np.uint8),
        ip_id=ip_ids.astype(np.uint32),
        offset_bytes=offset.astype(np.uint32),
        length_bytes=length.astype(np.uint32),
        more=more_.astype(np.bool_),
        group=groups.astype(np.int32),
        complete=complete.astype(np.bool_),
    )


class RawFrames:
    """A source whose frames are bytes in memory, empty where none were given."""

    def __init__(self, name: str, raw: dict[int, bytes], time_ns: NDArray[np.int64]) -> None:
        self.name, self.files = name, (File(f"{name}.pcap", 0, "pcap", None),)
        self.interfaces, self.statistics, self.damages = [Interface(0, 1, 262144)], [], []
        self._raw, self._time_ns = raw, time_ns

    def chunks(self) -> Iterator[Frames]:
        yield self.fetch(np.arange(len(self._time_ns)))

    def fetch(self, places: NDArray[np.int64]) -> Frames:
        data = [self._raw.get(int(p), b"") for p in places]
        lengths = np.array([len(d) for d in data], np.uint32)
        joined = np.frombuffer(b"".join(data) + bytes(64), np.uint8).copy()
        start = np.concatenate(([0], np.cumsum(lengths)))[:-1].astype(np.int64)
        interface = np.zeros(len(places), np.uint16)
        return Frames(joined, start, lengths, lengths, self._time_ns[places], interface, places, 1)

    def close(self) -> None:
        """Nothing is open."""
