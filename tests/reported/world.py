"""A small world: nodes with tunnel addresses, pods on them, clocks that differ, and what their captures see.

Everything happens in the order of a clock that only the world knows. A pod sends a packet, its node takes it
to the NIC (translated, routed, in the tunnel), fates decide what becomes of it, the other node takes it in.
Each place that captures writes down what it sees by its node's clock.
"""

import heapq
import ipaddress
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.reported import frames as f
from tests.reported.files import ETHERNET, SLL2, Capture, Interface
from tests.reported.frames import Packet

MICRO, MILLI, SECOND = 1_000, 1_000_000, 1_000_000_000
LATENCY_IN_NODE = 9 * MICRO

Translate = Callable[[Packet], Packet | None]
Fate = Callable[["Transit"], None]


@dataclass
class Tunnel:
    """How nodes carry pods' packets; ``kind``: vxlan, geneve, gre, ipip, wireguard, esp, none (bare)."""

    kind: str = "vxlan"
    port: int = 8472
    vni: int = 1
    flags: int = 0x08
    group: int | None = None
    options: tuple[tuple[int, int, bytes], ...] = ()
    family: int = 4  # of the outer addresses
    layer2: bool = False  # pods' MACs inside, no hop inside the nodes
    checksum: f.Checksum = "zero"
    ttl: int = 64
    tos: int | None = None  # None: copied from inside
    device: str = "flannel.1"
    sport: int | None = None  # None: by the flow
    key: int | None = None  # of GRE

    @property
    def overhead(self) -> int:
        room = {"vxlan": 50, "geneve": 50, "gre": 24, "ipip": 20, "wireguard": 60, "esp": 60, "none": 0}
        coded = sum(4 + -(-len(data) // 4) * 4 for _, _, data in self.options)
        return room[self.kind] + 20 * (self.family == 6) + coded


@dataclass(eq=False)
class Node:
    name: str
    world: "World" = field(repr=False)
    addresses: list[str]
    mac: str
    gateway: str  # the MAC that other nodes are reached by ("": their own, one segment)
    vtep: str
    offset: int  # ns that its clock is ahead
    drift: float  # ppm
    capture: Capture | None
    any: bool = False
    egress: list[Translate] = field(default_factory=list)
    ingress: list[Translate] = field(default_factory=list)
    idents: int = 0
    free_at: int = 0

    def address(self, family: int = 4) -> str:
        return next((a for a in self.addresses if f.is_ip6(a) == (family == 6)), self.addresses[0])

    def next_ident(self) -> int:
        self.idents = (self.idents + self.world.random.randint(1, 3)) & 0xFFFF
        return self.idents

    def clock(self, time: int) -> int:
        return time + self.offset + int((time - self.world.start) * self.drift / 1e6)

    def pod(self, address: str, name: str = "", mac: str = "", **labels: str) -> "Endpoint":
        return self.world._endpoint(Endpoint(address, self, mac, name or f"pod-{address}", "pod", labels))

    def host(self, address: str = "") -> "Endpoint":
        """Return the node itself as one that talks (bare)."""
        address = address or self.addresses[0]
        known = self.world.endpoints.get(address)
        return known or self.world._endpoint(Endpoint(address, self, self.mac, self.name, "host"))

    def outside(self, address: str, name: str = "", ttl: int = 57) -> "Endpoint":
        """Return a machine outside the cluster that reaches it by this node."""
        return self.world._endpoint(
            Endpoint(address, self, "", name or f"host-{address}", "outside", ttl=ttl)
        )


@dataclass(eq=False)
class Endpoint:
    """Who talks: a pod, a node itself, a machine outside."""

    address: str
    node: Node = field(repr=False)
    mac: str
    name: str
    kind: str
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = "default"
    ttl: int = 64
    capture: Capture | None = None
    veth: int = 0
    idents: int = 0
    ticks: int = 0
    sport: int = 0
    sockets: dict[Any, Callable[[Packet], None]] = field(default_factory=dict, repr=False)
    listeners: dict[tuple[int, int], Callable[[Packet], None]] = field(default_factory=dict, repr=False)
    silent: bool = False  # answers nothing by itself

    @property
    def ip6(self) -> bool:
        return f.is_ip6(self.address)

    def next_ident(self) -> int:
        self.idents = (self.idents + 1) & 0xFFFF
        return self.idents

    def next_sport(self) -> int:
        rnd = self.node.world.random
        self.sport = 32768 + (self.sport - 32768 + 2 * rnd.randint(1, 900)) % 28232
        return self.sport

    def timestamp(self) -> int:
        """Return the TCP time stamp value of now: milliseconds since this host started."""
        return (self.ticks + (self.node.world.now - self.node.world.start) // MILLI) & 0xFFFFFFFF

    def send(self, packet: Packet) -> "Transit | None":
        return self.node.world.transmit(packet, self)

    def watch(self, name: str, **options: Any) -> Capture:
        """Capture at this pod's veth, bare."""
        self.capture = self.node.world._capture(name, **options)
        return self.capture


@dataclass(eq=False)
class Transit:
    """One packet on its way between two nodes; fates change it."""

    world: "World" = field(repr=False)
    at: int
    packet: Packet  # as it leaves the node, inside the tunnel
    sender: Endpoint | None
    origin: Node
    target: Node | None
    to: Endpoint | None
    tunnel: Tunnel | None  # None: bare
    outer_src: str = ""
    outer_dst: str = ""
    sport: int = 0
    ident: int = 0
    inner_macs: tuple[str, str] = ("", "")  # destination, source
    outer_macs: tuple[str, str] = ("", "")
    lost: bool = False  # between the nodes
    unsent: bool = False  # dies before the NIC
    unseen: set[str] = field(default_factory=set)  # names of nodes whose capture lacks it
    copies: int = 1  # that arrive
    extra: int = 0  # ns of delay, past the others
    accepted: bool = True  # the target takes it in
    received: Packet | None = None  # as it arrives, where altered on the way
    arrival: dict[str, Any] = field(default_factory=dict)  # fields of the outer packet as it arrives
    damage: Callable[[bytes], bytes] | None = None  # what happens to the frame on its way
    outer: dict[str, Any] = field(default_factory=dict)  # fields of the outer packet
    mtu: int | None = None  # the sender cuts the outer packet
    lost_pieces: set[int] = field(default_factory=set)
    number: int = 0  # in this direction

    @property
    def direction(self) -> tuple[str, str]:
        return self.origin.name, self.target.name if self.target else ""

    @property
    def size(self) -> int:
        """Return the length of the IP packet on the wire."""
        return len(self.wire_packet())

    def is_from(self, node: Node) -> bool:
        return self.origin is node

    def wire_packet(self, arrives: bool = False) -> Packet:
        """Return the outermost packet as it is sent, or as it arrives."""
        inner = self.received if arrives and self.received is not None else self.packet
        return self._wrap(inner).alter(**self.outer).alter(**(self.arrival if arrives else {}))

    def _wrap(self, inner: Packet) -> Packet:
        tunnel = self.tunnel
        if tunnel is None or tunnel.kind == "none":
            return inner
        outer: dict[str, Any] = {
            "ttl": tunnel.ttl,
            "ident": self.ident,
            "dont_fragment": False,
            "tos": inner.tos if tunnel.tos is None else tunnel.tos,
        }
        if tunnel.kind == "ipip":
            return Packet(
                self.outer_src, self.outer_dst, f.Raw(bytes(inner)), 41 if inner.ip6 else 4, **outer
            )
        if tunnel.kind == "gre":
            key = {"key": tunnel.key} if tunnel.key is not None else {}
            coded = f.gre(0x86DD if inner.ip6 else 0x0800, bytes(inner), **key)
            if tunnel.layer2:
                coded = f.gre(0x6558, f.ethernet(*self.inner_macs, inner), **key)
            return Packet(self.outer_src, self.outer_dst, f.Raw(coded), f.GRE, **outer)
        if tunnel.kind in ("wireguard", "esp"):
            return self._seal(inner, outer)
        frame = f.ethernet(*self.inner_macs, inner)
        if tunnel.kind == "geneve":
            coded = f.geneve(tunnel.vni, frame, tunnel.options)
        else:
            coded = f.vxlan(tunnel.vni, frame, tunnel.flags, tunnel.group)
        body = f.Udp(self.sport, tunnel.port, coded, tunnel.checksum)
        return Packet(self.outer_src, self.outer_dst, body, **outer)

    def _seal(self, inner: Packet, outer: dict[str, Any]) -> Packet:
        """Hide a packet: in WireGuard (``vni`` is the receiver's index) or ESP (the SPI)."""
        assert self.tunnel is not None
        tunnel, size = self.tunnel, f.wireguard_size(len(inner))
        dark = random.Random(zlib.crc32(bytes(inner)) ^ self.number).randbytes(size)
        if tunnel.kind == "esp":
            return Packet(
                self.outer_src,
                self.outer_dst,
                f.esp(tunnel.vni, self.number, dark + dark[:8]),
                f.ESP,
                **outer,
            )
        body = f.Udp(tunnel.port, tunnel.port, f.wireguard_data(tunnel.vni, self.number, dark))
        return Packet(self.outer_src, self.outer_dst, body, **outer)


class World:
    """What happens between the nodes of one pair of captures."""

    def __init__(
        self,
        seed: int = 1,
        *,
        start: str = "2025-03-11T07:18:24",
        tunnel: Tunnel | None = None,
        tunnel6: Tunnel | None = None,
        delay: float = 0.4,
        jitter: float = 0.08,
        rate: float = 10e9,
        routed: bool = False,
        ng: bool = False,
    ) -> None:
        """Start a world; ``delay`` and ``jitter`` in ms one way, ``rate`` in bits a second of a NIC."""
        self.random = random.Random(seed)
        moment = zlib.crc32(start.encode()) % SECOND
        self.start = _epoch(start) * SECOND + moment
        self.now = self.start
        self.tunnel = tunnel or Tunnel()
        self.tunnel6 = tunnel6 or self.tunnel
        self.delay, self.jitter, self.rate = int(delay * MILLI), int(jitter * MILLI), rate
        self.routed, self.ng = routed, ng
        self.nodes: list[Node] = []
        self.endpoints: dict[str, Endpoint] = {}
        self.captures: list[Capture] = []
        self.fates: list[Fate] = []
        self.observers: list[Fate] = []
        self.lost: list[list[Any]] = []
        self.dialogues: dict[tuple[int, int], dict[str, Any]] = {}  # by server and client port
        self.services: dict[tuple[str, int], Service] = {}
        self.kube: dict[str, Any] | None = None
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._last: dict[tuple[str, str], int] = {}
        self._count: Counter[tuple[str, str]] = Counter()
        self._veths = 10

    # ---------------------------------------------------------------- who is there

    def node(
        self,
        name: str,
        *addresses: str,
        mac: str = "",
        vtep: str = "",
        offset: float = 0,
        drift: float = 0,
        captured: bool = True,
        any: bool = False,
        **options: Any,
    ) -> Node:
        """Add a node; ``offset`` in ms that its clock is ahead, ``any``: captured with ``-i any``."""
        capture = self._capture(name, any, **options) if captured else None
        gateway = self._mac("00:1c:73", "gateway of " + name) if self.routed else ""
        made = Node(
            name,
            self,
            list(addresses),
            mac or self._mac("02:00:0a", name),
            gateway,
            vtep or self._mac("", "vtep" + name),
            int(offset * MILLI),
            drift,
            capture,
            any,
            idents=self.random.randrange(65536),
        )
        self.nodes.append(made)
        return made

    def _capture(self, name: str, any: bool = False, **options: Any) -> Capture:
        if any:
            options.setdefault("interfaces", [Interface("any", SLL2)])
        options.setdefault("ng", self.ng)
        self.captures.append(Capture(name, **options))
        return self.captures[-1]

    def _mac(self, prefix: str, name: str) -> str:
        digest = random.Random(zlib.crc32(name.encode())).randbytes(6)
        digest = bytes([digest[0] & 0xFC | 2]) + digest[1:]
        full = f.mac(prefix)[:3] + digest[3:] if prefix else digest
        return full.hex(":")

    def _endpoint(self, made: Endpoint) -> Endpoint:
        made.mac = made.mac or self._mac("", made.address)
        made.idents, made.ticks = self.random.randrange(65536), self.random.randrange(10**8, 4 * 10**9)
        made.sport = 32768 + self.random.randrange(28232)
        self._veths += 1
        made.veth = self._veths
        self.endpoints[made.address] = made
        return made

    def service(
        self,
        address: str,
        port: int,
        *backends: Endpoint,
        name: str = "web",
        namespace: str = "default",
        target: int | None = None,
        protocol: int = f.TCP,
        masquerade: bool = False,
    ) -> "Service":
        """Add a service address that every node translates for its own pods."""
        made = Service(
            self, address, port, list(backends), name, namespace, target or port, protocol, masquerade
        )
        self.services[address, port] = made
        return made

    # ---------------------------------------------------------------- time

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Do something ``when`` seconds after the start."""
        self._push(self.start + int(when * SECOND), call)

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        self._push(self.now + int(seconds * SECOND), call)

    def _push(self, time: int, call: Callable[[], object]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (max(time, self.now), self._order, lambda: (call(), None)[1]))

    @property
    def elapsed(self) -> float:
        return (self.now - self.start) / SECOND

    def run(self, most: int = 2_000_000) -> "World":
        while self._queue and most:
            self.now, _, call = heapq.heappop(self._queue)
            call()
            most -= 1
        return self

    def fate(self, decide: Fate) -> Fate:
        """Let a function decide about every packet between nodes, in order of time (a decorator)."""
        self.fates.append(decide)
        return decide

    # ---------------------------------------------------------------- packets

    def transmit(self, packet: Packet, sender: Endpoint) -> Transit | None:
        """Send a packet from where it is made; None where it never was to leave its node."""
        node = sender.node
        if sender.capture:
            sender.capture.add(
                node.clock(self.now), f.ethernet(self._mac("", "veth" + sender.name), sender.mac, packet)
            )
        if sender.kind == "pod":
            self._any(node, packet, sender, outgoing=False, at=self.now)
        translated: Packet | None = packet
        for translate in node.egress:
            translated = translate(translated) if translated is not None else None
        for service in self.services.values():
            translated = (
                service.outwards(translated, node)
                if translated is not None and sender.kind == "pod"
                else translated
            )
        if translated is None:
            return None
        to = self.endpoints.get(translated.dst)
        if to is not None and to.node is node and to.kind == sender.kind:
            self._push(self.now + LATENCY_IN_NODE, lambda: self._take(translated, node, to))
            return None
        return self.carry(translated, sender, node, to)

    def carry(
        self,
        packet: Packet,
        sender: Endpoint | None,
        origin: Node,
        to: Endpoint | None,
        target: Node | None = None,
    ) -> Transit:
        """Take a packet out by a node's NIC, in the tunnel where pods talk."""
        target = target or (to.node if to is not None and to.node is not origin else None)
        pods = (sender is None or sender.kind == "pod") and to is not None and to.kind == "pod"
        tunnel = (self.tunnel6 if packet.ip6 else self.tunnel) if pods else None
        if tunnel and tunnel.kind == "none":
            tunnel = None
        if sender is not None and sender.kind == "pod" and not (tunnel and tunnel.layer2):
            packet = packet.alter(ttl=packet.ttl - 1)
        transit = Transit(self, self.now, packet, sender, origin, target, to, tunnel)
        if tunnel:
            family = tunnel.family
            transit.outer_src, transit.outer_dst = (
                origin.address(family),
                target.address(family) if target else "",
            )
            transit.sport = tunnel.sport or 32768 + _flow(packet) % 28232
            bridged = tunnel.layer2 and sender is not None and to is not None
            transit.inner_macs = (
                (to.mac, sender.mac)
                if bridged and to and sender
                else (target.vtep if target else "", origin.vtep)
            )
            transit.ident = origin.next_ident()
        next_mac = origin.gateway or (target.mac if target else self._mac("00:1c:73", "router"))
        transit.outer_macs = (next_mac, origin.mac)
        self._count[transit.direction] += 1
        transit.number = self._count[transit.direction]
        for fate in self.fates:
            fate(transit)
        self._depart(transit)
        return transit

    def _depart(self, transit: Transit) -> None:
        node = transit.origin
        if transit.tunnel and not transit.unsent:
            self._any(node, transit.packet, None, outgoing=True, at=self.now + 3 * MICRO)
        if transit.unsent:
            return
        whole = transit.wire_packet()
        pieces = f.fragments(whole, transit.mtu, node.next_ident()) if transit.mtu else [whole]
        leaves = max(self.now + LATENCY_IN_NODE, node.free_at)
        seen = node.name not in transit.unseen
        for piece in pieces:
            if seen:
                self.record(node, f.ethernet(*transit.outer_macs, piece), leaves, outgoing=True)
            leaves += max(int((len(piece) + 38) * 8 / self.rate * SECOND), MICRO)
        node.free_at = leaves
        for observe in self.observers:
            observe(transit)
        missing = transit.lost or bool(transit.lost_pieces & set(range(len(pieces))))
        if missing and seen:
            self._note_lost(transit)
        if not transit.lost and transit.target is not None:
            self._arrive(transit, leaves, pieces, missing)

    def _note_lost(self, transit: Transit) -> None:
        """Write down a loss as score.py counts it."""
        ends = [node for node in self.nodes if node.capture]
        if transit.target is None or transit.origin not in ends or transit.target not in ends:
            return
        if transit.tunnel is None:
            return
        p = transit.packet
        direction = "ab" if transit.origin is ends[0] else "ba"
        self.lost.append([direction, p.src, p.dst, p.sport, p.dport, p.proto, -1 if p.ip6 else p.ident])

    def _arrive(self, transit: Transit, left: int, pieces: list[Packet], missing: bool) -> None:
        target = transit.target
        assert target is not None
        arrives = left + self.delay + int(self.random.random() ** 2 * self.jitter)
        arrives = max(arrives, self._last.get(transit.direction, 0) + MICRO) + transit.extra
        if not transit.extra:
            self._last[transit.direction] = arrives
        source = target.gateway or transit.origin.mac
        whole = transit.wire_packet(arrives=True)
        come = (
            f.fragments(whole, transit.mtu, pieces[0].ident) if transit.mtu and len(pieces) > 1 else [whole]
        )
        for copy in range(transit.copies):
            for number, piece in enumerate(come):
                if self.routed and "ttl" not in transit.arrival:
                    piece = piece.alter(ttl=piece.ttl - 1)
                frame = f.ethernet(target.mac, source, piece)
                frame = transit.damage(frame) if transit.damage else frame
                if target.name not in transit.unseen and number not in transit.lost_pieces:
                    self.record(target, frame, arrives + copy * 7 * MICRO + number * MICRO, outgoing=False)
        if missing or not transit.accepted:
            return
        inner, to = transit.received or transit.packet, transit.to
        if transit.tunnel:
            self._any(target, inner, None, outgoing=False, at=arrives + 3 * MICRO)
        self._push(arrives + LATENCY_IN_NODE, lambda: self._take(inner, target, to))

    def _take(self, packet: Packet, node: Node, to: Endpoint | None) -> None:
        """Bring a packet to the endpoint inside its node."""
        taken: Packet | None = packet
        for translate in node.ingress:
            taken = translate(taken) if taken is not None else None
        for service in self.services.values():
            taken = service.inwards(taken, node) if taken is not None else None
        if taken is None:
            return
        to = self.endpoints.get(taken.dst)
        if to is None or to.node is not node:
            return
        if to.kind == "pod" and not self.tunnel.layer2:
            taken = taken.alter(ttl=taken.ttl - 1)
        if to.kind == "pod":
            self._any(node, taken, to, outgoing=True, at=self.now)
        if to.capture:
            to.capture.add(node.clock(self.now), f.ethernet(to.mac, self._mac("", "veth" + to.name), taken))
        deliver(to, taken)

    # ---------------------------------------------------------------- what captures see

    def record(
        self,
        node: Node,
        frame: bytes,
        at: int | None = None,
        outgoing: bool = True,
        interface: int = 0,
        comment: str = "",
    ) -> None:
        """Write a frame into a node's capture, at a true time."""
        if node.capture is None:
            return
        time = node.clock(self.now if at is None else at)
        if node.any:
            kind = struct.unpack("!H", frame[12:14])[0]
            frame = f.sll2(kind, 2, outgoing, frame[6:12].hex(":"), frame[14:])
        node.capture.add(time, frame, interface, comment)

    def _any(self, node: Node, packet: Packet, pod: Endpoint | None, outgoing: bool, at: int) -> None:
        """Write what ``-i any`` sees inside a node: a pod's veth, or (pod None) the tunnel's device."""
        if not node.any or node.capture is None:
            return
        kind = 0x86DD if packet.ip6 else 0x0800
        source = (node.vtep if outgoing else self._mac("", "peer")) if pod is None else pod.mac
        index = 5 if pod is None else pod.veth
        node.capture.add(node.clock(at), f.sll2(kind, index, outgoing, source, bytes(packet)))

    def seen_by(
        self,
        node: Node,
        packet: Packet,
        at: float | None = None,
        outgoing: bool = False,
        macs: tuple[str, str] | None = None,
    ) -> None:
        """Write a bare packet into a node's capture (a router's ICMP, other traffic)."""
        time = self.now if at is None else self.start + int(at * SECOND)
        router = node.gateway or self._mac("00:1c:73", "router")
        macs = macs or ((router, node.mac) if outgoing else (node.mac, router))
        self.record(node, f.ethernet(*macs, packet), time, outgoing)

    def arp(self, asker: Node, asked: Node | None = None, at: float = 0.0) -> None:
        """Let a node ask for another's MAC (by a router: for the router's)."""
        time, me = self.start + int(at * SECOND), asker.address(4)
        if f.is_ip6(me):
            return
        if self.routed or asked is None:
            subnet = ipaddress.ip_network(me + "/24", strict=False)
            router = str(subnet[-2] if me == str(subnet[1]) else subnet[1])
            self.record(asker, f.arp_request(asker.mac, me, router), time)
            self.record(
                asker, f.arp_reply(asker.gateway, router, asker.mac, me), time + 310 * MICRO, outgoing=False
            )
            return
        other, way = asked.address(4), self.delay
        request, reply = f.arp_request(asker.mac, me, other), f.arp_reply(asked.mac, other, asker.mac, me)
        self.record(asker, request, time)
        self.record(asked, request, time + way, outgoing=False)
        self.record(asked, reply, time + way + 12 * MICRO)
        self.record(asker, reply, time + 2 * way + 12 * MICRO, outgoing=False)

    def all_arp(self, at: float = 0.0) -> None:
        captured = [node for node in self.nodes if node.capture]
        for n, node in enumerate(captured):
            self.arp(node, captured[1 - n] if len(captured) == 2 else None, at + 0.013 * n)

    def cluster(self) -> dict[str, Any]:
        """Return what ``kubectl get nodes,pods,services -A -o json`` says of this world."""
        return kube_json(self)

    def write(self, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return sorted(capture.write(folder) for capture in self.captures)


def deliver(to: Endpoint, packet: Packet) -> None:
    """Hand a packet to whoever has the socket; else answer as a kernel does."""
    key = (packet.proto, packet.dport, packet.src, packet.sport)
    taker = to.sockets.get(key) or to.listeners.get((packet.proto, packet.dport))
    if packet.payload_override is not None or to.silent:
        return
    if taker:
        taker(packet)
    elif isinstance(packet.body, f.Tcp):
        refuse(to, packet)
    elif isinstance(packet.body, f.Udp):
        kind, code = (1, 4) if packet.ip6 else (3, 3)
        to.send(f.icmp_error(to.address, packet.src, packet, kind, code, ident=to.next_ident(), ttl=to.ttl))
    elif isinstance(packet.body, f.Icmp) and packet.body.type in (8, 128):
        kind = 129 if packet.ip6 else 0
        to.send(
            packet.alter(
                src=to.address,
                dst=packet.src,
                ttl=to.ttl,
                type=kind,
                ident=to.next_ident(),
                dont_fragment=False,
            )
        )


def refuse(to: Endpoint, packet: Packet) -> None:
    """Answer a segment that no socket takes with a reset."""
    tcp = packet.tcp
    if tcp.flags & f.RST:
        return
    if tcp.flags & f.ACK:
        body = f.Tcp(tcp.dport, tcp.sport, tcp.ack, 0, f.RST, 0)
    else:
        used = len(tcp.payload) + bool(tcp.flags & f.SYN) + bool(tcp.flags & f.FIN)
        body = f.Tcp(tcp.dport, tcp.sport, 0, tcp.seq + used, f.RST | f.ACK, 0)
    to.send(Packet(packet.dst, packet.src, body, ttl=to.ttl))


@dataclass(eq=False)
class Service:
    """A service address, translated as kube-proxy does: at the asker's node, back again there."""

    world: World
    address: str
    port: int
    backends: list[Endpoint]
    name: str
    namespace: str
    target: int
    protocol: int
    masquerade: bool
    chosen: dict[tuple[Any, ...], tuple[Endpoint, str]] = field(default_factory=dict)
    back: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def pick(self, packet: Packet) -> Endpoint:
        """Choose a backend for a new flow; replace it for a test of its own."""
        return self.world.random.choice(self.backends)

    def outwards(self, packet: Packet, node: Node) -> Packet | None:
        if packet.proto != self.protocol or (packet.dst, packet.dport) != (self.address, self.port):
            return packet
        key = (node.name, packet.src, packet.sport)
        if key not in self.chosen:
            self.chosen[key] = (
                self.pick(packet),
                node.address(6 if packet.ip6 else 4) if self.masquerade else packet.src,
            )
        backend, source = self.chosen[key]
        self.back[node.name, backend.address, self.target, source, packet.sport] = packet.src
        return packet.alter(dst=backend.address, dport=self.target, src=source)

    def inwards(self, packet: Packet, node: Node) -> Packet | None:
        if packet.proto != self.protocol:
            return packet
        asker = self.back.get((node.name, packet.src, packet.sport, packet.dst, packet.dport))
        return packet if asker is None else packet.alter(src=self.address, sport=self.port, dst=asker)


def _flow(packet: Packet) -> int:
    return zlib.crc32(f"{packet.src} {packet.dst} {packet.proto} {packet.sport} {packet.dport}".encode()) >> 3


def _epoch(text: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(text + "+00:00").timestamp())


def kube_json(world: World) -> dict[str, Any]:
    nodes = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": n.name},
            "spec": {},
            "status": {
                "addresses": [{"type": "InternalIP", "address": a} for a in n.addresses]
                + [{"type": "Hostname", "address": n.name}]
            },
        }
        for n in world.nodes
    ]
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": e.name, "namespace": e.namespace, "labels": e.labels},
            "spec": {"nodeName": e.node.name},
            "status": {"phase": "Running", "podIP": e.address, "podIPs": [{"ip": e.address}]},
        }
        for e in world.endpoints.values()
        if e.kind == "pod"
    ]
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": s.name, "namespace": s.namespace},
            "spec": {
                "clusterIP": s.address,
                "clusterIPs": [s.address],
                "type": "ClusterIP",
                "ports": [
                    {
                        "port": s.port,
                        "targetPort": s.target,
                        "protocol": "UDP" if s.protocol == f.UDP else "TCP",
                    }
                ],
            },
        }
        for s in world.services.values()
    ]
    slices = [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{s.name}-slice",
                "namespace": s.namespace,
                "labels": {"kubernetes.io/service-name": s.name},
            },
            "endpoints": [{"addresses": [backend.address]} for backend in s.backends],
            "ports": [{"port": s.target, "protocol": "UDP" if s.protocol == f.UDP else "TCP"}],
        }
        for s in world.services.values()
    ]
    return {"apiVersion": "v1", "kind": "List", "items": nodes + pods + services + slices}


__all__ = [
    "ETHERNET",
    "MICRO",
    "MILLI",
    "SECOND",
    "Capture",
    "Endpoint",
    "Interface",
    "Node",
    "Packet",
    "Service",
    "Transit",
    "Tunnel",
    "World",
    "deliver",
    "kube_json",
    "refuse",
    "replace",
]
