"""Open questions where packets are lost due to their size or to fragmentation."""

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, probe
from vxlanalyze.planning.questions.path import between


def _large_ping(case: Case) -> Steps:
    header = 48 if ":" in case.far_address else 28  # IP and ICMP
    size = int(case.value("smallest_lost") or 1500) - header
    return ((case.near_node, Step(f"ping -M do -c 3 -s {size} {case.far_address}")),)


def _link_sizes(case: Case) -> Steps:
    near = Step(f"cat /sys/class/net/{run.device_to(case.far_address)}/mtu")
    far = Step(f"cat /sys/class/net/{run.device_to(case.near_address)}/mtu")
    return ((case.near_node, near), (case.far_node, far))


MTU = Question(
    "mtu-blackhole",
    {
        "nic": "the MTU of the receiving node's NIC is smaller than the sender's",
        "link": "a link between the nodes has a smaller MTU for all traffic",
        "tunnel": "only tunnel packets of this size are lost (an offload, a filter, a policer)",
    },
    between("nic", "link", "tunnel"),
    (
        probe(
            "the MTUs of both NICs",
            0.5,
            _link_sizes,
            ("the receiver's is smaller", "nic"),
            ("both are the same", "link tunnel"),
        ),
        probe(
            "a ping of the size that is lost",
            0.5,
            _large_ping,
            ("it is answered", "tunnel"),
            ("it is not answered, or ping reports that the message is too long", "nic link"),
        ),
    ),
)


def _learned(case: Case) -> Steps:
    return ((case.near_node, Step(f"ip route get {case.far_address}", "after packets that are too large")),)


MTU_ICMP_NEEDED = Question(
    "mtu-icmp-needed",
    {
        "ignored": "the sending node ignores the ICMP errors (a rule drops them, or the MTU is fixed)",
        "pods": "the node has cached the path MTU, but its pods keep sending larger packets",
    },
    lambda case: between("ignored", "pods")(case) if case.finding["severity"] == "critical" else (),
    (
        probe(
            "the path MTU that the node has cached",
            0.3,
            _learned,
            ("the route shows mtu and expires", "pods"),
            ("it does not", "ignored"),
        ),
    ),
)


def _ping_in_pieces(case: Case) -> Steps:
    flag = "" if ":" in case.far_address else "-M dont "
    step = Step(f"ping {flag}-c 3 -s 4000 {case.far_address}", "is fragmented, and has no UDP port")
    return ((case.near_node, step),)


def pieces(code: str) -> Question:
    """Declare the open questions where later fragments are lost on the path."""
    return Question(
        code,
        {
            "any": "all fragments are dropped, of any protocol (a cloud, a firewall)",
            "ports": "only fragments of UDP are dropped: a filter matches ports, which later fragments lack",
        },
        lambda case: () if _all_arrived(case) else between("any", "ports")(case),
        (
            probe(
                "fragments of a ping",
                0.3,
                _ping_in_pieces,
                ("it is answered", "ports"),
                ("it is not answered", "any"),
            ),
        ),
    )


def _all_arrived(case: Case) -> bool:
    sent, arrived = case.value("fragments_sent"), case.value("fragments_arrived")
    return sent is not None and sent == arrived


def _defragmented(case: Case) -> Steps:
    return ((case.far_node, run.rising("IpReasmFails IpReasmTimeout Ip6ReasmFails Ip6ReasmTimeout")),)


REASSEMBLY_INSIDE = Question(
    "reassembly-timeout",
    {
        "node": "the node itself cannot reassemble them (memory for fragments, connection tracking)",
        "forward": "a rule, policy or eBPF program drops later fragments, which carry no ports",
    },
    lambda case: ("node", "forward") if _all_arrived(case) else (),
    (
        probe(
            "the node's counters of reassembly",
            1,
            _defragmented,
            ("one of them rises", "node"),
            ("none rises", "forward"),
        ),
    ),
)


def _sizes_inside(case: Case) -> Steps:
    step = Step("ip -o link show | sed -E 's/^[0-9]+: ([^:]+):.* (mtu [0-9]+).*/\\1 \\2/'")
    return ((case.near_node, step),)


INNER_FRAGMENTATION = Question(
    "inner-fragmentation",
    {
        "pods": "the pods' MTU is larger than the tunnel device's",
        "application": "an application sends datagrams that are larger than the pods' own MTU",
    },
    lambda case: ("pods", "application") if case.near else (),
    (
        probe(
            "the MTUs of the node's devices",
            0.3,
            _sizes_inside,
            ("the pods' devices (veth, cali, lxc) have a larger MTU than the tunnel device", "pods"),
            ("all have the same MTU", "application"),
        ),
    ),
)
SIZE_QUESTIONS = (
    MTU,
    MTU_ICMP_NEEDED,
    *map(pieces, ("fragments-lost", "reassembly-timeout")),
    REASSEMBLY_INSIDE,
    INNER_FRAGMENTATION,
)
