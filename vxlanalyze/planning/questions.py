"""What each finding leaves open, and what would decide it: one entry a code, all in this place.

The explanations of a code are those that its manual names; the tests are those of docs/findings.md, made
exact for the two nodes.
"""

from collections.abc import Sequence

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Outcome, Probe, Question

_Steps = Sequence[tuple[str, Step]]


def _open_path(case: Case) -> Sequence[str]:
    if case.port is None or not (case.near_address and case.far_address) or "/" in case.near + case.far:
        return ()
    return ("payload",) if case.value("others_delivered") else ("port", "payload", "all", "xdp")


def _same_port(case: Case) -> _Steps:
    port = case.port or 0
    return ((case.far, run.small_datagrams(case, port)), (case.near, run.send_datagrams(case, port)))


def _other_port(case: Case) -> _Steps:
    port = (case.port or 0) % 50000 + 10000
    return ((case.far, run.small_datagrams(case, port)), (case.near, run.send_datagrams(case, port)))


def _programs(case: Case) -> _Steps:
    shown = Step(f"ip -d link show dev {run.device_to(case.near_address)} | grep -o 'prog/xdp.*'")
    return ((case.far, shown),)


PATH_BLOCKED = Question(
    "path-blocked",
    {
        "port": "a filter on the path drops the tunnel's port (security group, access list, a router)",
        "payload": "something on the path takes what is a valid tunnel packet (a hypervisor's overlay)",
        "all": "nothing at all passes from the one node to the other (route, link, address)",
        "xdp": "a program on the receiver's NIC drops them before the capture sees them (XDP)",
    },
    _open_path,
    (
        Probe(
            "other datagrams on the tunnel's port",
            2,
            _same_port,
            (
                Outcome("they arrive", ("payload",)),
                Outcome("none arrives", ("port", "all", "xdp")),
            ),
        ),
        Probe(
            "datagrams on another port",
            2,
            _other_port,
            (
                Outcome("they arrive", ("port", "payload", "xdp")),
                Outcome("none arrives", ("all",)),
            ),
        ),
        Probe(
            "programs on the receiver's NIC",
            1,
            _programs,
            (
                Outcome("a program is named", ("xdp",)),
                Outcome("nothing is printed", ("port", "payload", "all")),
            ),
        ),
    ),
    {"xdp": 0.2},
)


def _open_inside(case: Case) -> Sequence[str]:
    """Of requests that die inside a node: what the capture shows of where."""
    taken = case.value("taken_out_of_tunnel")
    before, after = ("firewall", "device"), ("rpfilter", "forward", "pod")
    return after if taken == "yes" else before if taken == "no" else (*before, *after)


def _watched(case: Case) -> _Steps:
    return ((case.far, run.watch(case)), (case.near, run.ping(case)))


def _kernel_counters(case: Case) -> _Steps:
    names = "TcpExtIPReversePathFilter UdpNoPorts UdpInCsumErrors IpInAddrErrors"
    return ((case.far, run.rising(names)), (case.near, run.ping(case)))


def _firewall_counters(case: Case) -> _Steps:
    return (*((case.far, step) for step in run.rules_that_count()), (case.near, run.ping(case)))


_INSIDE = {
    "firewall": "the host firewall drops the tunnel's packets before the tunnel device",
    "device": "no tunnel device takes them (VNI, port, local address, or none there)",
    "rpfilter": "the reverse path filter drops what comes out of the tunnel",
    "forward": "a forwarding rule or network policy drops it",
    "pod": "the pod gets the request and does not answer, or its answer dies inside the node",
}
_FIREWALL = Probe(
    "rules that count",
    1,
    _firewall_counters,
    (
        Outcome("a rule of INPUT or PREROUTING rises", ("firewall",)),
        Outcome("a rule of FORWARD or of a policy's chain rises", ("forward",)),
        Outcome("no rule rises", ("device", "rpfilter", "pod")),
    ),
)
_KERNEL = Probe(
    "counters of the kernel",
    1,
    _kernel_counters,
    (
        Outcome("TcpExtIPReversePathFilter rises", ("rpfilter",)),
        Outcome("UdpNoPorts rises", ("device",)),
        Outcome("none of them rises", ("firewall", "device", "forward", "pod")),
    ),
)
_WATCH = Probe(
    "how far the requests get inside the node",
    1.5,
    _watched,
    (
        Outcome("they never appear outside of the tunnel", ("firewall", "device")),
        Outcome("they appear on the tunnel device alone", ("rpfilter", "forward")),
        Outcome("they appear on the pod's interface, too", ("pod",)),
    ),
)
NOT_ANSWERED = Question("not-answered", _INSIDE, _open_inside, (_FIREWALL, _KERNEL, _WATCH))


def _route_back(case: Case) -> _Steps:
    to = case.client or "SOURCE"
    return ((case.far, Step(f"ip route get {to}", "must leave by the tunnel device")),)


SOURCE_UNANSWERED = Question(
    "source-unanswered",
    {
        "rpfilter": _INSIDE["rpfilter"],
        "route": "the node has no route that leads answers back into the tunnel",
        "forward": "a rule or network policy drops this source",
    },
    lambda case: ("rpfilter", "route", "forward"),
    (
        Probe(
            "the route back",
            0.5,
            _route_back,
            (
                Outcome("it leaves by another device, or is unreachable", ("route", "rpfilter")),
                Outcome("it leaves by the tunnel device", ("forward",)),
            ),
        ),
        Probe(
            "the counter of the reverse path filter",
            1,
            _kernel_counters,
            (
                Outcome("TcpExtIPReversePathFilter rises", ("rpfilter",)),
                Outcome("it does not", ("route", "forward")),
            ),
        ),
    ),
)


def _loss_counters(case: Case) -> _Steps:
    node = case.far.partition("/")[0]
    names = "UdpRcvbufErrors UdpInErrors IpOutDiscards IpInDiscards IpReasmFails TcpExtIPReversePathFilter"
    return ((node, run.rising(names)),)


def _backlog(case: Case) -> _Steps:
    node = case.far.partition("/")[0]
    read = "awk '{print $2}' /proc/net/softnet_stat | tr '\\n' ' '"
    return ((node, Step(f"{read}; sleep 20; {read}", "packets dropped for each core, hexadecimal")),)


def _conntrack(case: Case) -> _Steps:
    node = case.far.partition("/")[0]
    step = Step("conntrack -S; sleep 20; conntrack -S", "compare insert_failed, drop and early_drop")
    return ((node, step),)


def _inside_rules(case: Case) -> _Steps:
    return tuple((case.far.partition("/")[0], step) for step in run.rules_that_count())


LOSS_INSIDE = Question(
    "packet-loss",
    {
        "backlog": "the node's cores do not keep up (softirq backlog)",
        "conntrack": "connection tracking drops them (table full, insertion failed)",
        "forward": _INSIDE["forward"],
        "stack": "the network stack drops them (socket buffers, reverse path filter, reassembly)",
    },
    lambda case: (
        ("backlog", "conntrack", "forward", "stack")
        if case.near.partition("/")[0] == case.far.partition("/")[0]
        else ()
    ),
    (
        Probe(
            "rules that count",
            1,
            _inside_rules,
            (
                Outcome("a rule rises by what is missing", ("forward",)),
                Outcome("no rule rises", ("backlog", "conntrack", "stack")),
            ),
        ),
        Probe(
            "the backlog of each core",
            1,
            _backlog,
            (
                Outcome("a number rises", ("backlog",)),
                Outcome("all stay", ("conntrack", "forward", "stack")),
            ),
        ),
        Probe(
            "connection tracking",
            1,
            _conntrack,
            (
                Outcome("one of these rises", ("conntrack",)),
                Outcome("all stay", ("backlog", "forward", "stack")),
            ),
        ),
        Probe(
            "counters of the stack",
            1,
            _loss_counters,
            (
                Outcome("one of them rises", ("stack",)),
                Outcome("all stay at 0", ("backlog", "conntrack", "forward")),
            ),
        ),
    ),
)


def _large_ping(case: Case) -> _Steps:
    header = 48 if ":" in case.far_address else 28  # IP and ICMP
    size = int(case.value("smallest_lost") or 1500) - header
    return ((case.near, Step(f"ping -M do -c 3 -s {size} {case.far_address}")),)


def _link_sizes(case: Case) -> _Steps:
    near = Step(f"cat /sys/class/net/{run.device_to(case.far_address)}/mtu")
    far = Step(f"cat /sys/class/net/{run.device_to(case.near_address)}/mtu")
    return ((case.near, near), (case.far, far))


MTU = Question(
    "mtu-blackhole",
    {
        "nic": "the MTU of the receiving node's NIC is smaller than the sender's",
        "link": "a link between the nodes carries less, for all traffic",
        "tunnel": "only tunnel packets of this size die (an offload, a filter, a policer)",
    },
    lambda case: ("nic", "link", "tunnel") if case.near_address and case.far_address else (),
    (
        Probe(
            "the MTUs of both NICs",
            0.5,
            _link_sizes,
            (
                Outcome("the receiver's is smaller", ("nic",)),
                Outcome("they are alike", ("link", "tunnel")),
            ),
        ),
        Probe(
            "a ping of the size that dies",
            0.5,
            _large_ping,
            (
                Outcome("it is answered", ("tunnel",)),
                Outcome("it is not, or says that the message is too long", ("nic", "link")),
            ),
        ),
    ),
)

QUESTIONS: tuple[Question, ...] = (PATH_BLOCKED, NOT_ANSWERED, SOURCE_UNANSWERED, MTU, LOSS_INSIDE)
