"""The smallest fault of each kind that is found 19 of 20 times, as a table.

    python -m tests.reported.power             # all kinds: prints the rows of the table in docs/power.md
    python -m tests.reported.power packet-loss # one kind

Each fault is put into twenty small worlds drawn at random (ordinary traffic of some 300 packets between pods
of both nodes), in growing sizes. It counts as found where its code is reported in its direction.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import vxlanalyze as vx
from tests.reported import frames as f
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World

TRIES, ENOUGH = 20, 19
WAY = "node1>node2"


@dataclass(frozen=True)
class Fault:
    """A fault in growing sizes: what its size counts, and how it is put into a world."""

    code: str
    unit: str
    sizes: Sequence[int]
    put_in: Callable[[World, Endpoint, Endpoint, int], None]
    direction: str = WAY


def world(seed: int) -> tuple[World, list[Endpoint], list[Endpoint]]:
    """Draw addresses, ports and clocks; let the pods talk in four protocols, both ways."""
    rng = random.Random(seed)
    port, vni = rng.choice([(8472, 1), (4789, 4096), (4789, 77)])
    w = World(seed, tunnel=Tunnel(port=port, vni=vni))
    net, here, there = rng.randrange(1, 250), rng.randrange(1, 120), rng.randrange(121, 250)
    n1 = w.node("node1", f"10.{net}.0.4", offset=rng.uniform(-50, 50))
    n2 = w.node("node2", f"10.{net}.0.9", offset=rng.uniform(-50, 50))
    ours = [n1.pod(f"10.244.{here}.{n}") for n in (5, 6, 7)]
    theirs = [n2.pod(f"10.244.{there}.{n}") for n in (8, 9, 10)]
    w.all_arp()
    for number in range(6):
        tcp_talk(rng.choice(ours[:2]), theirs[0], 8080, 0.1 + number * 0.6 + rng.random() / 4, answer=1500)
        tcp_talk(theirs[1], rng.choice(ours[:2]), 9090, 0.2 + number * 0.6 + rng.random() / 4, answer=700)
        dns_talk(ours[0], theirs[1], f"n{number}.svc", 0.15 + number * 0.6)
    udp_talk(ours[1], theirs[0], 7000, 0.3, count=30, size=300, gap=0.11)
    ping(ours[0], theirs[0], 0.2, count=8, gap=0.4)
    return w, ours, theirs


def _each(w: World, meant: Callable[[Transit], bool], act: Callable[[Transit], None]) -> None:
    """Do something to the packets from node1 that are meant."""

    @w.fate
    def decide(t: Transit) -> None:
        if t.tunnel is not None and t.origin is w.nodes[0] and meant(t):
            act(t)


def _lose(t: Transit) -> None:
    t.lost = True


def _die_inside(t: Transit) -> None:
    t.accepted = False


def _random_loss(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    chosen = set(random.Random(w.random.random()).sample(range(5, 105), n))
    _each(w, lambda t: t.number in chosen, _lose)


def _blocked(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    """Nothing arrives, and node1 sends only n packets."""
    w.fates.append(lambda t: setattr(t, "unsent", t.number > n) if t.origin is w.nodes[0] else None)
    _each(w, lambda t: True, _lose)


def _dies(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    """Everything is lost from a moment on, n packets until the end."""
    sent = [0]

    @w.fate
    def decide(t: Transit) -> None:
        if t.origin is not w.nodes[0] or t.tunnel is None or w.elapsed < 2.5:
            return
        sent[0] += 1
        t.lost, t.unsent = True, sent[0] > n


def _service(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    udp_talk(a, b, 6000, 0.4, count=n, size=250, gap=0.05, answer=None)
    _each(w, lambda t: t.packet.dport == 6000, _lose)


def _protocol(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    """TCP from three pods to three, of which nothing arrives; UDP and ICMP do."""
    sent = [0]

    @w.fate
    def decide(t: Transit) -> None:
        if t.tunnel is not None and t.origin is w.nodes[0] and t.packet.proto == f.TCP:
            sent[0] += 1
            t.lost, t.unsent = True, sent[0] > n


def _large(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    udp_talk(a, b, 6000, 0.4, count=n, size=1400, gap=0.05, answer=None)
    udp_talk(a, b, 6000, 0.4, count=8, size=900, gap=0.05, answer=None)
    _each(w, lambda t: t.size > 1300, _lose)


def _path_of_eight(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    """A hundred light conversations over eight paths, of which one loses n of them."""
    for number in range(8 * n):
        udp_talk(a, b, 6000, 0.3 + number * 0.02, count=2, size=120, gap=0.3, sport=20000 + number)
    _each(w, lambda t: 20000 <= t.packet.sport < 20000 + 8 * n and t.packet.sport % 8 == 3, _lose)


def _marked(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    udp_talk(a, b, 6000, 0.4, count=n, size=200, gap=0.06, answer=None, ip={"tos": 0xB8})
    udp_talk(a, b, 6000, 0.41, count=20, size=200, gap=0.06, answer=None)
    _each(w, lambda t: t.packet.tos == 0xB8, _lose)


def _outage(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    udp_talk(a, b, 6000, 0.4, count=120, size=200, gap=0.02, answer=None)
    _each(w, lambda t: 1.3 <= w.elapsed < 1.3 + 0.02 * n, _lose)


def _bursts(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    """n bursts of 60 packets, of which 30 pass."""
    for number in range(n):
        udp_talk(a, b, 6000, 0.5 + number * 0.5, count=60, size=300, gap=0.0001, answer=None, sport=33333)
    passed = [0]

    def too_many(t: Transit) -> bool:
        if t.packet.dport != 6000:
            return False
        passed[0] += 1
        return (passed[0] - 1) % 60 >= 30

    _each(w, too_many, _lose)


def _fragments(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    udp_talk(a, b, 6000, 0.4, count=n, size=1400, gap=0.05, answer=None)
    udp_talk(a, b, 6000, 0.4, count=8, size=1200, gap=0.05, answer=None)

    @w.fate
    def cut(t: Transit) -> None:
        if t.tunnel is not None and t.origin is w.nodes[0]:
            t.mtu = 1320
            if t.size > 1320:
                t.lost_pieces = {1}


def _silent_dns(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    for number in range(n):
        dns_talk(a, b, f"s{number}.svc", 0.3 + number * 0.1, kinds=(f.A,), tries=1)
    _each(w, lambda t: t.packet.dst == b.address, _die_inside)


def _silent_endpoint(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    for number in range(n):
        tcp_talk(a, b, 5432, 0.3 + number * 0.1, tries=0)
    _each(w, lambda t: t.packet.dport == 5432, _die_inside)


def _dead_node(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    """Nothing of node2 answers, n requests reach it, and datagrams that want no answer go on."""
    asked = [0]
    for number in range(n):
        ping(a, b, 0.05 + number * 0.1, count=1)
    udp_talk(a, b, 514, 0.2, count=10, size=150, gap=0.3, answer=None)

    @w.fate
    def decide(t: Transit) -> None:
        if t.tunnel is None:
            return
        t.accepted = False
        request = t.packet.dport != 514
        asked[0] += request
        t.unsent = t.origin is w.nodes[1] or (request and asked[0] > n)


def _source(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    alone = w.nodes[0].pod("10.9.9.9")
    for number in range(n):
        ping(alone, w.endpoints[_first(w)], 0.5 + number * 0.2, count=1)
    _each(w, lambda t: t.packet.src == alone.address, _die_inside)


def _first(w: World) -> str:
    return next(p.address for p in w.endpoints.values() if p.node is w.nodes[1] and p.kind == "pod")


def _not_taken(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    for number in range(n):
        dns_talk(a, b, f"s{number}.svc", 0.3 + number * 0.1, kinds=(f.A,), timeout=1.5)
    w.nodes[0].ingress.append(lambda p: None if p.src == b.address and p.sport == 53 else p)


def _forged(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    for number in range(n):
        tcp_talk(a, b, 5432, 0.3 + number * 0.3)
    done = [0]

    def reset(t: Transit) -> None:
        if t.packet.proto == f.TCP and t.packet.tcp.flags & f.SYN:
            done[0] += 1
            p = t.packet
            body = f.Tcp(5432, p.sport, 0, p.tcp.seq + 1, f.RST | f.ACK, 0)
            forged = f.Packet(p.dst, p.src, body, ttl=61, ident=4000 + done[0])
            made = Transit(w, t.at, forged, None, w.nodes[1], w.nodes[0], a, t.tunnel)
            made.outer_src, made.outer_dst, made.sport = t.outer_dst, t.outer_src, 50000
            made.inner_macs, made.ident = (w.nodes[0].vtep, w.nodes[1].vtep), 9000 + done[0]
            frame = f.ethernet(w.nodes[0].mac, w.nodes[1].mac, made.wire_packet())
            at = w.now + 200_000
            w.record(w.nodes[0], frame, at, outgoing=False)
            w.after(0.0003, lambda: a.sockets.get((f.TCP, p.sport, p.dst, 5432), lambda _: None)(forged))
        t.lost = True

    _each(w, lambda t: t.packet.dport == 5432, reset)


def _new_ones(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    """n new conversations of two protocols die from a moment on, while two old ones go on."""
    ping(a, w.endpoints[_first(w)], 0.4, count=20, gap=0.3, ident=77)
    began: dict[tuple[str, int, int], float] = {}

    @w.fate
    def decide(t: Transit) -> None:
        p = t.packet
        if t.tunnel is not None and p.src == a.address and p.proto != f.ICMP:
            t.lost = began.setdefault((p.dst, p.sport, p.dport), w.elapsed) > 3.9

    for number in range(n):
        if number % 2:
            dns_talk(a, b, f"s{number}.svc", 4.0 + number * 0.05, kinds=(f.A,), tries=1)
        else:
            tcp_talk(a, w.endpoints[_first(w)], 8080, 4.0 + number * 0.05, tries=0)
    udp_talk(a, w.endpoints[_first(w)], 7000, 0.3, count=50, size=100, gap=0.11)


def _checksum(w: World, a: Endpoint, b: Endpoint, n: int) -> None:
    done = [0]

    def spoil(t: Transit) -> None:
        done[0] += 1
        if done[0] <= n:
            t.received = t.packet.alter(checksum="bad")
            t.accepted = False

    _each(w, lambda t: t.packet.proto == f.UDP and t.packet.dport == 7000, spoil)


FAULTS = (
    Fault("packet-loss", "packets lost at random", (1, 2, 3, 5), _random_loss),
    Fault("path-blocked", "packets, all lost", (2, 3, 4, 6, 8, 12, 20), _blocked),
    Fault("path-blocked", "packets lost from a moment to the end", (2, 3, 4, 6, 8, 12, 20), _dies),
    Fault("flow-blocked", "packets of one service, all lost", (2, 3, 4, 6, 8, 12, 20), _service),
    Fault("protocol-blocked", "TCP packets, all lost", (2, 3, 4, 6, 8, 12, 20), _protocol),
    Fault("mtu-blackhole", "large packets, all lost", (2, 3, 4, 6, 8, 12, 20), _large),
    Fault(
        "ecmp-member-blocked",
        "conversations of two packets on one dead path of eight",
        (2, 3, 4, 6, 8, 12),
        _path_of_eight,
    ),
    Fault("header-blocked", "packets with one DSCP, all lost", (5, 6, 8, 12, 20), _marked),
    Fault("burst-outage", "packets of a stream in an outage", (2, 3, 4, 6, 8, 12, 20), _outage),
    Fault("rate-limited", "bursts of 60 packets, of which 30 pass", (3, 4, 5, 6, 8), _bursts),
    Fault("fragments-lost", "fragmented packets, all incomplete", (2, 3, 4, 6, 8, 12), _fragments),
    Fault("dns-unanswered", "queries to a silent server", (1, 2, 3, 4, 6), _silent_dns),
    Fault("endpoint-silent", "SYNs to a silent port", (2, 3, 4, 5, 6, 8), _silent_endpoint),
    Fault("not-answered", "requests, none answered", (2, 3, 4, 5, 6, 8), _dead_node),
    Fault("source-unanswered", "requests of one source, none answered", (4, 5, 6, 8, 12), _source),
    Fault(
        "answer-not-accepted",
        "queries sent again after their answer",
        (1, 2, 3, 4, 6),
        _not_taken,
        "node2>node1",
    ),
    Fault("foreign-reset", "forged resets", (1, 2, 3, 4), _forged, "node2>node1"),
    Fault("new-flows-blocked", "conversations that begin after a moment", (4, 6, 8, 12), _new_ones),
    Fault("inner-checksum-bad", "packets with a wrong inner checksum", (1, 2, 3, 4), _checksum),
)


def found(fault: Fault, size: int) -> int:
    """In how many of the worlds the fault is found."""
    hits = 0
    for seed in range(TRIES):
        w, ours, theirs = world(7000 + seed)
        fault.put_in(w, ours[2], theirs[2], size)
        with tempfile.TemporaryDirectory() as folder:
            result = vx.compare(*w.run().write(Path(folder)))
        hits += f"{fault.code}@{fault.direction}" in result.findings
    return hits


def row(fault: Fault) -> str:
    """Try the sizes until one is found often enough; a line of the table."""
    tried = []
    for size in fault.sizes:
        hits = found(fault, size)
        tried.append(f"{size}: {hits}")
        if hits >= ENOUGH:
            return f"| `{fault.code}` | {size} {fault.unit} | {', '.join(tried)} |"
    return f"| `{fault.code}` | more than {fault.sizes[-1]} {fault.unit} | {', '.join(tried)} |"


if __name__ == "__main__":
    for each in FAULTS:
        if len(sys.argv) < 2 or each.code in sys.argv[1:]:
            print(row(each), flush=True)
