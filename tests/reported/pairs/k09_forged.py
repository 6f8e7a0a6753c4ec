"""K9: resets and answers that the other node never sent."""

from tests.reported import frames as f
from tests.reported.pairs.talking import talking
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World


def send_forged(w: World, packet: f.Packet, alleged: Endpoint, to: Endpoint) -> None:
    """Let somebody between the nodes send a packet in a pod's name."""
    w.forged.add(bytes(packet))
    w.carry(packet, None, alleged.node, to)


def middlebox(w: World) -> None:
    """Hide forged packets from the capture of the node that they claim to come from."""
    w.forged = set()

    @w.fate
    def hide(t: Transit) -> None:
        if bytes(t.packet) in w.forged:
            t.unseen.add(t.origin.name)


def reset_of(packet: f.Packet, ttl: int) -> f.Packet:
    """Make the reset that refuses a SYN, or ends the connection of a packet."""
    tcp = packet.tcp
    body = f.Tcp(tcp.dport, tcp.sport, tcp.ack, tcp.seq + 1, f.RST | f.ACK, 0)
    return f.Packet(packet.dst, packet.src, body, ttl=ttl)


@pair(
    "forged-refusals-of-a-port",
    root="foreign-reset",
    must=["foreign-reset@ba"],
    mustnot=["endpoint-refused", "capture-loss", "mtu-blackhole"],
    says=[r"10\.244\.3\.8:5432", r"\b9\b"],
    source="RFC 3360; kubernetes 74839 (who sends the reset?)",
    story="A firewall between the nodes rejects TCP 5432 inside the tunnel with a reset in the pod's name.",
)
def refusals() -> World:
    w, ours, theirs = talking(101)
    middlebox(w)
    for n in range(9):
        tcp_talk(ours[0], theirs[1], 5432, 0.4 + 0.7 * n)

    @w.fate
    def reject(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.packet.proto == f.TCP and t.packet.dport == 5432:
            t.lost = True
            send_forged(w, reset_of(t.packet, 61), theirs[1], ours[0])

    return w


@pair(
    "forged-resets-in-the-middle",
    root="foreign-reset",
    must=["foreign-reset@ba"],
    mustnot=["connection-reset", "endpoint-refused"],
    says=[r"fd00:244:3::8"],
    source="RFC 3360",
    story="Intrusion prevention breaks off connections of IPv6 pods over Geneve: the client gets a reset "
    "that the server never sent, after its request was delivered.",
)
def in_the_middle() -> World:
    w, ours, theirs = talking(102, tunnel=Tunnel("geneve", 6081, 5), six=True)
    middlebox(w)
    for n in range(7):
        tcp_talk(ours[1], theirs[1], 9000, 0.35 + 0.8 * n, request=600)

    @w.fate
    def break_off(t: Transit) -> None:
        if t.packet.proto == f.TCP and t.packet.dport == 9000 and t.packet.payload:
            t.lost = True
            body = f.Tcp(9000, t.packet.sport, t.packet.tcp.ack, 0, f.RST, 0)
            send_forged(w, f.Packet(theirs[1].address, ours[1].address, body, ttl=60), theirs[1], ours[1])

    return w


@pair(
    "forged-dns-responses",
    root="foreign-reset",
    must=["foreign-reset@ba"],
    mustnot=["capture-loss"],
    says=[r"10\.244\.3\.4"],
    source="RFC 5452 section 4",
    story="A device on the way answers names in the DNS pod's name before the queries reach it.",
)
def dns_responses() -> World:
    w, ours, theirs = talking(103, tunnel=Tunnel(vni=4096, port=4789))
    middlebox(w)
    for n in range(10):
        dns_talk(ours[0], theirs[0], f"blocked-{n}.example.org", 0.4 + 0.5 * n)

    @w.fate
    def answer(t: Transit) -> None:
        if t.packet.proto == f.UDP and t.packet.dport == 53 and b"blocked" in t.packet.payload:
            t.lost = True
            body = f.Udp(53, t.packet.sport, f.dns_answer(t.packet.payload, ["198.51.100.7"]))
            reply = f.Packet(t.packet.dst, t.packet.src, body, ttl=59)
            send_forged(w, reply, theirs[0], ours[0])

    return w


@pair(
    "refusals-of-the-pod-itself",
    root="endpoint-refused",
    must=["endpoint-refused@ab"],
    mustnot=["foreign-reset", "packet-loss"],
    source="none",
    story="Nobody listens on the port: the pod itself refuses, and its node's capture shows it.",
)
def honest() -> World:
    w, ours, theirs = talking(104)
    for n in range(9):
        tcp_talk(ours[0], theirs[1], 5432, 0.4 + 0.7 * n, listen=False)
    return w
