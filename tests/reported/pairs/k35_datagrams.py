"""K35: datagrams without an answer, in protocols of requests, next to ones that expect none."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import content, dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Tunnel, World


def world(seed: int, tunnel: Tunnel) -> tuple[World, list[Endpoint], list[Endpoint]]:
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", "192.0.2.11", offset=5), w.node("node2", "192.0.2.12", offset=-3)
    ours = [n1.pod(f"10.62.1.{n}") for n in (5, 6)]
    theirs = [n2.pod(f"10.62.2.{n}") for n in (7, 8, 9)]
    w.all_arp()
    for number in range(12):
        tcp_talk(ours[number % 2], theirs[0], 8080, 0.1 + number * 0.6, answer=900)
        dns_talk(ours[0], theirs[1], f"n{number}.svc", 0.2 + number * 0.6)
    ping(theirs[0], ours[0], 0.3, count=6)
    return w, ours, theirs


def again(
    client: Endpoint, server: Endpoint, port: int, at: float, data: bytes, waits: tuple[float, ...]
) -> None:
    """Send one datagram from a new socket, and the same again after each wait."""
    own = client.next_sport()
    server.listeners.setdefault((f.UDP, port), lambda packet: None)
    for wait in (0.0, *waits):

        def send() -> None:
            body = f.Udp(own, port, data)
            client.send(f.Packet(client.address, server.address, body, ident=client.next_ident()))

        client.node.world.at(at + wait, send)


@pair(
    "ntp-unanswered",
    root="endpoint-silent",
    must=["endpoint-silent@ab"],
    mustnot=["not-answered", "packet-loss"],
    says=[r"\b123\b"],
    source="chrony and ntpd in pods behind a NetworkPolicy without UDP 123",
    story="A pod answers DNS and HTTP, but none of the NTP requests (123 to 123).",
)
def ntp_unanswered() -> World:
    w, ours, theirs = world(351, Tunnel(vni=4096, port=4789))
    for client in ours:
        udp_talk(client, theirs[1], 123, 0.4, count=8, size=48, gap=0.9, answer=None, sport=123)
    return w


@pair(
    "quic-unanswered",
    root="endpoint-silent",
    must=["endpoint-silent@ab"],
    mustnot=["not-answered", "packet-loss"],
    says=[r"10\.62\.2\.9\b"],
    source="RFC 9002 section 6.2 (a client sends its Initial again after 1, 2, 4 s)",
    story="A server that does not speak HTTP/3: the Initials get no answer; other pods answer.",
)
def quic_unanswered() -> World:
    w, ours, theirs = world(352, Tunnel(kind="geneve", vni=5, port=6081))
    for number in range(5):
        data = b"\xc3\0\0\0\1\x08" + content(number, 1190)
        again(ours[number % 2], theirs[2], 443, 0.5 + number * 0.7, data, (0.3, 0.9, 2.1))
    return w


@pair(
    "radius-and-sip-unanswered-back",
    root="endpoint-silent",
    must=["endpoint-silent@ba"],
    mustnot=["not-answered", "packet-loss"],
    says=[r"10\.62\.1\.6"],
    source="RFC 3261 section 17.1.2.2, RFC 5080 section 2.2.1 (retransmission)",
    story="Clients of node2 register by SIP and log in by RADIUS at a pod of node1 that answers neither.",
)
def radius_and_sip_unanswered_back() -> World:
    w, ours, theirs = world(353, Tunnel(kind="gre"))
    for number in range(4):
        register = b"REGISTER sip:pbx SIP/2.0\r\nCSeq: %d REGISTER\r\n\r\n" % number
        again(theirs[number % 3], ours[1], 5060, 0.6 + number, register, (0.5, 1.5, 3.5))
        again(theirs[number % 3], ours[1], 1812, 0.9 + number, b"\1" + content(number, 60), (3.0,))
    return w


@pair(
    "healthy-telemetry",
    root=None,
    mustnot=["endpoint-silent", "not-answered", "source-unanswered", "packet-loss"],
    source="syslog, SNMP traps, statsd, NetFlow, BFD: nobody answers by design",
    story="Datagrams that expect no answer, some with the same content again and again. All is well.",
)
def healthy_telemetry() -> World:
    w, ours, theirs = world(354, Tunnel(vni=1, port=8472))
    for port in (162, 514, 2055, 3784, 8125):
        udp_talk(ours[0], theirs[0], port, 0.3, count=9, size=64, gap=0.7, answer=None)
        again(theirs[1], ours[1], port, 0.5, b"heartbeat", (1.0, 2.0, 3.0, 4.0, 5.0))
    udp_talk(ours[1], theirs[2], 123, 0.5, count=5, size=48, gap=0.9, answer=48, sport=123)
    return w
