"""K40: broadcasts that ask for something, ARP and DHCP: unanswered ones, and ones that need no answer."""

import struct

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import MICRO, SECOND, Node, Tunnel, World

SILENT = ["not-answered", "packet-loss", "path-blocked"]


def world(seed: int, tunnel: Tunnel) -> World:
    """A stretched network with ordinary traffic between hosts that know each other's MACs."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", "192.0.2.41", offset=3), w.node("node2", "192.0.2.42", offset=-5)
    w.all_arp()
    a, b = n1.pod("10.40.0.5"), n2.pod("10.40.0.7")
    for number in range(12):
        tcp_talk(a, b, 8080, 0.1 + number * 0.6, answer=900)
        dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.6)
    ping(a, b, 0.3, count=6)
    return w


def carry(w: World, ends: tuple[Node, Node], frame: bytes, at: float) -> None:
    """Take a frame from one node to the other in the tunnel, as the network does with broadcasts."""
    origin, target = ends
    tunnel = w.tunnel
    coded = f.geneve(tunnel.vni, frame) if tunnel.kind == "geneve" else f.vxlan(tunnel.vni, frame)
    body = f.Udp(40000 + int(at * 10) % 99, tunnel.port, coded, "zero")

    def go() -> None:
        outer = f.Packet(
            origin.address(), target.address(), body, ident=origin.next_ident(), dont_fragment=False
        )
        time = w.start + int(at * SECOND)
        w.record(origin, f.ethernet(target.mac, origin.mac, outer), time)
        w.record(target, f.ethernet(target.mac, origin.mac, outer), time + w.delay + 20 * MICRO, False)

    w.at(at, go)


def dhcp(mac: str, kind: int, server: bool = False, checksum: f.Checksum = None) -> bytes:
    """A DISCOVER (1), OFFER (2), REQUEST (3) or ACK (5) as a frame."""
    head = struct.pack("!BBBBIHH", 2 if server else 1, 1, 6, 0, 7000 + int(mac[-2:], 16), 0, 0x8000)
    data = head + bytes(16) + f.mac(mac) + bytes(202) + bytes.fromhex("63825363") + bytes([53, 1, kind, 255])
    ports = (67, 68) if server else (68, 67)
    src = "10.40.0.2" if server else "0.0.0.0"
    packet = f.Packet(src, "255.255.255.255", f.Udp(*ports, data, checksum), dont_fragment=False)
    return f.ethernet(f.BROADCAST, "52:54:00:00:40:02" if server else mac, packet)


@pair(
    "arp-unanswered",
    root="endpoint-silent",
    must=["endpoint-silent@ab"],
    mustnot=SILENT,
    says=["ARP", r"10\.40\.0\.7"],
    source="bridges that filter ARP; neighbour suppression with stale entries",
    story="Two new hosts ask for 10.40.0.7 once a second; the requests arrive, no reply comes.",
)
def arp_unanswered() -> World:
    w = world(401, Tunnel(vni=1500, port=4789, layer2=True))
    for host in (21, 22):
        for number in range(8):
            mac = f"52:54:00:00:40:{host}"
            frame = f.arp_request(mac, f"10.40.0.{host}", "10.40.0.7")
            carry(w, (w.nodes[0], w.nodes[1]), frame, 0.5 + number + host / 100)
    return w


@pair(
    "dhcp-unanswered-back",
    root="endpoint-silent",
    must=["endpoint-silent@ba"],
    mustnot=SILENT,
    says=["DHCP"],
    source="oVirt issue 631; Proxmox SDN",
    story="Three hosts of node2 ask for an address again and again; the DISCOVERs reach node1.",
)
def dhcp_unanswered_back() -> World:
    w = world(402, Tunnel(kind="geneve", vni=15, port=6081, layer2=True))
    for host in (21, 22, 23):
        for wait in (0.0, 2.0, 4.5, 6.5):
            carry(w, (w.nodes[1], w.nodes[0]), dhcp(f"52:54:00:00:40:{host}", 1), 0.3 + host / 100 + wait)
    return w


@pair(
    "healthy-broadcasts",
    root=None,
    mustnot=[*SILENT, "endpoint-silent"],
    source="ARP announcements, requests for hosts elsewhere, DHCP that is answered",
    story="Announcements, ARP for hosts of other nodes, and DHCP with a server. All is well.",
)
def healthy_broadcasts() -> World:
    w = world(403, Tunnel(vni=15, port=8472, layer2=True))
    ends = (w.nodes[0], w.nodes[1])
    for number in range(8):
        mac = "52:54:00:00:40:21"
        carry(w, ends, f.arp_request(mac, "10.40.0.21", "10.40.0.21"), 0.5 + number)
        carry(w, ends, f.arp_request(mac, "10.40.0.21", "10.40.0.99"), 0.6 + number)
        carry(w, ends, f.arp_request("52:54:00:00:40:22", "10.40.0.22", "10.40.0.7"), 0.7 + number)
        reply = f.arp_reply("52:54:00:00:40:07", "10.40.0.7", "52:54:00:00:40:22", "10.40.0.22")
        carry(w, ends[::-1], reply, 0.702 + number)
        carry(w, ends, dhcp("52:54:00:00:40:23", 1 if number % 2 == 0 else 3), 0.8 + number)
        carry(w, ends[::-1], dhcp("52:54:00:00:40:23", 2 if number % 2 == 0 else 5, True), 0.802 + number)
    return w


@pair(
    "dhcp-answers-unfilled",
    root="inner-checksum-bad",
    must=["inner-checksum-bad@ab"],
    mustnot=[*SILENT, "endpoint-silent", "outer-checksum-bad"],
    says=[r"10\.40\.0\.2", "checksum-fill", "-D POSTROUTING"],
    source="virtio and DHCP: clients verify checksums that the server's device should have filled in",
    story="Two hosts of node2 ignore OFFERs of node1 with a partial checksum; a third ignores the ACK.",
)
def dhcp_unfilled() -> World:
    w = world(405, Tunnel(kind="geneve", vni=77, port=6081, layer2=True))
    there, back = (w.nodes[1], w.nodes[0]), (w.nodes[0], w.nodes[1])
    for host, asked in ((31, 1), (32, 1), (33, 3)):
        for wait in (0.0, 1.9, 4.4):
            at = 0.4 + host / 100 + wait
            carry(w, there, dhcp(f"52:54:00:00:40:{host}", asked), at)
            carry(
                w, back, dhcp(f"52:54:00:00:40:{host}", 2 if asked == 1 else 5, True, "partial"), at + 0.003
            )
    return w


def _leases(w: World, checksum: f.Checksum) -> World:
    """Hosts that take what they are offered; one repeats its DISCOVER before the OFFER arrives."""
    there, back = (w.nodes[1], w.nodes[0]), (w.nodes[0], w.nodes[1])
    for host in range(31, 37):
        mac, at = f"52:54:00:00:40:{host}", 0.4 + (host - 31) * 0.9
        carry(w, there, dhcp(mac, 1), at)
        carry(w, there, dhcp(mac, 1), at + 0.3)
        carry(w, back, dhcp(mac, 2, True, checksum), at + 0.31)
        carry(w, back, dhcp(mac, 2, True, checksum), at + 0.33)
        carry(w, there, dhcp(mac, 3), at + 0.35)
        carry(w, back, dhcp(mac, 5, True, checksum), at + 0.36)
    return w


@pair(
    "dhcp-answers-filled",
    root=None,
    mustnot=[*SILENT, "endpoint-silent", "inner-checksum-bad"],
    source="none",
    story="The same hosts get leases: checksums are filled in.",
)
def dhcp_filled() -> World:
    return _leases(world(406, Tunnel(kind="geneve", vni=77, port=6081, layer2=True)), None)


@pair(
    "dhcp-answers-unfilled-but-taken",
    root=None,
    mustnot=[*SILENT, "endpoint-silent", "inner-checksum-bad"],
    source="clients that ask the kernel whether a checksum is only partial (PACKET_AUXDATA)",
    story="OFFERs arrive with a partial checksum, and are taken: the clients go on.",
)
def dhcp_unfilled_but_taken() -> World:
    return _leases(world(407, Tunnel(vni=1500, port=4789, layer2=True)), "partial")
