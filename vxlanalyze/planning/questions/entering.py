"""Open questions where packets do not enter the tunnel, take a wrong path in it, or come from elsewhere."""

from shlex import quote

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, always, probe
from vxlanalyze.planning.questions.path import between


def _members(case: Case) -> Steps:
    group = str(case.value("groups") or "").partition(",")[0]
    step = Step(f"ip maddr show dev {run.device_to(case.near_address)} | grep -w {quote(group)}")
    return ((case.far_node, step),) if group else ()


def _queries(case: Case) -> Steps:
    rule = quote("icmp6 and ip6[40] == 130" if ":" in case.far_address else "igmp[0] == 0x11")
    step = Step(f"timeout 130 tcpdump -ni {run.device_to(case.near_address)} -c 1 {rule}")
    return ((case.far_node, step),)


GROUP_BLOCKED = Question(
    "group-blocked",
    {
        "member": "the receiving node is not a member of the group on that interface",
        "querier": "the switch has dropped the membership, since no querier refreshes it (snooping)",
        "routing": "the group is not routed between the nodes' subnets (no PIM, or a cloud network)",
    },
    between("member", "querier", "routing"),
    (
        probe(
            "membership of the receiving node",
            0.5,
            _members,
            ("the group is printed", "querier routing"),
            ("nothing is printed", "member"),
        ),
        probe(
            "queries of a querier",
            2.2,
            _queries,
            ("a query arrives within two minutes", "member routing"),
            ("none arrives", "querier"),
        ),
    ),
)


def _into_tunnel(case: Case) -> Steps:
    if not case.endpoint:
        return ()
    shown = f"ip route get {quote(case.endpoint)}; ip neigh show; bridge fdb show | grep -w dst"
    return ((case.near_node, Step(shown)),)


def _device_drops(case: Case) -> Steps:
    return ((case.near_node, run.growing("ip -s link show")),)


def _near_rules(case: Case) -> Steps:
    return tuple((case.near_node, step) for step in run.rules_that_count(case))


NOT_ENCAPSULATED = Question(
    "not-encapsulated",
    {
        "route": "the node has no route into the tunnel for them",
        "entry": "a neighbour or forwarding entry of the tunnel is missing, or wrong",
        "forward": "a forwarding rule or network policy drops them",
        "device": "the tunnel device drops them (down, or its queue is full)",
    },
    always("route", "entry", "forward", "device"),
    (
        probe(
            "the route and the entries",
            0.5,
            _into_tunnel,
            ("the route uses another device than the tunnel's", "route"),
            ("no entry maps the route's next hop to the far node", "entry"),
            ("route and entries point to the far node", "forward device"),
        ),
        probe(
            "rule counters",
            1,
            _near_rules,
            ("a rule that drops rises", "forward"),
            ("no rule that drops rises", "route entry device"),
        ),
        probe(
            "drops of the tunnel device",
            1,
            _device_drops,
            ("dropped or carrier (TX) of the tunnel device rises", "device entry"),
            ("neither rises", "route forward"),
        ),
    ),
)


def _where_is(case: Case) -> Steps:
    if not case.endpoint:
        return ()
    return (("", Step(f"kubectl get pods -A -o wide --field-selector status.podIP={case.endpoint}")),)


WRONG_TUNNEL_ENDPOINT = Question(
    "wrong-tunnel-endpoint",
    {
        "stale": "the sending node's map of pods is stale",
        "cluster": "the cluster itself places the pod there, and its address is used elsewhere",
    },
    always("stale", "cluster"),
    (
        probe(
            "where the cluster places the pod",
            0.3,
            _where_is,
            ("on another node than the one the packets go to, or nowhere", "stale"),
            ("on the node the packets go to", "cluster"),
        ),
    ),
)


def _forged(case: Case) -> Steps:
    port = f" and udp port {case.port}" if case.port else ""
    rule = quote(f"src host {case.near_address}{port}")
    step = f"timeout 20 tcpdump -nne -v -i {run.device_to(case.near_address)} {rule}"
    return ((case.far_node, Step(step, "while the connections fail")),)


FOREIGN_RESET = Question(
    "foreign-reset",
    {
        "segment": "a device in the receiving node's own segment sends them (hypervisor, switch, firewall)",
        "beyond": "a device beyond the next router sends them",
    },
    between("segment", "beyond"),
    (
        probe(
            "the MAC address of the forged packets",
            1,
            _forged,
            ("it differs from that of the genuine packets", "segment"),
            ("all come with the same MAC address", "beyond"),
        ),
    ),
)


def _learning(case: Case) -> Steps:
    step = Step("ip -d link show | grep -oE '(vxlan id|geneve id) [0-9]+.*'")
    return ((case.near_node, step),)


FLOODED_UNICAST = Question(
    "flooded-unicast",
    {
        "agent": "the device does not learn, and the agent has added no entry for the MAC",
        "silent": "the device learns, but receives nothing from the MAC through the tunnel",
    },
    always("agent", "silent"),
    (
        probe(
            "MAC learning of the tunnel device",
            0.3,
            _learning,
            ("nolearning is printed", "agent"),
            ("it does not", "silent"),
        ),
    ),
)


ENTERING_QUESTIONS = (
    GROUP_BLOCKED,
    NOT_ENCAPSULATED,
    WRONG_TUNNEL_ENDPOINT,
    FOREIGN_RESET,
    FLOODED_UNICAST,
)
