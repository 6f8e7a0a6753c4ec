"""Open questions where some packets are lost between two nodes, or arrive late."""

from shlex import quote

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, probe
from vxlanalyze.planning.questions.path import between


def _moments(case: Case) -> Steps:
    command = run.journal(case)
    return tuple((node, Step(command)) for node in (case.near_node, case.far_node)) if command else ()


def at_a_moment(code: str) -> Question:
    """Declare the open questions for a single event in time."""
    return Question(
        code,
        {
            "link": "a link or route of one of the nodes changed",
            "node": "an event on a node (machine paused or migrated, agent restarted, rules loaded)",
            "path": "an event between the nodes",
        },
        between("link", "node", "path"),
        (
            probe(
                "logs of both nodes around that time",
                1,
                _moments,
                ("a link or route changes state", "link"),
                ("an agent or a time service acts, or the log has a gap", "node"),
                ("no such event", "path"),
            ),
        ),
    )


def _both_counters(case: Case) -> Steps:
    dropped = "grep -iE '(drop|discard|err|miss|exceeded)[^:]*: [1-9]'"
    sent = f"ethtool -S {run.device_to(case.far_address)} | {dropped}"
    taken = f"ethtool -S {run.device_to(case.near_address)} | {dropped}; cat /proc/net/softnet_stat"
    return ((case.far_node, run.growing(taken)), (case.near_node, run.growing(sent)))


def _captured(case: Case) -> Steps:
    device = run.device_to(case.near_address)
    rule = quote(f"udp port {case.port}" if case.port else f"host {case.near_address}")
    step = f"timeout 20 tcpdump -ni {device} -B 65536 -s 128 -w /dev/null {rule}"
    return ((case.far_node, Step(step, "its last line counts packets dropped by the kernel")),)


PACKET_LOSS = Question(
    "packet-loss",
    {
        "near": "the sending node drops them after its capture (driver, NIC)",
        "far": "the receiving node's NIC drops them before its capture (ring, overrun)",
        "between": "a link or device between the nodes drops them",
        "capture": "they arrive, and the receiving node's capture missed them",
    },
    between("near", "far", "between", "capture"),
    (
        probe(
            "counters of both nodes while the traffic runs",
            1,
            _both_counters,
            ("drops rise on the sending node", "near"),
            ("drops rise on the receiving node", "far capture"),
            ("no counter rises by the number of missing packets", "between"),
        ),
        probe(
            "drops of a capture with a large buffer",
            1,
            _captured,
            ("packets dropped by kernel is not 0", "capture"),
            ("it is 0", "near far between"),
        ),
    ),
    {"capture": 0.5},
)
RATE_LIMITED = Question(
    "rate-limited",
    {
        "allowance": "the platform's allowance of one of the instances is exceeded",
        "near": "the sending NIC drops the excess (ring, driver)",
        "far": "the receiving node does not keep up",
        "between": "a policer or a queue between the nodes drops the excess",
    },
    between("allowance", "near", "far", "between"),
    (
        probe(
            "counters of both nodes during a burst",
            1,
            _both_counters,
            ("a counter with exceeded in its name rises", "allowance"),
            ("a counter of the sending node rises", "near"),
            ("a counter of the receiving node rises", "far"),
            ("no counter rises by the number of missing packets", "between"),
        ),
    ),
)
LOSING_QUESTIONS = (*map(at_a_moment, ("burst-outage", "delay-spike")), PACKET_LOSS, RATE_LIMITED)
