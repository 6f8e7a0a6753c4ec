"""Find out how outer checksums became invalid, from a sample of packets at both points.

The outer UDP checksum sums the addresses, the ports, and everything after them (RFC 768). If one 16-bit field
was rewritten without updating the checksum, the stored checksum exceeds the correct one by as much as the
field exceeds its original, modulo 65535 (RFC 1624). So the original of a rewritten source port is ``port -
(stored - right)``; it is proved if the sender's capture shows that port, or if all packets of each flow give
the same port and all of these are in the range that kernels choose from.

Runs of consecutive segments of a flow, each run with the same error in all its segments, stem from large
packets that were segmented in software twice: the error of the first segmentation is copied into every
segment (pjknkda/vxlan-gso-csum-bug, Linux 5.15 and later).
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.integrity.alone import is_alone
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.wire import protocols
from vxlanalyze.wire.model import Checksum
from vxlanalyze.wire.rows import Columns, columns

_MODULUS = 0xFFFF  # ones' complement arithmetic: 0 and 65535 are the same sum
_SAMPLE = 2000
# net.ipv4.ip_local_port_range of Linux, which its VXLAN devices use by default (srcport); it covers the range
# of RFC 7348 section 5 (49152 to 65535) except for its end.
_KERNEL_PORTS = (32768, 65535)


_SHORTEST_RUN = 3  # segments with the same error: by coincidence once in 65,535 squared


class ChecksumKind(Enum):
    """How the checksums became invalid."""

    ALL_ONES = "all ones"
    PORT = "source port rewritten"
    ADDRESS = "address rewritten"
    LEFT_WRONG = "wrong when it left"
    SEGMENTED_TWICE = "segmented twice in software"
    VNI = "VNI rewritten"
    COVERED = "bytes under it changed"
    FILLED_WRONG = "filled in wrong"
    NEVER_FILLED = "never filled in"
    UNKNOWN = "wrong on arrival"


@dataclass(frozen=True, slots=True)
class Forensics:
    """What a sample of packets with invalid outer checksums shows.

    Parameters
    ----------
    kind : Kind
        Of most of them.
    sampled, of_kind : int
        Packets examined, and those of that kind.
    same_at_both : int
        Packets with the same invalid checksum at both points.
    original_ports : tuple of int
        Source ports before rewriting, most frequent first.
    seen_ports : tuple of int
        Source ports on arrival.
    proved : bool
        Whether the sender's capture itself shows the original ports.
    alone : bool
        Whether there is no capture of the sender.
    vnis : tuple of (int, int)
        VNIs as sent and on arrival, most frequent first.
    runs, longest_run : int
        Runs of consecutive segments of a flow that share one error, and the longest of them, in packets.
    others_right : int
        Further packets of these flows with a valid checksum.
    """

    kind: ChecksumKind
    sampled: int
    of_kind: int
    same_at_both: int
    original_ports: tuple[int, ...] = ()
    seen_ports: tuple[int, ...] = ()
    proved: bool = False
    alone: bool = False
    vnis: tuple[tuple[int, int], ...] = ()
    runs: int = 0
    longest_run: int = 0
    others_right: int = 0


def examine(
    pair: Comparison, direction: Direction, wrong: NDArray[np.bool_], states: NDArray[np.uint8], chance: float
) -> Forensics:
    """Examine a sample of packets whose outer checksum is invalid on arrival.

    Parameters
    ----------
    wrong : NDArray[np.bool_]
        Shape ``(m,)``; at least one.
    states : NDArray[np.uint8]
        Shape ``(m,)``: `Checksum` as received.
    chance : float
        Accepted probability of mistaking arbitrary ports for the original ones.
    """
    chosen = np.flatnonzero(wrong)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _SAMPLE)).astype(np.intp)]
    there = _read(pair, direction.receiver, direction.received_row[chosen])
    here = _read(pair, direction.sender, direction.sent_row[chosen])
    # A frame that the card will segment has other lengths, so its checksum says nothing about theirs.
    whole = direction.sender.segment_bytes[direction.sent_row[chosen]] == 0
    same = whole & (here["outer_checksum"] == there["outer_checksum"])
    # The card may still process a field that the kernel has corrupted.
    all_ones = (states[chosen] == Checksum.ALL_ONES) | (here["outer_checksum_state"] == Checksum.ALL_ONES)
    original = original_ports(there["outer_sport"], there["outer_checksum"], there["outer_checksum_expected"])
    as_sent = (here["outer_sport"] - original) % _MODULUS == 0
    rewritten = (here["outer_sport"] != there["outer_sport"]) & as_sent & ~all_ones
    if 2 * int(rewritten.sum()) > len(chosen):
        return _ports(rewritten, original, there, same, proved=True)
    if 2 * int(all_ones.sum()) > len(chosen):
        return Forensics(ChecksumKind.ALL_ONES, len(chosen), int(all_ones.sum()), int(same.sum()))
    # A checksum that the card completes further in (LCO) is as valid as a complete one.
    was_right = np.isin(here["outer_checksum_state"], (Checksum.OK, Checksum.LCO))
    left_wrong = same & ~was_right
    if is_alone(direction):
        ported = consistent(direction.flow[chosen], original, chance)
        by_ports = _ports(same, original, there, same, proved=False)
        return replace(
            by_ports if ported else Forensics(ChecksumKind.UNKNOWN, len(chosen), len(chosen), 0), alone=True
        )
    if 2 * int(left_wrong.sum()) > len(chosen):
        if consistent(direction.flow[chosen][left_wrong], original[left_wrong], chance):
            return _ports(left_wrong, original, there, same, proved=False)
        twice = _segmented_twice(direction, chosen[left_wrong], states, (there, left_wrong))
        if twice is not None:
            return replace(twice, sampled=len(chosen), same_at_both=int(same.sum()))
        return Forensics(ChecksumKind.LEFT_WRONG, len(chosen), int(left_wrong.sum()), int(same.sum()))
    moved = _made_for_other_addresses(here, there)
    if 2 * int(moved.sum()) > len(chosen):
        return Forensics(ChecksumKind.ADDRESS, len(chosen), int(moved.sum()), int(same.sum()))
    # A checksum completed by the card is valid for the packet as the sender's capture shows it.
    covered = same & was_right | whole & (there["outer_checksum"] == here["outer_checksum_expected"])
    other_vni = covered & (here["vni"] != there["vni"])
    if 2 * int(other_vni.sum()) > len(chosen):
        vnis = _changes(here["vni"][other_vni], there["vni"][other_vni])
        return Forensics(ChecksumKind.VNI, len(chosen), int(other_vni.sum()), int(same.sum()), vnis=vnis)
    if 2 * int(covered.sum()) > len(chosen):
        return Forensics(ChecksumKind.COVERED, len(chosen), int(covered.sum()), int(same.sum()))
    rest = len(chosen) - int(same.sum())
    return Forensics(ChecksumKind.FILLED_WRONG, len(chosen), rest, int(same.sum()))


def _segmented_twice(
    direction: Direction,
    chosen: NDArray[np.intp],
    states: NDArray[np.uint8],
    read: tuple[Columns, NDArray[np.bool_]],
) -> Forensics | None:
    """Recognise runs of TCP segments that share an error; None where there are none."""
    there, left_wrong = read
    flows, flow = direction.sender.flows, direction.flow[chosen]
    error = ((there["outer_checksum"] - there["outer_checksum_expected"]) % _MODULUS)[left_wrong]
    order = np.argsort(flow, kind="stable")  # in the order sent, flow by flow
    changes = (np.diff(flow[order]) != 0) | (np.diff(error[order]) != 0)
    lengths = np.diff(np.flatnonzero(np.concatenate(([True], changes, [True]))))
    in_runs = int(lengths[lengths >= _SHORTEST_RUN].sum())
    if (
        2 * in_runs <= len(chosen)
        or len(np.unique(error)) < 2
        or (flows.protocol[flow] != protocols.TCP).any()
    ):
        return None
    concerned = np.zeros(len(flows), np.bool_)
    concerned[flow] = True
    right = concerned[direction.flow] & np.isin(states, (Checksum.OK, Checksum.LCO))
    return Forensics(
        ChecksumKind.SEGMENTED_TWICE,
        len(chosen),
        in_runs,
        0,
        runs=int((lengths >= _SHORTEST_RUN).sum()),
        longest_run=int(lengths.max()),
        others_right=int(np.count_nonzero(right)),
    )


def original_ports(
    port: NDArray[np.int64], stored: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Recover the source ports that invalid checksums were computed for, shape kept."""
    return (port - (stored - right)) % _MODULUS


def consistent(flow: NDArray[np.int32], original: NDArray[np.int64], chance: float) -> bool:
    """Whether recovered ports are plausible as originals.

    An invalid checksum of any other origin gives an arbitrary number: the probability that packets of one
    flow agree, and that flows fall into the port range that kernels choose from, is compared with `chance`.
    """
    flows, first, code = np.unique(flow, return_index=True, return_inverse=True)
    if (original != original[first][code]).any():
        return False
    low, high = _KERNEL_PORTS
    if ((original < low) | (original > high)).any():
        return False
    nats = len(flows) * log(_MODULUS / (high - low + 1)) + (len(flow) - len(flows)) * log(_MODULUS)
    return nats > -log(chance)


def _ports(
    chosen: NDArray[np.bool_],
    original: NDArray[np.int64],
    there: Columns,
    same: NDArray[np.bool_],
    *,
    proved: bool,
) -> Forensics:
    return Forensics(
        ChecksumKind.PORT,
        len(chosen),
        int(chosen.sum()),
        int(same.sum()),
        _most_frequent(original[chosen]),
        _most_frequent(there["outer_sport"][chosen]),
        proved,
    )


def _most_frequent(values: NDArray[np.int64]) -> tuple[int, ...]:
    names, counts = np.unique(values, return_counts=True)
    return tuple(names[np.argsort(-counts, kind="stable")].tolist())


def _changes(before: NDArray[np.int64], after: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    pairs, counts = np.unique(np.column_stack([before, after]), axis=0, return_counts=True)
    return tuple((int(a), int(b)) for a, b in pairs[np.argsort(-counts, kind="stable")])


def _made_for_other_addresses(here: Columns, there: Columns) -> NDArray[np.bool_]:
    """Packets whose checksum would be valid with the addresses in the sender's capture."""
    grown = _sum(there) - _sum(here)
    short = there["outer_checksum"] - there["outer_checksum_expected"]
    made: NDArray[np.bool_] = (grown != 0) & ((short - grown) % _MODULUS == 0)
    return made


def _sum(found: Columns) -> NDArray[np.int64]:
    """Sum the outer addresses as the pseudo-header does, not folded."""
    both = np.concatenate([found["outer_src"], found["outer_dst"]], axis=1)
    sums: NDArray[np.int64] = np.ascontiguousarray(both).view(">u2").astype(np.int64).sum(axis=1)
    return sums


def _read(pair: Comparison, point: Point, rows: NDArray[np.int32]) -> Columns:
    source = pair.captures[point.capture].source
    return columns(source.fetch(point.index.place[rows]), source.interfaces, ports=pair.ports)
