"""Open questions where all packets of some kind are lost between two nodes."""

from collections.abc import Callable

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, probe

_Keys = Callable[[Case], tuple[str, ...]]


def between(*keys: str) -> _Keys:
    """Leave these open between two nodes whose addresses are known."""
    return lambda case: () if case.is_inside or not case.has_addresses else keys


def _open_path(case: Case) -> tuple[str, ...]:
    if case.port is None or not case.has_addresses or case.is_inside or case.value("said_by"):
        return ()
    return ("payload",) if case.value("others_delivered") else ("port", "payload", "all", "xdp")


def _same_port(case: Case) -> Steps:
    port = case.port or 0
    return ((case.far, run.small_datagrams(case, port)), (case.near, run.send_datagrams(case, port)))


def _other_port(case: Case) -> Steps:
    port = (case.port or 0) % 50000 + 10000
    return ((case.far, run.small_datagrams(case, port)), (case.near, run.send_datagrams(case, port)))


def _programs(case: Case) -> Steps:
    shown = Step(f"ip -d link show dev {run.device_to(case.near_address)} | grep -o 'prog/xdp.*'")
    return ((case.far, shown),)


PATH_BLOCKED = Question(
    "path-blocked",
    {
        "port": "a filter on the path drops the tunnel's port (security group, access list, a router)",
        "payload": "something on the path consumes valid tunnel packets (a hypervisor's overlay)",
        "all": "nothing passes from one node to the other (route, link, address)",
        "xdp": "a program on the receiver's NIC drops them before the capture sees them (XDP)",
    },
    _open_path,
    (
        probe(
            "other datagrams on the tunnel's port",
            2,
            _same_port,
            ("they arrive", "payload"),
            ("none arrives", "port all xdp"),
        ),
        probe(
            "datagrams on another port",
            2,
            _other_port,
            ("they arrive", "port payload xdp"),
            ("none arrives", "all"),
        ),
        probe(
            "programs on the receiver's NIC",
            1,
            _programs,
            ("a program is printed", "xdp"),
            ("nothing is printed", "port payload all"),
        ),
    ),
    {"xdp": 0.2},
)


def _card(case: Case) -> Steps:
    step = Step(f"ip -d link show dev {run.device_to(case.near_address)} | grep -w xdp")
    return ((case.far_node, step),)


def _connections(case: Case) -> Steps:
    step = run.connections(case)
    return () if step is None else ((case.near_node, step),)


_CARD = {"far": "a program on the receiving node's NIC drops them before its capture (XDP)"}
_BETWEEN = "a device between the nodes that reads the inner packet drops them"


def on_cards(code: str) -> Question:
    """Declare the open questions where a property of the packets decides that they do not arrive."""
    between_them = "a device between the nodes drops them" if code == "header-blocked" else _BETWEEN
    return Question(
        code,
        {**_CARD, "between": between_them, "member": "one of several equal paths is dead"},
        between("far", "between", *(("member",) if code == "flow-blocked" else ())),
        (
            probe(
                "programs on the receiver's NIC",
                1,
                _card,
                ("one is printed", "far"),
                ("nothing is printed", "between member"),
            ),
            probe(
                "ten connections, each from another port",
                1.5,
                _connections,
                ("some connect", "member"),
                ("none connects", "far between"),
            ),
        ),
    )


def _offload_off(case: Case) -> Steps:
    device = run.device_to(case.far_address)
    off = Step(f"ethtool -K {device} tx-checksum-ip-generic off", "then send again what is lost")
    return ((case.near_node, off), (case.near_node, Step(f"ethtool -K {device} tx-checksum-ip-generic on")))


def _what_blocks_protocols(case: Case) -> tuple[str, ...]:
    """Network cards complete the checksums of TCP and UDP only."""
    if case.value("outer_protocols"):
        return ()
    lost = set(str(case.value("lost_protocols") or "").split(", "))
    return between(*(("offload", "between") if lost & {"TCP", "UDP"} else ("between",)))(case)


PROTOCOL_BLOCKED = Question(
    "protocol-blocked",
    {
        "offload": "the sending NIC or hypervisor drops packets whose inner checksum it should complete",
        "between": _BETWEEN,
    },
    _what_blocks_protocols,
    (
        probe(
            "checksums computed by the kernel (the second command undoes it)",
            1,
            _offload_off,
            ("with offload off, the packets arrive", "offload"),
            ("they are still lost", "between"),
        ),
    ),
)


def _tables(case: Case) -> Steps:
    shown = "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; conntrack -S"
    return tuple((node, Step(shown)) for node in (case.near_node, case.far_node))


def _policies(case: Case) -> Steps:
    command = "kubectl get networkpolicies -A --sort-by=.metadata.creationTimestamp"
    return (("", Step(f"{command} -o custom-columns=:.metadata.namespace,:.metadata.name,"
                      ":.metadata.creationTimestamp")),)  # fmt: skip


NEW_FLOWS_BLOCKED = Question(
    "new-flows-blocked",
    {
        "table": "the connection tracking table of a node is full",
        "policy": "a network policy or firewall rule was loaded at that time",
        "between": "a firewall between the nodes accepts no new sessions",
    },
    lambda case: ("table", "policy", "between") if case.value("lost") else ("table", "policy"),
    (
        probe(
            "the connection tracking tables of both nodes",
            0.5,
            _tables,
            ("a count is at its maximum, or drop and insert_failed are not 0", "table"),
            ("neither table is full", "policy between"),
        ),
        probe(
            "when network policies were created",
            1,
            _policies,
            ("the newest was created when the fault began", "policy"),
            ("none was created then", "table between"),
        ),
    ),
)


def _bonds(case: Case) -> Steps:
    shown = "grep -H -E 'Bonding Mode|Slave Interface|MII Status|Link Failure' /proc/net/bonding/*"
    return ((case.near_node, Step(shown)), (case.far_node, Step(shown)))


ECMP_MEMBER_BLOCKED = Question(
    "ecmp-member-blocked",
    {
        "bond": "a member of a bond of the sending node, or its switch port, is dead",
        "device": "a member of a port channel, or an equal-cost next hop, between the nodes is dead",
    },
    between("bond", "device"),
    (
        probe(
            "the bonds of the sending node",
            0.5,
            lambda case: _bonds(case)[:1],
            ("a member is down, or counts link failures", "bond"),
            ("there is no bond, or all members are up", "device"),
        ),
    ),
)


def _trace(case: Case) -> Steps:
    return ((case.near_node, Step(f"traceroute -n -q 1 -m 64 {case.far_address}")),)


TTL_EXCEEDED = Question(
    "ttl-exceeded",
    {
        "device": "the TTL of the tunnel device is smaller than the number of routers",
        "loop": "two routers send the packets to each other",
    },
    lambda case: (
        () if isinstance(ttl := case.value("ttl"), int) and ttl < 32 else between("device", "loop")(case)
    ),
    (
        probe(
            "the routers between the nodes",
            1,
            _trace,
            ("the last line is the other node", "device"),
            ("the same addresses repeat", "loop"),
        ),
    ),
)


PATH_QUESTIONS = (
    PATH_BLOCKED,
    PROTOCOL_BLOCKED,
    NEW_FLOWS_BLOCKED,
    ECMP_MEMBER_BLOCKED,
    on_cards("flow-blocked"),
    on_cards("header-blocked"),
    TTL_EXCEEDED,
)
