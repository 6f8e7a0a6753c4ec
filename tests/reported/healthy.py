"""Healthy pairs by the hundred: worlds in which nothing is wrong, drawn at random.

    python -m tests.reported.healthy 400      # prints how many are right, and what was found in the others

Tunnels, families, ports, addresses, clocks, how the nodes are captured, and who talks to whom, how often and
how rudely differ from world to world; the network loses nothing, and every request that can be answered is.
In a half of the worlds a service is masqueraded (and its client's pod captured), ARP is flooded to a
multicast group, or a mirror took the captures.
"""

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import vxlanalyze as vx
from tests.reported import frames as f
from tests.reported import mirrors
from tests.reported.mirrors import Mirrored
from tests.reported.pairs import k19_background as background
from tests.reported.pairs.k16_groups import flood
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Node, Tunnel, World

TUNNELS = (
    ("vxlan", 8472), ("vxlan", 4789), ("vxlan", 8223), ("geneve", 6081), ("gre", 0), ("ipip", 0),
    ("wireguard", 51820),
)  # fmt: skip
# What limits a capture is no fault, and a client that closes with RST is rude.
TOLERATED = {"truncated-capture", "clock-step"}


def healthy_world(seed: int) -> World:
    """Draw a world."""
    rng = random.Random(seed)
    kind, port = rng.choice(TUNNELS)
    vni = rng.choice([1, 2, 42, 4096, 7000, 123456])
    outer6 = rng.random() < 0.2
    tunnel = Tunnel(kind, port, vni, family=6 if outer6 else 4, checksum=rng.choice(["zero", None]))
    more = random.Random(seed + 2_000_000)
    setting = more.choice(SETTINGS)
    w = (Mirrored if setting == "mirror" else World)(
        seed,
        tunnel=tunnel,
        delay=rng.choice([0.02, 0.1, 0.4, 3, 25]),
        jitter=rng.choice([0.005, 0.05, 0.3]),
        routed=rng.random() < 0.4,
        ng=rng.random() < 0.3,
    )
    a, b = rng.randrange(1, 250), rng.randrange(1, 250)
    net = rng.choice(["10.0", "172.26", "192.168", "100.64"])
    outer = [
        f"2001:db8:{a:x}::{n}" if outer6 else f"{net}.{a}.{n}"
        for n in (rng.randrange(2, 99), rng.randrange(100, 250))
    ]
    any_ = rng.random() < 0.15 and setting not in ("mirror", "masquerade")
    n1 = w.node("east-1", outer[0], offset=rng.uniform(-5000, 5000), drift=rng.uniform(-60, 60), any=any_)
    n2 = w.node("east-2", outer[1], any=any_ and rng.random() < 0.5)
    if not outer6 or rng.random() < 0.5:
        w.all_arp()
    pods = (
        [n1.pod(f"10.244.{a}.{n}") for n in (3, 4, 9)],
        [n2.pod(f"10.244.{b + (a == b)}.{n}") for n in (5, 6)],
    )
    six = n1.pod(f"fd00:{a:x}::1"), n2.pod(f"fd00:{b:x}:2::2")
    _talk(rng, pods[0], pods[1])
    if not outer6 and kind not in ("ipip",) and rng.random() < 0.4:
        tcp_talk(six[0], six[1], 443, 0.3, answer=rng.choice([200, 9000]))
        ping(six[1], six[0], 0.4, count=3, gap=0.2)
    _shape(random.Random(seed + 1_000_000), w, pods)
    _set(more, w, setting, pods)
    return w


SETTINGS = ("plain", "plain", "plain", "masquerade", "multicast", "mirror")
MIRRORS = (mirrors.erspan1, mirrors.erspan2, mirrors.erspan3, mirrors.aws, mirrors.tzsp, mirrors.plain_gre)


def _set(rng: random.Random, w: World, setting: str, pods: tuple[list[Endpoint], list[Endpoint]]) -> None:
    """Put the world into its setting."""
    (first, *_), (_, last) = pods
    if isinstance(w, Mirrored):
        w.wrap, w.one_file = rng.choice(MIRRORS), rng.random() < 0.6
    elif setting == "masquerade" and w.tunnel.family == 4:
        w.nodes[0].pod(w.nodes[0].address(4), "masqueraded")  # where the node turns answers back
        if rng.random() < 0.6:
            first.watch("a-pod")
            ping(first, last, 14.0, count=2)  # while the cards are captured, whenever these begin
        web = w.service("10.96.8.8", 443, last, target=8443, masquerade=True)
        for number in range(rng.randrange(1, 12)):
            tcp_talk(first, web, 443, 0.2 + rng.uniform(0.05, 0.6) * number, answer=rng.choice([300, 8000]))
        if rng.random() < 0.5:
            dns = w.service("10.96.0.10", 53, last, protocol=f.UDP, masquerade=rng.random() < 0.5)
            for number in range(rng.randrange(1, 9)):
                dns_talk(first, dns, f"m-{number}.default.svc.cluster.local", 0.25 + 0.2 * number)
    elif setting == "multicast" and w.tunnel.kind == "vxlan" and w.tunnel.family == 4:
        group = f"239.{rng.randrange(1, 9)}.1.{rng.randrange(1, 99)}"
        for number in range(rng.randrange(1, 25)):
            here, there = rng.sample(w.nodes, 2)
            asker, asked = (rng.choice(pods[w.nodes.index(node)]) for node in (here, there))
            frame = f.arp_request(asker.mac, asker.address, asked.address)
            at = rng.uniform(0.1, 6)
            sends = partial(flood, w, here, [there], frame, at, group, 40_000 + number, arrives=True)
            w.at(at, sends)


def _shape(rng: random.Random, w: World, pods: tuple[list[Endpoint], list[Endpoint]]) -> None:
    """Add what looks odd and is in order: probes, a service address, bursts, a capture that begins late."""
    (first, *_), (_, last) = pods
    for shape in rng.sample(SHAPES, rng.randrange(3)):
        if shape == "scan":
            background.scan(first, last, rng.uniform(0.2, 2), range(9200, 9200 + rng.randrange(9, 40)))
        elif shape == "traceroute":
            background.trace(last, first, rng.uniform(0.2, 2))
        elif shape == "health checks":
            background.check(first, last, 8443, rng.uniform(0.2, 2), rng.randrange(2, 20))
            tcp_talk(last, first, 9443, 0.3)
            tcp_talk(first, last, 8443, 0.3)
        elif shape == "service address":
            service = w.service("10.96.7.7", 80, last, target=8080)
            for number in range(rng.randrange(1, 9)):
                tcp_talk(first, service, 80, 0.4 + 0.3 * number)
        elif shape == "bursts":
            for number in range(rng.randrange(1, 9)):
                udp_talk(first, last, 6000, 0.3 + number, count=rng.randrange(10, 80), size=900, gap=0.0002)
        elif shape == "late start":
            _begin_late(w, rng.choice(w.nodes), rng.uniform(0.5, 3))


def _begin_late(w: World, node: Node, seconds: float) -> None:
    """Start one node's capture late: it lacks all that passed before."""
    if node.capture is not None:
        w.at(seconds, node.capture.frames.clear)


SHAPES = ("scan", "traceroute", "health checks", "service address", "bursts", "late start")


def _talk(rng: random.Random, near: list[Endpoint], far: list[Endpoint]) -> None:
    """Let them talk: now and then hardly at all, mostly each with some, in bursts or evenly."""
    idle = rng.random() < 0.1
    for _ in range(1 if idle else rng.randrange(3, 16)):
        sides = (near, far) if rng.random() < 0.7 else (far, near)
        client, server = rng.choice(sides[0]), rng.choice(sides[1])
        at = rng.choice([0.1, rng.uniform(0.05, 3.0), rng.uniform(0.05, 12.0)])
        what = rng.choice(["tcp", "tcp", "bulk", "dns", "udp", "syslog", "ping", "rude"])
        if what in ("tcp", "rude"):
            close = "rst" if what == "rude" else rng.choice(["fin", "fin", "never"])
            tcp_talk(
                client, server, rng.choice([80, 443, 8080, 5432]), at, repeat=rng.randrange(1, 6), close=close
            )
        elif what == "bulk":
            tcp_talk(client, server, 9000, at, answer=rng.choice([60_000, 250_000]))
        elif what == "dns":
            for n in range(rng.randrange(1, 6)):
                dns_talk(client, server, f"svc-{n}.default.svc.cluster.local", at + n * 0.3)
        elif what == "udp":
            udp_talk(
                client,
                server,
                7000,
                at,
                count=rng.randrange(1, 40),
                size=rng.choice([40, 400, 1200]),
                gap=0.02,
            )
        elif what == "syslog":
            udp_talk(client, server, 514, at, count=rng.randrange(1, 30), size=200, gap=0.01, answer=None)
        else:
            ping(client, server, at, count=rng.randrange(1, 8), gap=0.2)


def found_in(seed: int, folder: Path) -> list[str]:
    """Give what is found above info in a world, and the verdict where it leaves something open."""
    paths = healthy_world(seed).run().write(folder)
    result = vx.compare(*paths)
    told = [
        f"{f.severity} {f.key}: {f.summary}"
        for f in result.findings
        if f.severity != "info" and f.code not in TOLERATED
    ]
    healthy = result.verdict.startswith("Nothing is wrong")
    return told if told or healthy else [f"verdict open: {result.verdict}"]


def measure(worlds: int) -> Iterator[tuple[int, list[str]]]:
    """Try worlds by their seeds."""
    for seed in range(worlds):
        with tempfile.TemporaryDirectory() as folder:
            yield seed, found_in(seed, Path(folder))


if __name__ == "__main__":
    codes: Counter[str] = Counter()
    wrong = 0
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for seed, found in measure(number):
        wrong += bool(found)
        codes.update({line.split()[1].partition("@")[0].rstrip(":") for line in found})
        for line in found:
            print(seed, line[:230], flush=True)
    print(f"{number - wrong} of {number} healthy pairs without a finding above info; {dict(codes)}")
