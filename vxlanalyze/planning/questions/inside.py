"""Open questions where packets die inside a node, and what would decide them."""

from shlex import quote

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, always, probe

INSIDE = {
    "firewall": "the host firewall drops the tunnel's packets before the tunnel device",
    "device": "no tunnel device takes them (VNI, port, local address, or none there)",
    "rpfilter": "the reverse path filter drops what comes out of the tunnel",
    "forward": "a forwarding rule or network policy drops it",
    "pod": "the pod gets the request and does not answer, or its answer dies inside the node",
}
LOSS = {
    "backlog": "the node's cores do not keep up (softirq backlog)",
    "conntrack": "connection tracking drops them (table full, insertion failed)",
    "forward": INSIDE["forward"],
    "stack": "the network stack drops them (socket buffers, reverse path filter, reassembly)",
}
_REFUSED = "invalid, insert_failed, drop and early_drop count what connection tracking refuses"


def _open_inside(case: Case) -> tuple[str, ...]:
    """What the capture shows about where requests die inside a node."""
    taken = case.value("taken_out_of_tunnel")
    before, after = ("firewall", "device"), ("rpfilter", "forward", "pod")
    return after if taken == "yes" else before if taken == "no" else (*before, *after)


def _watched(case: Case) -> Steps:
    if not case.endpoint:
        return ()
    return ((case.far_node, run.watch(case)), (case.near_node, run.ping(case)))


def _kernel_counters(case: Case) -> Steps:
    names = "TcpExtIPReversePathFilter UdpNoPorts UdpInCsumErrors IpInAddrErrors"
    return ((case.far_node, run.rising(names)), (case.near_node, run.ping(case)))


def _firewall_counters(case: Case) -> Steps:
    return (*((case.far_node, step) for step in run.rules_that_count(case)), (case.near_node, run.ping(case)))


FIREWALL = probe(
    "rules that count",
    1,
    _firewall_counters,
    ("a rule that drops rises in INPUT, PREROUTING or a chain that they jump to", "firewall"),
    ("a rule that drops rises in FORWARD or a chain that it jumps to", "forward"),
    ("no rule that drops rises", "device rpfilter pod"),
)
KERNEL = probe(
    "counters of the kernel",
    1,
    _kernel_counters,
    ("TcpExtIPReversePathFilter rises", "rpfilter"),
    ("UdpNoPorts rises", "device"),
    ("none of them rises", "firewall device forward pod"),
)
WATCH = probe(
    "how far the requests get inside the node",
    1.5,
    _watched,
    ("they never appear outside of the tunnel", "firewall device"),
    ("they appear on the tunnel device alone", "rpfilter forward"),
    ("they appear on the pod's interface, too", "pod"),
)
NOT_ANSWERED = Question("not-answered", INSIDE, _open_inside, (FIREWALL, KERNEL, WATCH))


def at_endpoint(code: str) -> Question:
    """Declare the open questions where one endpoint does not answer while others of its node do."""
    keys = ("forward", "pod")
    return Question(
        code,
        {key: INSIDE[key] for key in keys},
        lambda case: keys if case.near and not (case.value("lost") or case.value("failing_names")) else (),
        (
            probe(
                "rules that count",
                1,
                _firewall_counters,
                ("a rule that drops rises in FORWARD or a chain that it jumps to", "forward"),
                ("no rule that drops rises", "pod"),
            ),
            probe(
                "how far the requests get inside the node",
                1,
                _watched,
                ("they appear on the tunnel device alone", "forward"),
                ("they appear on the pod's interface, too", "pod"),
            ),
        ),
    )


def _route_back(case: Case) -> Steps:
    if not case.client:
        return ()
    step = Step(f"ip route get {quote(case.client)}", "must leave by the tunnel device")
    return ((case.far_node, step),)


SOURCE_UNANSWERED = Question(
    "source-unanswered",
    {
        "rpfilter": INSIDE["rpfilter"],
        "route": "the node has no route that leads answers back into the tunnel",
        "forward": "a rule or network policy drops this source",
    },
    always("rpfilter", "route", "forward"),
    (
        probe(
            "the route back",
            0.5,
            _route_back,
            ("it leaves by another device, or is unreachable", "route rpfilter"),
            ("it leaves by the tunnel device", "forward"),
        ),
        probe(
            "the counter of the reverse path filter",
            1,
            _kernel_counters,
            ("TcpExtIPReversePathFilter rises", "rpfilter"),
            ("it does not", "route forward"),
        ),
    ),
)


def _answers_watched(case: Case) -> Steps:
    """Answers come from the far endpoint's node but die at the client's node."""
    if not (case.endpoint and case.client):
        return ()
    rule = quote(f"host {case.client} and src host {case.endpoint}")
    return ((case.far_node, Step(f"timeout 20 tcpdump -nei any -c 20 {rule}", "while the client sends")),)


def _dropped(case: Case) -> Steps:
    return ((case.far_node, run.rising("TcpExtIPReversePathFilter IpInDiscards")),)


def _conntrack(case: Case) -> Steps:
    return ((case.far_node, run.growing("conntrack -S", _REFUSED)),)


def _rules(case: Case) -> Steps:
    return tuple((case.far_node, step) for step in run.rules_that_count(case))


ANSWER_NOT_ACCEPTED = Question(
    "answer-not-accepted",
    {
        "conntrack": "connection tracking does not know the answer's conversation, or its table is full",
        "rpfilter": "the reverse path filter drops the answer",
        "forward": INSIDE["forward"],
        "pod": "the answer reaches the client, which discards it (socket closed, other address)",
    },
    always("conntrack", "rpfilter", "forward", "pod"),
    (
        probe(
            "how far the answers get inside the node",
            1,
            _answers_watched,
            ("they appear on the pod's interface, too", "pod"),
            ("they appear on the tunnel device alone, or nowhere", "conntrack rpfilter forward"),
        ),
        probe(
            "rules that count",
            1,
            _rules,
            ("a rule that drops rises in FORWARD or a chain that it jumps to", "forward conntrack"),
            ("no rule that drops rises", "rpfilter pod"),
        ),
        probe(
            "the counter of the reverse path filter",
            1,
            _dropped,
            ("TcpExtIPReversePathFilter rises", "rpfilter"),
            ("it does not", "conntrack forward pod"),
        ),
        probe(
            "connection tracking",
            1,
            _conntrack,
            ("one of these numbers rises", "conntrack"),
            ("all stay", "rpfilter forward pod"),
        ),
    ),
)


def _rules_inside(case: Case) -> Steps:
    return tuple((case.host, step) for step in run.rules_that_count(case))


def _conntrack_inside(case: Case) -> Steps:
    return ((case.host, run.growing("conntrack -S", _REFUSED)),)


def _loss_counters(case: Case) -> Steps:
    names = "UdpRcvbufErrors UdpInErrors IpOutDiscards IpInDiscards IpReasmFails TcpExtIPReversePathFilter"
    return ((case.host, run.rising(names)),)


def _backlog(case: Case) -> Steps:
    step = run.growing("cat /proc/net/softnet_stat", "the second column: packets dropped for each core")
    return ((case.host, step),)


_LOSS_TESTS = (
    probe(
        "rules that count",
        1,
        _rules_inside,
        ("a rule that drops rises by what is missing", "forward"),
        ("no rule that drops rises", "backlog conntrack stack"),
    ),
    probe(
        "the backlog of each core",
        1,
        _backlog,
        ("a number of the second column rises", "backlog"),
        ("the second column stays", "conntrack forward stack"),
    ),
    probe(
        "connection tracking",
        1,
        _conntrack_inside,
        ("one of these numbers rises", "conntrack"),
        ("all stay", "backlog forward stack"),
    ),
    probe(
        "counters of the stack",
        1,
        _loss_counters,
        ("one of them rises", "stack"),
        ("all stay at 0", "backlog conntrack forward"),
    ),
)


def loss_inside(code: str) -> Question:
    """Declare the open questions where packets die between two observation points of one node."""
    keys = tuple(LOSS)
    return Question(code, LOSS, lambda case: keys if case.near and case.is_inside else (), _LOSS_TESTS)


INSIDE_QUESTIONS = (
    NOT_ANSWERED,
    SOURCE_UNANSWERED,
    ANSWER_NOT_ACCEPTED,
    at_endpoint("endpoint-silent"),
    at_endpoint("dns-unanswered"),
    *map(loss_inside, ("packet-loss", "flow-blocked", "path-blocked", "protocol-blocked", "rate-limited")),
    *map(loss_inside, ("burst-outage", "header-blocked", "new-flows-blocked", "mtu-blackhole")),
)
