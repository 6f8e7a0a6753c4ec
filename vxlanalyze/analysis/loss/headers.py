"""Find the header field or option that decides, from a sample of lost and delivered packets.

Every field that a device may filter by is a hypothesis: "all packets with this value are lost". One delivered
packet with the value refutes it. The remaining hypotheses are weighed against chance: that a draw of this
many lost packets from the sample includes all that have the value. The evidence is reduced by the number of
values examined.

Sources: W. Hoeffding, JASA 58 (1963), for draws without replacement; RFC 6040 (ECN in tunnels), RFC 2983
(DSCP).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss import options, traits
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.capture.model import Frames
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.sorting import present
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.model import NO_FLOW, Tunnel
from vxlanalyze.wire.rows import Columns, columns

SERVICE, SOURCE = "service", "source"
_LOST, _OTHERS = 400, 1200  # packets of the sample
_REFUTING = 200  # of the others; these are read first
_FEWEST = 5
ECN_NAMES = ("not-ECT", "ECT(1)", "ECT(0)", "CE")
_FLAGS = {0x01: "FIN", 0x04: "RST", 0x08: "PSH", 0x20: "URG", 0x40: "ECE", 0x80: "CWR"}
_MARKS = (" DSCP", " ECN")
_OPTION = "Geneve option"
_GENEVE_HEADER_BYTES, _ETHERNET_BYTES = 8, 14


@dataclass(frozen=True, eq=False)
class HeaderRule:
    """All packets with one value of a field are lost (or unanswered), and no other packet has it.

    Parameters
    ----------
    field, value : str
        The field and its value, in words.
    also : tuple of str
        Other fields that single out the same packets.
    chosen : NDArray[np.intp]
        Packets of the direction that the rule explains.
    sampled, others, others_with : int
        Packets of the sample that were lost, and that were not; of the latter, those with the value (none).
    nats : float
        Evidence against chance.
    """

    field: str
    value: str
    also: tuple[str, ...]
    chosen: NDArray[np.intp]
    sampled: int
    others: int
    nats: float


def decide(
    pair: Comparison, direction: Direction, lost: NDArray[np.intp], others: NDArray[np.intp], chance: float
) -> HeaderRule | None:
    """Find the field by which some packets of a direction were lost and others not.

    Parameters
    ----------
    lost, others : NDArray[np.intp]
        Packets of the direction; of both, a sample is read.
    chance : float
        Accepted probability of a coincidence.
    """
    if len(lost) < _FEWEST or len(others) < _FEWEST:
        return None
    # Services differ in their fields anyway, so only packets of the same service are compared.
    gone_at, kept_at = np.zeros((2, len(direction)), np.bool_)
    gone_at[lost], kept_at[others] = True, True
    member = _members(direction, SERVICE)
    lost = lost[_shared(direction, gone_at, kept_at, member)[lost]]
    others = others[_shared(direction, kept_at, gone_at, member)[others]]
    if len(lost) < _FEWEST or len(others) < _FEWEST:
        return None
    gone, kept = _sample(lost, _LOST), _sample(others, _OTHERS)
    read = _read(pair, direction, gone, kept)
    looked_at = _looked_at(read)
    found = [f for field in read for f in _weigh(direction, field, gone, looked_at)]
    best = max(found, key=lambda f: f[0], default=None)
    if best is None or best[0] < -log(chance):
        return None
    nats, field, value, has = best
    also = [f"{n} {v}" for s, n, v, h in found if n != field and s == nats and np.array_equal(h, has)]
    chosen = gone[has[: len(gone)]]
    if len(gone) < len(lost):
        chosen = lost if has[: len(gone)].all() else chosen
    return HeaderRule(field, value, tuple(also), chosen, len(gone), len(kept), nats)


def mark(
    pair: Comparison, direction: Direction, lost: NDArray[np.intp], others: NDArray[np.intp], chance: float
) -> HeaderRule | None:
    """Find a mark (DSCP, ECN, Geneve option) of all lost packets and no delivered one, in any service."""
    if len(lost) < _FEWEST or len(others) < _FEWEST:
        return None
    gone, kept = _sample(lost, _LOST), _sample(others, _OTHERS)
    read = [
        f for f in _read(pair, direction, gone, kept) if f[0].endswith(_MARKS) or f[0].startswith(_OPTION)
    ]
    looked_at = _looked_at(read)
    marked = [(name, values, {v: n for v, n in named.items() if v}) for name, values, named in read]
    found = [f for field in marked for f in _weigh(direction, field, gone, looked_at)]
    whole = [f for f in found if f[3][: len(gone)].all() and f[0] >= -log(chance)]
    if not whole:
        return None
    (nats, field, value, _), *same = sorted(whole, key=lambda f: -f[0])
    return HeaderRule(
        field, value, tuple(f"{n} {v}" for _, n, v, _ in same), lost, len(gone), len(kept), nats
    )


def all_carry(pair: Comparison, direction: Direction, packets: NDArray[np.intp], rule: HeaderRule) -> bool:
    """Whether all packets of a sample have the value by which others are lost."""
    for name, values, named in _fields(pair, direction, _sample(packets, _LOST)):
        if name == rule.field:
            return all(named.get(int(value)) == rule.value for value in present(values))
    return False


def alike(
    direction: Direction, packets: NDArray[np.bool_], others: NDArray[np.bool_], what: str
) -> NDArray[np.bool_]:
    """Which packets, shape ``(m,)``, are of a service (or source) that also occurs among the others."""
    return _shared(direction, packets, others, _members(direction, what))


def _members(direction: Direction, what: str) -> NDArray[np.intp]:
    """Number the service (or source) of each flow of the sender, shape ``(f,)``."""
    flows = direction.sender.flows
    at_source = traits.serves_at_source(flows)
    parts = [flows.src] if what == SOURCE else [np.where(at_source[:, np.newaxis], flows.src, flows.dst)]
    if what == SERVICE:
        port = traits.server_port(flows, np.arange(len(flows)), at_source).astype(np.uint16)
        parts += [flows.protocol[:, np.newaxis], port[:, np.newaxis].view(np.uint8)]
    return distinct(np.ascontiguousarray(np.concatenate(parts, axis=1)))[1]


def _shared(
    direction: Direction, packets: NDArray[np.bool_], others: NDArray[np.bool_], member: NDArray[np.intp]
) -> NDArray[np.bool_]:
    flow = direction.flow
    known = flow != NO_FLOW
    shared = np.zeros(int(member.max(initial=0)) + 1, np.bool_)
    shared[member[flow[others & known]]] = True
    result = packets & known
    result[result] = shared[member[flow[result]]]
    return result


def _sample(packets: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    return packets[np.linspace(0, len(packets) - 1, min(len(packets), most)).astype(np.intp)]


_Field = tuple[str, NDArray[np.int64], dict[int, str]]


def _read(
    pair: Comparison, direction: Direction, gone: NDArray[np.intp], kept: NDArray[np.intp]
) -> list[_Field]:
    """Read the fields of both; none where a few of the others already refute all that the lost have."""
    few = _sample(kept, _REFUTING)
    read = list(_fields(pair, direction, np.concatenate([gone, few])))
    if len(few) == len(kept):
        return read
    if not any(True for field in read for _ in _weigh(direction, field, gone, 1)):
        return []
    return list(_fields(pair, direction, np.concatenate([gone, kept])))


def _looked_at(read: list[_Field]) -> int:
    """Number of values frequent enough to be found, that is, of hypotheses."""
    often = 0
    for _, values, named in read:
        value, times = np.unique(values, return_counts=True)
        often += int((np.isin(value, list(named)) & (times >= _FEWEST)).sum())
    return max(often, 1)


def _weigh(
    direction: Direction, field: _Field, gone: NDArray[np.intp], looked_at: int
) -> Iterator[tuple[float, str, str, NDArray[np.bool_]]]:
    """Weigh each value that some lost packets have and no other packets."""
    name, values, named = field
    for value in present(values[: len(gone)]):
        has = values == value
        mine = int(np.count_nonzero(has[: len(gone)]))
        if int(value) not in named or mine < _FEWEST or has[len(gone) :].any():
            continue
        times = np.sort(direction.sent_ns(gone[has[: len(gone)]]))
        scale = evidence.independent(times) / mine
        nats = evidence.uneven(scale * mine, scale * mine, scale * len(gone), scale * len(values))
        yield nats - log(2 * looked_at), name, named[int(value)], has


def _fields(pair: Comparison, direction: Direction, packets: NDArray[np.intp]) -> Iterator[_Field]:
    """Read the fields of packets as the sender's capture shows them: name, values, and names of values."""
    source, sender = pair.captures[direction.sender.capture].source, direction.sender
    frames = source.fetch(sender.index.place[direction.sent_row[packets]])
    found = columns(frames, source.interfaces, ports=pair.ports)
    tunnelled = found["tunnel"] != Tunnel.NONE
    sides = [("outer", found["outer_tos"], found["outer_ttl"], found["outer_dont_fragment"])]
    if tunnelled.any():
        sides.append(("inner", found["tos"], found["ttl"], found["dont_fragment"]))
    for side, tos, ttl, dont_fragment in sides:
        known = np.maximum(tos, 0)
        yield f"{side} ECN", known & 3, dict(enumerate(ECN_NAMES))
        yield f"{side} DSCP", known >> 2, {v: str(v) for v in range(64)}
        yield f"{side} TTL", ttl, {v: str(v) for v in range(256)}
        yield f"{side} don't fragment", dont_fragment, {0: "not set", 1: "set"}
    for column, name in (("vni", "VNI"), ("vlan", "VLAN"), ("group_policy", "VXLAN group policy")):
        yield name, found[column], {int(v): str(int(v)) for v in present(found[column]) if v >= 0}
    flags = np.maximum(found["tcp_flags"], 0)
    for bit, name in _FLAGS.items():
        yield f"TCP flag {name}", (flags & bit != 0).astype(np.int64), {1: "set"}
    yield from _options(frames, found)


def _options(frames: Frames, found: Columns) -> Iterator[_Field]:
    """Options and extension headers: of each that occurs, which packets have it."""
    having: dict[str, list[int]] = {}
    for at in range(len(frames)):
        for name in _of_frame(frames, found, at):
            having.setdefault(name, []).append(at)
    for name, rows in having.items():
        has = np.zeros(len(frames), np.int64)
        has[rows] = 1
        yield name, has, {1: "present"}


def _of_frame(frames: Frames, found: Columns, at: int) -> Iterator[str]:
    start = int(frames.start[at])
    data = frames.data[start : start + int(frames.captured_length[at])].tobytes()
    inner = int(found["inner_start"][at]) - start
    if inner < 0:
        return
    inside = data[inner:]
    if int(found["tunnel"][at]) == Tunnel.GENEVE:
        header = inner - _GENEVE_HEADER_BYTES - max(int(found["geneve_options_bytes"][at]), 0)
        yield from options.of_geneve(data[max(header, 0) : inner])
    packet = inside if int(found["inner_ethertype"][at]) != 0x6558 else inside[_ETHERNET_BYTES:]
    if packet[:1] and packet[0] >> 4 == int(found["family"][at]):
        yield from options.of_packet(packet)
