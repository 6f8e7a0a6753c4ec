"""K4: answers that arrive and are not taken."""

from tests.reported import frames as f
from tests.reported.pairs.talking import talking
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import Transit, Tunnel, World

NETWORK = ["packet-loss", "path-blocked", "flow-blocked", "not-answered", "endpoint-silent"]


@pair(
    "syn-acks-that-die-in-the-client-s-node",
    root="answer-not-accepted",
    must=["answer-not-accepted@ba"],
    mustnot=NETWORK,
    says=[r"10\.244\.1\.9"],
    source="cilium 9755",
    story="SYN ACKs of one service reach node1 and are dropped before the pod; it repeats its SYN.",
)
def syn_acks() -> World:
    w, ours, theirs = talking(111)
    for n in range(4):
        tcp_talk(ours[1], theirs[1], 7070, 0.4 + n, tries=3)

    @w.fate
    def drop(t: Transit) -> None:
        if t.packet.proto == f.TCP and t.packet.sport == 7070 and t.packet.tcp.flags & f.SYN:
            t.accepted = False

    return w


@pair(
    "dns-responses-that-die-in-the-client-s-node",
    root="answer-not-accepted",
    must=["answer-not-accepted@ba"],
    mustnot=[*NETWORK, "dns-unanswered"],
    says=[r"fd00:244:1::5"],
    source="cilium 13349",
    story="Responses to one IPv6 pod are dropped by its node's policy; it sends the same queries again.",
)
def responses() -> World:
    w, ours, theirs = talking(112, tunnel=Tunnel("geneve", 6081, 9), six=True)
    for n in range(6):
        dns_talk(ours[0], theirs[0], f"db-{n}.prod.svc.cluster.local", 0.5 + 0.3 * n, timeout=2.5, tries=3)

    @w.fate
    def drop(t: Transit) -> None:
        if t.packet.proto == f.UDP and t.packet.sport == 53 and b"prod" in t.packet.payload:
            t.accepted = False

    return w


@pair(
    "answers-that-meet-a-reset",
    root="answer-not-accepted",
    must=["answer-not-accepted@ab"],
    mustnot=[*NETWORK, "connection-reset"],
    says=[r"(?i)reset", r"10\.244\.3\.8"],
    source="calico 13191; kubernetes 74839",
    story="node2 does not translate SYN ACKs back: its kernel resets them, and the client repeats its SYN.",
)
def resets() -> World:
    w, ours, theirs = talking(113, tunnel=Tunnel(vni=4096, port=4789))
    for n in range(3):
        tcp_talk(theirs[1], ours[0], 6060, 0.4 + 1.3 * n, tries=3)

    @w.fate
    def refuse(t: Transit) -> None:
        p = t.packet
        if t.direction == ("node1", "node2") and p.proto == f.TCP and p.sport == 6060:
            t.accepted = False
            if p.tcp.flags & f.SYN:
                body = f.Tcp(p.dport, 6060, p.tcp.ack, 0, f.RST, 0)
                w.after(0.001, lambda: theirs[1].send(f.Packet(p.dst, p.src, body)))

    return w


@pair(
    "healthy-half-open-probes",
    root=None,
    mustnot=["answer-not-accepted", "connection-reset", "foreign-reset", "source-unanswered"],
    source="flannel 1295",
    story="A load balancer probes ports: SYN, SYN ACK, reset, once each. All is well.",
)
def probes() -> World:
    w, ours, theirs = talking(114)
    for n in range(20):
        sport, seq = 50000 + n, 1000 * n + 1

        def probe(sport: int = sport, seq: int = seq) -> None:
            body = f.Tcp(sport, 8080, seq, 0, f.SYN, 1024, f.tcp_options(1398))
            ours[0].send(f.Packet(ours[0].address, theirs[1].address, body))

        w.at(0.3 + 0.2 * n, probe)

        def end(packet: f.Packet, sport: int = sport) -> None:
            body = f.Tcp(sport, 8080, packet.tcp.ack, 0, f.RST, 0)
            ours[0].send(f.Packet(ours[0].address, theirs[1].address, body))

        ours[0].sockets[f.TCP, sport, theirs[1].address, 8080] = end
    return w
