"""K29: SYNs that a server discards because their TCP time stamps are older than those of the same address."""

from dataclasses import replace

from tests.reported import frames as f
from tests.reported.pairs.k06_by_source import NETWORK
from tests.reported.pairs.talking import talking
from tests.reported.registry import pair
from tests.reported.talks import tcp_talk
from tests.reported.world import Transit, Tunnel, World


def stamp_of(packet: f.Packet) -> int:
    """Read the time stamp of a TCP packet."""
    options = packet.tcp.options
    at = options.index(b"\x08\x0a")
    return int.from_bytes(options[at + 2 : at + 6])


def recycled(
    seed: int,
    clocks: tuple[int, ...],
    tunnel: Tunnel | None = None,
    *,
    six: bool = False,
    back: bool = False,
    keeps: bool = True,
) -> World:
    """Let several clients with clocks of their own share one address; the server keeps one time stamp."""
    w, ours, theirs = talking(seed, tunnel=tunnel, six=six)
    clients, server = (theirs, ours[1]) if back else (ours, theirs[1])
    newest = 0
    sharing = [replace(clients[1], ticks=ticks, sport=33000 + 7000 * n) for n, ticks in enumerate(clocks)]
    for n in range(24):
        tcp_talk(sharing[n % len(clocks)], server, 3306, 0.4 + 0.3 * n, request=100, answer=500, tries=2)

    @w.fate
    def check(t: Transit) -> None:
        nonlocal newest
        if keeps and t.packet.proto == f.TCP and t.packet.dport == 3306 and t.packet.tcp.flags & f.SYN:
            if stamp_of(t.packet) < newest:
                t.accepted = False
            newest = max(newest, stamp_of(t.packet))

    return w


@pair(
    "time-stamps-of-masqueraded-clients",
    root="source-unanswered",
    must=["source-unanswered@ab"],
    mustnot=NETWORK,
    says=[r"tcp_tw_recycle", r"10\.244\.1\.9"],
    source="flannel 530; kubernetes 33945",
    story="Two clients share an address by masquerade; the server discards the SYNs of the one whose clock "
    "is behind.",
)
def two_clients() -> World:
    return recycled(136, (3_000_000_000, 900_000_000))


@pair(
    "time-stamps-of-three-clients",
    root="source-unanswered",
    must=["source-unanswered@ab"],
    mustnot=NETWORK,
    says=[r"tcp_tw_recycle"],
    source="calico 6439",
    story="The same with three clients, IPv6 over Geneve.",
)
def three_clients() -> World:
    return recycled(137, (2_000_000_000, 50_000_000, 700_000_000), Tunnel("geneve", 6081, 8), six=True)


@pair(
    "time-stamps-of-two-clients-back",
    root="source-unanswered",
    must=["source-unanswered@ba"],
    mustnot=NETWORK,
    says=[r"tcp_tw_recycle", r"10\.244\.3\.8"],
    source="kubernetes 33945; calico 6439",
    story="The server is on node1, the clients that share an address are on node2.",
)
def clients_of_node2() -> World:
    return recycled(138, (5_000_000, 4_000_000_000), Tunnel(port=4789, vni=4096), back=True)


@pair(
    "time-stamps-of-masqueraded-clients-healthy",
    root=None,
    mustnot=["source-unanswered", "endpoint-silent", "header-blocked", *NETWORK],
    source="lookalike of flannel 530",
    story="Three clients with clocks of their own share an address, and the server keeps no time stamps.",
)
def shared_and_taken() -> World:
    return recycled(139, (3_000_000_000, 900_000_000, 77_000_000), keeps=False)
