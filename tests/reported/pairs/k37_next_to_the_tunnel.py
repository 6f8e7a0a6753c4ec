"""K37: encrypted packets between the nodes next to a tunnel in clear; each part has its own fate."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World

BLAMELESS = ["packet-loss", "path-blocked", "flow-blocked", "protocol-blocked", "not-answered"]


def world(seed: int, clear: Tunnel, sealed: Tunnel, count: int = 16) -> World:
    """Pods of 10.37.x in the clear tunnel, pods of 10.38.x in the encrypted one."""
    w = World(seed, tunnel=clear)
    n1, n2 = w.node("node1", "192.0.2.21", offset=3), w.node("node2", "192.0.2.22", offset=-8)
    w.all_arp()
    for net in (37, 38):
        a, b = n1.pod(f"10.{net}.1.5"), n2.pod(f"10.{net}.2.7")
        for number in range(count):
            tcp_talk(a, b, 8080, 0.1 + number * 0.3 + net / 1000, answer=1900)
            dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.3)
        ping(a, b, 0.3 + net / 1000, count=6)

    @w.fate
    def choose(t: Transit) -> None:
        if t.packet.src.startswith("10.38.") or t.packet.dst.startswith("10.38."):
            t.tunnel = sealed

    return w


def is_sealed(t: Transit) -> bool:
    return t.tunnel is not None and t.tunnel.kind in ("esp", "wireguard")


@pair(
    "esp-blocked-next-to-vxlan",
    root="protocol-blocked",
    must=["protocol-blocked@ab", "protocol-blocked@ba"],
    mustnot=["packet-loss", "path-blocked", "flow-blocked"],
    says=["ESP", "IP protocol 50"],
    source="docker/docs issue 8640, moby issue 26523",
    story="Docker Swarm: the encrypted overlay's ESP is filtered, the ingress network's VXLAN passes.",
)
def esp_blocked_next_to_vxlan() -> World:
    w = world(371, Tunnel(vni=4096, port=4789), Tunnel(kind="esp", vni=0xC0FFEE01))

    @w.fate
    def stop(t: Transit) -> None:
        t.lost = is_sealed(t)

    return w


@pair(
    "esp-lost-next-to-geneve",
    root="packet-loss",
    must=["packet-loss@ba"],
    mustnot=["path-blocked", "flow-blocked", "protocol-blocked", "packet-loss@ab"],
    says=["ESP"],
    source="moby issue 30727",
    story="An eighth of the ESP packets back is lost, Geneve next to it is whole.",
)
def esp_lost_next_to_geneve() -> World:
    w = world(372, Tunnel(kind="geneve", vni=7, port=6081), Tunnel(kind="esp", vni=0xC0FFEE02), 24)

    @w.fate
    def lose(t: Transit) -> None:
        t.lost = is_sealed(t) and t.origin is w.nodes[1] and w.random.random() < 0.13

    return w


@pair(
    "wireguard-blocked-next-to-vxlan",
    root=["flow-blocked", "protocol-blocked", "path-blocked"],
    must=[],
    mustnot=["packet-loss", "mtu-blackhole"],
    says=["51871"],
    source="Cilium: WireGuard between nodes needs UDP 51871, the tunnel its own port",
    story="UDP 51871 (WireGuard) is filtered both ways, the tunnel's port is open.",
)
def wireguard_blocked_next_to_vxlan() -> World:
    w = world(373, Tunnel(vni=2, port=8472), Tunnel(kind="wireguard", port=51871, vni=99))

    @w.fate
    def stop(t: Transit) -> None:
        t.lost = is_sealed(t)

    return w


@pair(
    "healthy-esp-next-to-vxlan",
    root=None,
    mustnot=BLAMELESS,
    source="Docker Swarm with one encrypted overlay",
    story="ESP and VXLAN side by side. All is well.",
)
def healthy_esp_next_to_vxlan() -> World:
    return world(374, Tunnel(vni=4096, port=4789), Tunnel(kind="esp", vni=0xC0FFEE03))


@pair(
    "healthy-wireguard-next-to-geneve",
    root=None,
    mustnot=BLAMELESS,
    source="a VPN between the nodes next to the overlay",
    story="WireGuard and Geneve side by side. All is well.",
)
def healthy_wireguard_next_to_geneve() -> World:
    return world(375, Tunnel(kind="geneve", vni=9, port=6081), Tunnel(kind="wireguard", port=51820, vni=9))
