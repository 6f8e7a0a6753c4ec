"""Open questions where packets die inside a node, and what would decide them."""

from shlex import quote

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, always, probe

INSIDE = {
    "firewall": "the host firewall drops the tunnel's packets before decapsulation",
    "device": "no tunnel device accepts them (VNI, port or local address differ, or there is no device)",
    "rpfilter": "the reverse path filter drops decapsulated packets",
    "forward": "a forwarding rule or network policy drops them",
    "pod": "the pod receives the requests and does not respond, or its responses are dropped inside the node",
}
LOSS = {
    "backlog": "the node's cores do not keep up (softirq backlog)",
    "conntrack": "connection tracking drops them (table full, insertion failed)",
    "forward": INSIDE["forward"],
    "stack": "the network stack drops them (socket buffers, reverse path filter, reassembly)",
}
_REFUSED = "invalid, insert_failed, drop and early_drop count packets that connection tracking rejects"


def _open_inside(case: Case) -> tuple[str, ...]:
    """What the capture shows about where requests die inside a node."""
    if case.value("host_unreachable") or case.value("own_tunnel"):
        return ()  # no host has that address, or no device of that kind
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
    "rule counters",
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
    "interfaces of the node on which the requests appear",
    1.5,
    _watched,
    ("they never appear outside of the tunnel", "firewall device"),
    ("they appear only on the tunnel device", "rpfilter forward"),
    ("they also appear on the pod's interface", "pod"),
)
NOT_ANSWERED = Question("not-answered", INSIDE, _open_inside, (FIREWALL, KERNEL, WATCH))


# Evidence that shows where requests stay unanswered: lost answers, some names only, an idle application.
_DECIDED = ("lost", "failing_names", "longest_wait")


def at_endpoint(code: str) -> Question:
    """Declare the open questions where one endpoint does not answer while others of its node do."""
    keys = ("forward", "pod")
    return Question(
        code,
        {key: INSIDE[key] for key in keys},
        lambda case: keys if case.near and not any(map(case.value, _DECIDED)) else (),
        (
            probe(
                "rule counters",
                1,
                _firewall_counters,
                ("a rule that drops rises in FORWARD or a chain that it jumps to", "forward"),
                ("no rule that drops rises", "pod"),
            ),
            probe(
                "interfaces of the node on which the requests appear",
                1,
                _watched,
                ("they appear only on the tunnel device", "forward"),
                ("they also appear on the pod's interface", "pod"),
            ),
        ),
    )


def _route_back(case: Case) -> Steps:
    if not case.client:
        return ()
    step = Step(f"ip route get {quote(case.client)}", "must use the tunnel device")
    return ((case.far_node, step),)


SOURCE_UNANSWERED = Question(
    "source-unanswered",
    {
        "rpfilter": INSIDE["rpfilter"],
        "route": "the node has no route for responses into the tunnel",
        "forward": "a rule or network policy drops this source",
    },
    always("rpfilter", "route", "forward"),
    (
        probe(
            "the route of responses",
            0.5,
            _route_back,
            ("it uses another device, or there is none", "route rpfilter"),
            ("it uses the tunnel device", "forward"),
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
        "conntrack": "connection tracking has no entry for the response, or its table is full",
        "rpfilter": "the reverse path filter drops the response",
        "forward": INSIDE["forward"],
        "pod": "the response reaches the client, which discards it (socket closed, other address)",
    },
    always("conntrack", "rpfilter", "forward", "pod"),
    (
        probe(
            "interfaces of the node on which the responses appear",
            1,
            _answers_watched,
            ("they also appear on the pod's interface", "pod"),
            ("they appear only on the tunnel device, or nowhere", "conntrack rpfilter forward"),
        ),
        probe(
            "rule counters",
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
            ("one of these counters rises", "conntrack"),
            ("none rises", "rpfilter forward pod"),
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
        "rule counters",
        1,
        _rules_inside,
        ("a rule that drops rises by the number of missing packets", "forward"),
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
        ("one of these counters rises", "conntrack"),
        ("none rises", "backlog forward stack"),
    ),
    probe(
        "counters of the stack",
        1,
        _loss_counters,
        ("one of them rises", "stack"),
        ("none rises", "backlog conntrack forward"),
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
