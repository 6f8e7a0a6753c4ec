"""Two nodes with ordinary traffic both ways, for a fault to be put in."""

from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Endpoint, Tunnel, World


def talking(
    seed: int, *, tunnel: Tunnel | None = None, six: bool = False, talks: int = 12
) -> tuple[World, list[Endpoint], list[Endpoint]]:
    """Make two nodes with two pods each; the first of the second node's is a DNS server."""
    w = World(seed, tunnel=tunnel, routed=seed % 2 == 1)
    n1 = w.node("node1", f"192.168.{seed % 200}.21", offset=1.7 * (seed % 5))
    n2 = w.node("node2", f"192.168.{seed % 200}.22", drift=4)
    net = "fd00:244:%d::%d" if six else "10.244.%d.%d"
    ours = [n1.pod(net % (1, 5), "web-0"), n1.pod(net % (1, 9), "client-0")]
    theirs = [n2.pod(net % (3, 4), "coredns-0"), n2.pod(net % (3, 8), "api-0")]
    w.all_arp()
    for n in range(talks):
        tcp_talk(ours[n % 2], theirs[1], 8080, 0.1 + n * 0.61, answer=700 + 4000 * (n % 3))
        dns_talk(ours[n % 2], theirs[0], f"svc-{n}.default.svc.cluster.local", 0.05 + n * 0.6)
        tcp_talk(theirs[1], ours[0], 80, 0.2 + n * 0.63, answer=1500)
    ping(ours[1], theirs[1], 0.3, count=8)
    return w, ours, theirs
