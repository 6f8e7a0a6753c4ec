"""Write a realistic pair of VXLAN captures of any size, with known faults, a piece at a time.

    python -m benchmarks.generate FOLDER PACKETS

Some thousand flows of TCP, UDP and ICMP in both directions, four sizes (700 bytes on average), checksums
all correct but for a few that are damaged on the way, 1 % loss, a little reordering, clocks 1.5 s apart.
The bytes depend on the seed alone.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

PIECE = 100_000  # packets made at once: bounds the memory
FLOWS = 4_000
LOSS = 0.01
DAMAGE = 0.0005
LATE = 0.01  # overtaken by some later packets
OFFSET_NS = 1_500_000_000
DELAY_NS = 200_000
GAP_NS = 4_000
START_NS = 1_800_000_000_000_000_000

TCP, UDP, ICMP = 6, 17, 1
L4_BYTES = {TCP: 32, UDP: 8, ICMP: 8}
# (protocol, payload bytes, share): averages to some 700 bytes a frame
CLASSES = ((TCP, 1398, 0.34), (TCP, 0, 0.30), (UDP, 512, 0.24), (UDP, 64, 0.08), (ICMP, 56, 0.04))
_INNER = 50  # Ethernet, IPv4, UDP, VXLAN


@dataclass
class _State:
    """What goes on from piece to piece: sequence numbers and IP IDs of each flow."""

    first_seq: NDArray[np.uint32]
    seq: NDArray[np.uint32]
    ip_id: NDArray[np.uint16]
    outer_id: int = 0


def generate(folder: Path, packets: int, seed: int = 1) -> tuple[Path, Path]:
    """Write ``node1.pcap`` and ``node2.pcap`` with about `packets` frames each into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "node1.pcap", folder / "node2.pcap"
    rng = np.random.default_rng(seed)
    seq = rng.integers(0, 2**32, 2 * FLOWS, dtype=np.uint32)
    state = _State(seq.copy(), seq, rng.integers(0, 2**16, 2 * FLOWS, dtype=np.uint16))
    header = np.array([0xA1B23C4D, 2 | 4 << 16, 0, 0, 262144, 1], dtype="<u4").tobytes()
    with paths[0].open("wb") as first, paths[1].open("wb") as second:
        first.write(header)
        second.write(header)
        for start in range(0, packets, PIECE):
            _piece(first, second, start, min(PIECE, packets - start), rng, state)
    return paths


def _piece(
    first: BinaryIO, second: BinaryIO, start: int, count: int, rng: np.random.Generator, state: _State
) -> None:
    """One stretch of traffic; nothing crosses its borders, so that it can be written at once."""
    kind = rng.choice(len(CLASSES), count, p=[share for *_, share in CLASSES])
    flow = rng.integers(0, FLOWS, count)
    backward = rng.random(count) < 0.4
    frames: list[NDArray[np.uint8]] = [np.zeros((0, 0), np.uint8)] * len(CLASSES)
    length = np.zeros(count, np.int64)
    place = np.zeros(count, np.int64)
    for number, (protocol, payload, _) in enumerate(CLASSES):
        mine = np.flatnonzero(kind == number)
        frames[number] = _frames(protocol, payload, flow[mine], backward[mine], rng, state)
        length[mine] = frames[number].shape[1]
        place[mine] = np.arange(len(mine))
    sent_ns = START_NS + (start + np.arange(count)) * GAP_NS
    delay = DELAY_NS + rng.exponential(20_000, count).astype(np.int64)
    delay[rng.random(count) < LATE] += 40 * GAP_NS
    delay = np.minimum(delay, DELAY_NS + (count - np.arange(count)) * GAP_NS)
    lost = rng.random(count) < LOSS
    damaged = np.flatnonzero(rng.random(count) < DAMAGE)
    at_first = np.where(backward, sent_ns + delay, sent_ns)
    at_second = np.where(backward, sent_ns, sent_ns + delay) + OFFSET_NS
    _write(first, frames, kind, place, length, at_first, ~(lost & backward))
    for i in damaged:
        frames[kind[i]][place[i], -1] ^= 0x55
    _write(second, frames, kind, place, length, at_second, ~(lost & ~backward))


def _frames(
    protocol: int,
    payload: int,
    flow: NDArray[np.int64],
    backward: NDArray[np.bool_],
    rng: np.random.Generator,
    state: _State,
) -> NDArray[np.uint8]:
    count, l4 = len(flow), L4_BYTES[protocol]
    inner_bytes = 20 + l4 + payload
    frame = np.zeros((count, _INNER + 14 + inner_bytes), np.uint8)
    way = np.where(backward, FLOWS, 0) + flow
    node_src, node_dst = np.where(backward, 201, 200), np.where(backward, 200, 201)

    outer = 36 + 14 + inner_bytes
    frame[:, 0:6] = [2, 0, 0, 0, 0, 2]
    frame[:, 6:12] = [2, 0, 0, 0, 0, 1]
    frame[:, 12:14] = [8, 0]
    _ipv4(frame[:, 14:34], outer, np.arange(count) + state.outer_id, UDP)
    state.outer_id += count
    frame[:, 26:29], frame[:, 29] = [172, 26, 50], node_src
    frame[:, 30:33], frame[:, 33] = [172, 26, 50], node_dst
    _put16(frame, 24, _fold(frame[:, 14:34]))
    _put16(frame, 34, (32768 + flow * 7 % 28000).astype(np.uint16))
    _put16(frame, 36, np.full(count, 8472, np.uint16))
    _put16(frame, 38, np.full(count, outer - 20, np.uint16))
    frame[:, 42], frame[:, 48] = 8, 1

    frame[:, 50:56], frame[:, 56:62] = [14, 0, 0, 0, 0, 2], [14, 0, 0, 0, 0, 1]
    frame[:, 62:64] = [8, 0]
    ip = frame[:, 64:84]
    _ipv4(ip, inner_bytes, state.ip_id[way], protocol)
    np.add.at(state.ip_id, way, 1)
    for at, node in ((12, np.where(backward, 65, 64)), (16, np.where(backward, 64, 65))):
        ip[:, at], ip[:, at + 1], ip[:, at + 2], ip[:, at + 3] = 10, 233, node, 2 + flow % 250
    _put16(ip, 10, _fold(ip))
    frame[:, 84 + l4 :] = rng.integers(0, 256, (count, payload), dtype=np.uint8)
    _layer4(frame[:, 84:], protocol, payload, flow, backward, way, state)
    at = {TCP: 16, UDP: 6, ICMP: 2}[protocol]
    segment = frame[:, 84:]
    pseudo = np.zeros((count, 12), np.uint8)
    if protocol != ICMP:
        pseudo[:, 0:8], pseudo[:, 9] = ip[:, 12:20], protocol
        _put16(pseudo, 10, np.full(count, l4 + payload, np.uint16))
    _put16(segment, at, _fold(np.concatenate([pseudo, segment], axis=1)))
    return frame


def _layer4(
    segment: NDArray[np.uint8],
    protocol: int,
    payload: int,
    flow: NDArray[np.int64],
    backward: NDArray[np.bool_],
    way: NDArray[np.int64],
    state: _State,
) -> None:
    client, server = (40000 + flow % 20000).astype(np.uint16), np.full(len(flow), 8080, np.uint16)
    if protocol == ICMP:
        segment[:, 0] = 8
        _put16(segment, 4, client)
        _put16(segment, 6, (np.arange(len(flow)) % 65536).astype(np.uint16))
        return
    _put16(segment, 0, np.where(backward, server, client))
    _put16(segment, 2, np.where(backward, client, server))
    if protocol == UDP:
        _put16(segment, 4, np.full(len(flow), 8 + payload, np.uint16))
        return
    # Sequence numbers go on from packet to packet of a flow: count the earlier ones of the same way.
    order = np.argsort(way, kind="stable")
    run = np.arange(len(way)) - np.searchsorted(way[order], way[order])
    seq = np.empty(len(way), np.uint32)
    seq[order] = state.seq[way[order]] + (run * payload).astype(np.uint32)
    np.add.at(state.seq, way, np.uint32(payload))
    _put32(segment, 4, seq)
    # Nobody sends again what was lost here, so nothing may be acknowledged beyond the first byte.
    _put32(segment, 8, state.first_seq[(way + FLOWS) % (2 * FLOWS)])
    segment[:, 12], segment[:, 13], segment[:, 14] = 8 << 4, 0x10, 0xFA
    segment[:, 20:24] = [1, 1, 8, 10]


def _ipv4(ip: NDArray[np.uint8], length: int, ip_id: NDArray[np.integer], protocol: int) -> None:
    ip[:, 0], ip[:, 6], ip[:, 8], ip[:, 9] = 0x45, 0x40, 64, protocol
    _put16(ip, 2, np.full(len(ip), length, np.uint16))
    _put16(ip, 4, ip_id.astype(np.uint16))


def _put16(rows: NDArray[np.uint8], at: int, values: NDArray[np.integer]) -> None:
    rows[:, at : at + 2] = values.astype(">u2").view(np.uint8).reshape(-1, 2)


def _put32(rows: NDArray[np.uint8], at: int, values: NDArray[np.integer]) -> None:
    rows[:, at : at + 4] = values.astype(">u4").view(np.uint8).reshape(-1, 4)


def _fold(rows: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Internet checksum of each row (RFC 1071)."""
    if rows.shape[1] % 2:
        rows = np.concatenate([rows, np.zeros((len(rows), 1), np.uint8)], axis=1)
    total = np.ascontiguousarray(rows).view(">u2").sum(axis=1, dtype=np.uint32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).astype(np.uint16)


def _write(
    file: BinaryIO,
    frames: list[NDArray[np.uint8]],
    kind: NDArray[np.int64],
    place: NDArray[np.int64],
    length: NDArray[np.int64],
    time_ns: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    """Write the kept frames as pcap records in order of time."""
    order = np.argsort(time_ns, kind="stable")
    order = order[kept[order]]
    record = length[order] + 16
    at = np.cumsum(record) - record
    out = np.zeros(int(record.sum()), np.uint8)
    head = np.column_stack(
        [time_ns[order] // 10**9, time_ns[order] % 10**9, length[order], length[order]]
    ).astype("<u4")
    out[at[:, None] + np.arange(16)] = head.view(np.uint8).reshape(-1, 16)
    for number, rows in enumerate(frames):
        mine = np.flatnonzero(kind[order] == number)
        for some in np.array_split(mine, max(1, len(mine) // 10_000)):
            out[(at[some] + 16)[:, None] + np.arange(rows.shape[1])] = rows[place[order[some]]]
    file.write(out.tobytes())


if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]))
