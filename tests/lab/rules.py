"""What the network does to packets: rules with conditions, applied in order, from a seed.

A rule says `on` which direction (``node1>node2``, or ``*``) it `do`es what; every other field is a
condition or a figure of the action. The first rule that drops a packet ends its way; others add up.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.lab import packet as wire
from tests.lab.packet import Packet

NEVER_S = 1e9


@dataclass(frozen=True)
class Rule:
    """One line of a scenario's ``[[network]]``; conditions that are None always hold.

    The packets meant are those of the tunnel unless `tunnel` says otherwise; addresses, ports and
    protocol are those of the innermost packet (of the only one where there is no tunnel).
    """

    do: str
    on: str = "*"
    tunnel: bool | None = True
    protocol: str | None = None
    src: str | None = None
    dst: str | None = None
    sport: int | None = None
    dport: int | None = None
    outer_src: str | None = None
    outer_dst: str | None = None
    outer_longer_than: int | None = None
    payload_at_most: int | None = None
    outer_port_modulo: tuple[int, int] | None = None
    first_of_flow: bool = False
    later_fragment: bool = False
    any_fragment: bool = False
    outer_tos: tuple[int, int] | None = None  # mask and value
    inner_tos: tuple[int, int] | None = None
    tcp_flags: tuple[int, int] | None = None
    new_after_s: float | None = None  # packets of flows whose first packet came later
    faster_than: tuple[float, float] | None = None  # octets a second, and the burst that passes
    every: int | None = None
    probability: float | None = None
    burst: tuple[float, float] | None = None
    after_s: float = -NEVER_S
    until_s: float = NEVER_S
    # Figures of the actions.
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    copies: int = 1
    mtu: int = 0
    keep: str = "all"
    where: str = ""
    value: int = 0
    address: str = ""
    router: str = ""
    code: int = 4
    hops: int = 1


@dataclass(frozen=True)
class Fate:
    """What becomes of one frame: copies to send on, frames to send back, and what was done."""

    forward: tuple[bytes, ...]
    back: tuple[bytes, ...] = ()
    delay_ms: float = 0.0
    acts: tuple[str, ...] = ()

    @property
    def lost(self) -> bool:
        """Whether the far side can no longer get the whole packet."""
        return not self.forward or "pieces-dropped" in self.acts


@dataclass
class Memory:
    """What the rules remember from one packet to the next."""

    seed: int
    random: random.Random = field(init=False)
    counts: Counter[int] = field(default_factory=Counter)
    flows: set[tuple[int, str, str, int, int, int]] = field(default_factory=set)
    in_burst: dict[int, bool] = field(default_factory=dict)
    now_s: float = 0.0
    direction: str = ""
    joined_s: dict[tuple[str, str], float] = field(default_factory=dict)
    first_s: dict[tuple[int, str, str, int, int, int], float] = field(default_factory=dict)
    filled: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)


def apply(rules: tuple[Rule, ...], packet: Packet, direction: str, now_s: float, memory: Memory) -> Fate:
    """Decide the fate of a packet that enters the network `now_s` seconds after the work began."""
    fate = Fate((packet.frame,))
    memory.now_s, memory.direction = now_s, direction
    for number, rule in enumerate(rules):
        if rule.on not in ("*", direction) or not _holds(rule, number, packet, now_s, memory):
            continue
        fate = ACTIONS[rule.do](rule, packet, fate, memory)
        if fate.lost:
            break
        packet = wire.Packet(fate.forward[0], packet.layers, packet.vni_at)
    return fate


def _holds(rule: Rule, number: int, packet: Packet, now_s: float, memory: Memory) -> bool:
    """Whether all conditions hold; those that draw lots or count are asked last."""
    return (
        rule.after_s <= now_s < rule.until_s
        and _is_meant(rule, packet)
        and _has_size(rule, packet)
        and _has_header(rule, packet)
        and _is_new(rule, number, packet, now_s, memory)
        and _is_chosen(rule, number, packet, memory)
        and _is_too_fast(rule, number, packet, now_s, memory)
    )


def _is_meant(rule: Rule, packet: Packet) -> bool:
    outer, inner = packet.outer, packet.tunnelled
    piece = outer is not None and outer.fragment_bytes > 0
    if rule.tunnel is not None and rule.tunnel != (inner is not None or piece):
        return False
    if rule.later_fragment != (piece and rule.later_fragment):
        return False
    asked = {name: getattr(rule, name) for name in ("src", "dst", "sport", "dport")}
    asked["protocol"] = wire.PROTOCOLS[rule.protocol] if rule.protocol else None
    ends = [(rule.outer_src, outer and outer.src), (rule.outer_dst, outer and outer.dst)]
    if any(value not in (None, found) for value, found in ends):
        return False
    ip = inner or outer
    return all(
        value is None or (ip is not None and getattr(ip, name) == value) for name, value in asked.items()
    )


def _has_size(rule: Rule, packet: Packet) -> bool:
    outer = packet.outer
    if rule.outer_longer_than is not None and (outer is None or outer.length_bytes <= rule.outer_longer_than):
        return False
    if rule.payload_at_most is not None and packet.payload_bytes > rule.payload_at_most:
        return False
    if rule.outer_port_modulo is None:
        return True
    divisor, remainder = rule.outer_port_modulo
    return outer is not None and outer.sport % divisor == remainder


def _has_header(rule: Rule, packet: Packet) -> bool:
    """Whether the fields of one header have the values that are meant."""
    outer, inner = packet.outer, packet.layers[-1] if packet.layers else None
    if rule.any_fragment and (outer is None or not outer.is_fragment):
        return False
    flags = packet.frame[inner.payload_at + 13] if inner and inner.protocol == wire.TCP else None
    wanted = (
        (rule.outer_tos, outer and wire.traffic_class(packet.frame, outer)),
        (rule.inner_tos, inner and wire.traffic_class(packet.frame, inner)),
        (rule.tcp_flags, flags),
    )
    return all(
        asked is None or (octet is not None and octet & asked[0] == asked[1]) for asked, octet in wanted
    )


def _is_new(rule: Rule, number: int, packet: Packet, now_s: float, memory: Memory) -> bool:
    if rule.new_after_s is None:
        return True
    ip = packet.layers[-1]
    flow = (number, ip.src, ip.dst, ip.sport, ip.dport, ip.protocol)
    return memory.first_s.setdefault(flow, now_s) >= rule.new_after_s


def _is_too_fast(rule: Rule, number: int, packet: Packet, now_s: float, memory: Memory) -> bool:
    """A policer: a bucket of one burst, refilled at the rate; what it does not hold is dropped."""
    if rule.faster_than is None:
        return True
    rate, burst = rule.faster_than
    held, then_s = memory.filled.get(number, (burst, now_s))
    held = min(burst, held + (now_s - then_s) * rate)
    passes = held >= len(packet.frame)
    memory.filled[number] = (held - len(packet.frame) if passes else held, now_s)
    return not passes


def _is_chosen(rule: Rule, number: int, packet: Packet, memory: Memory) -> bool:
    if rule.first_of_flow and not _is_first(number, packet, memory):
        return False
    if rule.every is not None:
        memory.counts[number] += 1
        if memory.counts[number] % rule.every:
            return False
    if rule.burst is not None:
        return _in_burst(rule.burst, number, memory)
    return rule.probability is None or memory.random.random() < rule.probability


def _is_first(number: int, packet: Packet, memory: Memory) -> bool:
    ip = packet.layers[-1]
    flow = (number, ip.src, ip.dst, ip.sport, ip.dport, ip.protocol)
    if flow in memory.flows:
        return False
    memory.flows.add(flow)
    return True


def _in_burst(burst: tuple[float, float], number: int, memory: Memory) -> bool:
    """Loss in bursts: the chances to begin and to end one (Gilbert 1960)."""
    begin, end = burst
    inside = memory.in_burst.get(number, False)
    inside = memory.random.random() >= end if inside else memory.random.random() < begin
    memory.in_burst[number] = inside
    return inside


def _drop(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    return replace(fate, forward=(), acts=(*fate.acts, "drop"))


def _reject(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Drop, and say so: ICMP with `code` from `router`."""
    back = wire.unreachable(packet, rule.router, rule.code, rule.mtu)
    return replace(fate, forward=(), back=(*fate.back, back), acts=(*fate.acts, "reject"))


def _too_big(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Drop what is larger than `mtu`; a `router` says so where one is given."""
    outer = packet.outer
    if outer is None or outer.length_bytes <= rule.mtu:
        return fate
    return (_reject if rule.router else _drop)(rule, packet, fate, memory)


def _fragment(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Cut what is larger than `mtu`; pass `keep` = all pieces or only the first."""
    pieces = wire.fragments(packet, rule.mtu)
    if len(pieces) == 1:
        return fate
    if rule.keep == "first":
        return replace(fate, forward=tuple(pieces[:1]), acts=(*fate.acts, "fragment", "pieces-dropped"))
    return replace(fate, forward=tuple(pieces), acts=(*fate.acts, "fragment"))


def _delay(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    more_ms = rule.delay_ms + rule.jitter_ms * memory.random.random()
    return replace(fate, delay_ms=fate.delay_ms + more_ms, acts=(*fate.acts, "delay"))


def _duplicate(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    return replace(fate, forward=fate.forward * (1 + rule.copies), acts=(*fate.acts, "duplicate"))


def _corrupt(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Damage a few bits of what `where` names; no checksum is brought up to date."""
    outer, inner = packet.outer, packet.tunnelled
    if outer is None or inner is None:
        return fate
    places = {
        "outer-ip-checksum": outer.at + 10,
        "outer-udp-checksum": outer.checksum_at,
        "inner-ip-checksum": inner.at + 10,
        "inner-checksum": inner.checksum_at,
        "inner-payload": inner.end - 2,
    }
    at = places[rule.where]
    if at is None:
        return fate
    frame = wire.flip(packet.frame, at, b"\x5a\xa5")
    return replace(fate, forward=(frame,), acts=(*fate.acts, f"corrupt-{rule.where}"))


def _nat(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Give the outer packet another source address, as a gateway does, checksums brought up to date."""
    outer = packet.outer
    if outer is None or outer.version != 4:
        return fate
    udp_at = outer.checksum_at
    filled = udp_at is not None and packet.frame[udp_at : udp_at + 2] != b"\0\0"
    address = bytes(int(octet) for octet in rule.address.split("."))
    frame = wire.replace(packet.frame, outer.at + 12, address, outer.at + 10, udp_at if filled else None)
    return replace(fate, forward=(frame,), acts=(*fate.acts, "nat"))


def _rewrite(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Set the field `where` (dscp, as networks may; outer-sport, outer-checksum, vni) to `value`."""
    outer = packet.outer
    if outer is None or (rule.where == "vni" and packet.vni_at is None):
        return fate
    if rule.where == "dscp":
        octets = bytes([packet.frame[outer.at], rule.value << 2])
        frame = wire.replace(packet.frame, outer.at, octets, outer.at + 10 if outer.version == 4 else None)
    elif rule.where == "vni":
        at = packet.vni_at or 0
        frame = packet.frame[:at] + rule.value.to_bytes(3, "big") + packet.frame[at + 3 :]
    else:
        at = outer.payload_at + {"outer-sport": 0, "outer-checksum": 6}[rule.where]
        frame = wire.replace(packet.frame, at, rule.value.to_bytes(2, "big"))
    return replace(fate, forward=(frame,), acts=(*fate.acts, f"rewrite-{rule.where}"))


def _snoop(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Pass what goes to a group on to members only (RFC 4541); all are when the work begins.

    A membership ends `value` seconds after its last report.
    """
    ip, (source, _, target) = packet.outer, memory.direction.partition(">")
    if ip is None or ip.version != 4 or int(ip.dst.split(".")[0]) >> 4 != 14:
        return fate
    if ip.protocol == wire.IGMP:
        for group in wire.reported_groups(packet):
            memory.joined_s[source, group] = memory.now_s
        return fate
    last_s = max(memory.joined_s.get((target, ip.dst), 0.0), 0.0)
    return fate if memory.now_s <= last_s + rule.value else _drop(rule, packet, fate, memory)


def _expire(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Take `hops` from the outer packet's TTL; where it does not have them, a `router` says time exceeded."""
    outer = packet.outer
    if outer is None:
        return fate
    at = outer.at + (8 if outer.version == 4 else 7)
    left = packet.frame[at] - rule.hops
    if left > 0:
        octets = bytes([left, packet.frame[at + 1]])
        frame = wire.replace(packet.frame, at, octets, outer.at + 10 if outer.version == 4 else None)
        return replace(fate, forward=(frame,), acts=(*fate.acts, "hops"))
    back = (wire.time_exceeded(packet, rule.router),) if rule.router else ()
    return replace(fate, forward=(), back=(*fate.back, *back), acts=(*fate.acts, "expire"))


def _reset(rule: Rule, packet: Packet, fate: Fate, memory: Memory) -> Fate:
    """Answer a TCP segment with a reset that its receiver never sent, and drop it or let it pass."""
    back = wire.reset(packet)
    if back is None:
        return fate
    forward = fate.forward if rule.keep == "passes" else ()
    return replace(fate, forward=forward, back=(*fate.back, back), acts=(*fate.acts, "reset"))


Action = Callable[[Rule, Packet, Fate, Memory], Fate]
ACTIONS: dict[str, Action] = {
    "drop": _drop,
    "reject": _reject,
    "too-big": _too_big,
    "fragment": _fragment,
    "delay": _delay,
    "duplicate": _duplicate,
    "expire": _expire,
    "corrupt": _corrupt,
    "nat": _nat,
    "reset": _reset,
    "rewrite": _rewrite,
    "snoop": _snoop,
}
