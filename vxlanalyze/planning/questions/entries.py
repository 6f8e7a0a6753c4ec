"""Open questions where nodes disagree: ports, VNIs, addresses, stale entries."""

from shlex import quote

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, always, probe


def _listens(case: Case) -> Steps:
    port = case.value("refused_port") or case.port
    return ((case.far_node, Step(f"ss -lun sport = :{port}")),) if port else ()


PORT_UNREACHABLE = Question(
    "port-unreachable",
    {
        "port": "no tunnel device of the node uses that port",
        "rule": "a firewall rule of the node rejects it with this error",
    },
    lambda case: ("port", "rule") if case.near and not case.value("own_port") else (),
    (
        probe(
            "whether anything listens on the port",
            0.3,
            _listens,
            ("nothing is listed", "port"),
            ("a socket is listed", "rule"),
        ),
    ),
)


def _devices(case: Case) -> Steps:
    return tuple((node, Step(run.TUNNELS)) for node in case.points[:2])


VNI_MISMATCH = Question(
    "vni-mismatch",
    {
        "vni": "the tunnel devices of the two nodes are configured with different VNIs",
        "identity": "VNIs are security identities (Cilium), and the packets are dropped for another reason",
    },
    lambda case: () if case.value("working_vni") else ("vni", "identity"),
    (
        probe(
            "the tunnel devices of both nodes",
            0.3,
            _devices,
            ("each has an id, and they differ", "vni"),
            ("they show external instead of an id", "identity"),
        ),
    ),
)


def _held_as(case: Case) -> Steps:
    mac = case.value("addressed_mac") or case.value("mac")
    if not mac:
        return ()
    wanted = f"grep -i {quote(str(mac))}"
    return ((case.near_node, Step(f"ip neigh show | {wanted}; bridge fdb show | {wanted}")),)


STALE_TUNNEL_MAC = Question(
    "stale-tunnel-mac",
    {
        "neighbour": "the sending node's neighbour entry holds the old MAC",
        "map": "the sending agent's own map (eBPF) or a static configuration holds it",
    },
    lambda case: ("neighbour", "map") if case.near else (),
    (
        probe(
            "the entry with the old MAC",
            0.3,
            _held_as,
            ("a line with lladdr or dst is printed", "neighbour"),
            ("nothing is printed", "map"),
        ),
    ),
)


def _own_mac(case: Case) -> Steps:
    mac = case.value("mac")
    if not mac:
        return ()
    return tuple((n, Step(f"ip -br link show | grep -i {quote(str(mac))}")) for n in case.points[:2])


DUPLICATE_TUNNEL_MAC = Question(
    "duplicate-tunnel-mac",
    {
        "clone": "two nodes generated the same MAC (cloned machine IDs)",
        "entry": "one node has it, and entries of a replaced node point elsewhere",
    },
    always("clone", "entry"),
    (
        probe(
            "which node's devices have the MAC",
            0.3,
            _own_mac,
            ("a device on both nodes, or on one and on the node of the other outer address", "clone"),
            ("a device on one node only", "entry"),
        ),
    ),
)


def _proxies(case: Case) -> Steps:
    step = Step("sysctl -a 2> /dev/null | grep -E '(proxy_arp|proxy_ndp) = 1'")
    return tuple((node, step) for node in case.points[:2])


DUPLICATE_ADDRESS = Question(
    "duplicate-address",
    {
        "two": "two hosts or pods are configured with the address",
        "proxy": "one has it, and another node answers for it (proxy ARP)",
    },
    lambda case: () if case.value("own_mac") else ("two", "proxy"),
    (
        probe(
            "proxy ARP on both nodes",
            0.3,
            _proxies,
            ("the interface that answers for it is printed", "proxy"),
            ("nothing is printed", "two"),
        ),
    ),
)


def _tracked(case: Case) -> Steps:
    address, _, port = str(case.value("sent_to") or "").rpartition(":")
    if not address:
        return ()
    step = Step(
        f"conntrack -L -d {quote(address.strip('[]'))} | grep -w dport={port}", "on the client's node"
    )
    return ((case.far_node, step),)


REPLY_NOT_TRANSLATED = Question(
    "reply-not-translated",
    {
        "entry": "the reply matches no entry of connection tracking (NOTRACK, or the entry expired)",
        "route": "the reply bypasses the node or device that translated the request (asymmetric routing)",
    },
    lambda case: ("entry", "route") if case.far else (),
    (
        probe(
            "the entry of connection tracking",
            0.5,
            _tracked,
            ("an entry with UNREPLIED is printed", "route"),
            ("nothing is printed, or an entry without UNREPLIED", "entry"),
        ),
    ),
)
ENTRY_QUESTIONS = (
    PORT_UNREACHABLE,
    VNI_MISMATCH,
    STALE_TUNNEL_MAC,
    DUPLICATE_TUNNEL_MAC,
    DUPLICATE_ADDRESS,
    REPLY_NOT_TRANSLATED,
)
