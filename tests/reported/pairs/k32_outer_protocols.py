"""K32: an IP protocol without ports is blocked between the nodes, while ping and TCP pass."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Transit, Tunnel, World

_OPEN = r"iptables -I INPUT (?:(?!-s )[^\"\\])*-j ACCEPT"
_NEVER = ["reads the inner", "knows inner packets", "route get PEER", _OPEN]


def world(seed: int, tunnel: Tunnel, nodes: tuple[str, str], family: int = 4) -> World:
    """Pods that talk through the tunnel, and nodes that talk beside it (IKE, SSH, ping)."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", nodes[0], offset=3), w.node("node2", nodes[1], offset=-2)
    net = "10.132.{}.{}" if family == 4 else "fd32:{}::{}"
    a, b = n1.pod(net.format(1, 5)), n2.pod(net.format(2, 7))
    h1, h2 = n1.host(), n2.host()
    w.all_arp()
    for number in range(12):
        tcp_talk(a, b, 8080, 0.1 + number * 0.4, answer=900)
        dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.4, timeout=2.0)
    for number in range(4):
        udp_talk(h1, h2, 500, 0.05 + number, count=2, size=200, answer=180, sport=500)
        tcp_talk(h1, h2, 22, 0.3 + number, answer=600)
        tcp_talk(h2, h1, 6443, 0.6 + number, answer=600)
    ping(h1, h2, 0.15, count=5)
    return w


def block(w: World, *, ways: tuple[int, ...] = (0, 1)) -> None:
    @w.fate
    def drop(t: Transit) -> None:
        if t.tunnel is not None and w.nodes.index(t.origin) in ways:
            t.lost = True


@pair(
    "esp-not-in-the-security-group",
    root="protocol-blocked",
    must=["protocol-blocked@ab", "protocol-blocked@ba"],
    mustnot=["packet-loss", "mtu-blackhole", "not-answered", "flow-blocked"],
    says=[r"IP protocol 50\b", r"UDP 4500\b", r"from 172\.20\.9\.4 to"],
    unsaid=_NEVER,
    source="openshift/installer pull request 4491",
    story="The security group allows IKE and not ESP. Allow protocol 50, or use NAT traversal.",
)
def esp_not_in_the_security_group() -> World:
    w = world(321, Tunnel("esp", vni=0xC0FFEE), ("172.20.9.4", "172.20.77.4"))
    block(w)
    return w


@pair(
    "esp-over-ipv6-one-way",
    root="protocol-blocked",
    must=["protocol-blocked@ba"],
    mustnot=["packet-loss", "mtu-blackhole", "not-answered", "flow-blocked", "protocol-blocked@ab"],
    says=[r"IP protocol 50\b", r"from 2001:db8:32::b to"],
    unsaid=_NEVER,
    source="after openshift/installer pull request 4491, over IPv6",
    story="The firewall of node1 lets no ESP in; ESP of node1 arrives at node2.",
)
def esp_over_ipv6_one_way() -> World:
    nodes = ("2001:db8:32::a", "2001:db8:32::b")
    w = world(322, Tunnel("esp", vni=0xBEEF, family=6), nodes)
    block(w, ways=(1,))
    return w


@pair(
    "ip-in-ip-not-carried",
    root=["path-blocked", "protocol-blocked"],
    must=["path-blocked@ab"],
    mustnot=["packet-loss", "mtu-blackhole", "flow-blocked"],
    says=[r"IP protocol 4\b", r"from 10\.3\.0\.11 to"],
    unsaid=_NEVER,
    source="projectcalico/calico issue 4511",
    story="The cloud carries no IP in IP. Calico's IP pools have to use VXLAN there.",
)
def ip_in_ip_not_carried() -> World:
    w = world(323, Tunnel("ipip"), ("10.3.0.11", "10.3.1.12"))
    block(w)
    return w


@pair(
    "gre-blocked",
    root=["path-blocked", "protocol-blocked"],
    must=["path-blocked@ab"],
    mustnot=["packet-loss", "mtu-blackhole", "flow-blocked"],
    says=[r"IP protocol 47\b", r"from 10\.3\.0\.21 to"],
    unsaid=_NEVER,
    source="antrea documentation, tunnel type GRE; AWS and Azure security groups list protocols by number",
    story="No rule of the security group allows GRE.",
)
def gre_blocked() -> World:
    w = world(324, Tunnel("gre"), ("10.3.0.21", "10.3.1.22"))
    block(w)
    return w


@pair(
    "healthy-esp",
    root=None,
    mustnot=["protocol-blocked", "path-blocked", "packet-loss", "not-answered"],
    source="the twin of esp-not-in-the-security-group",
    story="ESP passes both ways.",
)
def healthy_esp() -> World:
    return world(325, Tunnel("esp", vni=0xC0FFEE), ("172.20.9.4", "172.20.77.4"))
