"""Open questions where traffic is slow, out of order, or interrupted."""

import re
from collections.abc import Sequence
from shlex import quote

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, always, probe
from vxlanalyze.planning.questions.path import between

_ENDPOINT = re.compile(r"^\[?([0-9a-fA-F.:]+?)\]?(?: port |:)(\d+)")
_IN_POD = "in the network namespace of the pod (nsenter -t PID -n)"


def _queues(case: Case) -> Steps:
    device = run.device_to(case.far_address)
    step = Step(f"for i in 1 2 3 4 5; do tc -s qdisc show dev {device}; sleep 1; done", "during the transfer")
    return ((case.near_node, step),)


QUEUEING_DELAY = Question(
    "queueing-delay",
    {
        "own": "the queue is on the sending node",
        "between": "the queue is in a device between the nodes",
    },
    between("own", "between"),
    (
        probe(
            "the sending node's queue",
            0.5,
            _queues,
            ("backlog holds many packets", "own"),
            ("backlog stays at or near 0", "between"),
        ),
    ),
)


def _modes(case: Case) -> Steps:
    step = Step("grep -H 'Bonding Mode' /proc/net/bonding/*")
    return ((case.near_node, step), (case.far_node, step))


REORDERING = Question(
    "reordering",
    {
        "bond": "a bond of one of the nodes uses round robin",
        "path": "the network between the nodes balances per packet, or has paths with different delays",
    },
    between("bond", "path"),
    (
        probe(
            "the bonds of both nodes",
            0.3,
            _modes,
            ("load balancing (round-robin) is printed", "bond"),
            ("another mode, or no bond", "path"),
        ),
    ),
)
DUPLICATION = Question(
    "duplication",
    {
        "bond": "a bond of one of the nodes is in broadcast mode",
        "path": "a loop, a second gateway or a mirror between the nodes duplicates them",
    },
    between("bond", "path"),
    (
        probe(
            "the bonds of both nodes",
            0.3,
            _modes,
            ("fault-tolerance (broadcast) is printed", "bond"),
            ("another mode, or no bond", "path"),
        ),
    ),
)


def _process(case: Case, rule: str) -> Steps:
    """Show what the process of a socket waits for, and whether its cgroup is throttled."""
    pid = f"pid=$(ss -tlnpH {rule} | grep -o 'pid=[0-9]*' | head -n 1 | cut -d= -f2)"
    throttled = "grep throttled /sys/fs/cgroup$(cut -d: -f3 /proc/$pid/cgroup | tail -n 1)/cpu.stat"
    again = f"{throttled}; sleep 10; {throttled}"
    step = Step(f"{pid}; {again}; cat /proc/$pid/wchan", f"{_IN_POD}; cgroup v2")
    return ((case.far_node, step),) if case.far_node else ()


def _server(case: Case) -> Steps:
    match = _ENDPOINT.match(str(case.value("server") or ""))
    return _process(case, f"sport = :{match[2]}") if match else ()


def _reader(case: Case) -> Steps:
    receiver = case.value("receiver")
    step = Step(f"ss -tnpi src {quote(str(receiver))}; top -b -n 1 | head -n 20", _IN_POD)
    return ((case.far_node, step),) if receiver and case.far_node else ()


def _open_answer(case: Case) -> Sequence[str]:
    facts = ("syns_ignored", "syn_acks_repeated", "silent_from", "answered_by_an_old_connection")
    by_kernel = case.value("request") in ("SYN", "ICMP")  # no process takes part
    return () if by_kernel or any(map(case.value, facts)) else ("throttled", "waits")


_BUSY = {
    "throttled": "the process is short of CPU time (throttled by its limit)",
    "waits": "the process waits for something else (disk, a lock, an upstream service)",
}
SLOW_ANSWER = Question(
    "slow-answer",
    _BUSY,
    _open_answer,
    (
        probe(
            "CPU throttling and wait state of the server's process",
            0.5,
            _server,
            ("nr_throttled rises", "throttled"),
            ("it does not rise", "waits"),
        ),
    ),
)
ZERO_WINDOW = Question(
    "zero-window",
    _BUSY,
    always("throttled", "waits"),
    (
        probe(
            "the process whose Recv-Q stays full",
            0.5,
            _reader,
            ("its CPU usage (top) is at its limit", "throttled"),
            ("it is idle", "waits"),
        ),
    ),
)


def _buffers(case: Case) -> Steps:
    match = re.search(r"\(([0-9a-fA-F.:]+) to ([0-9a-fA-F.:]+) port \d+\)", case.finding["summary"])
    if match is None or not case.far_node:
        return ()
    shown = f"ss -tmin src {match[2]} dst {match[1]}; sysctl net.ipv4.tcp_rmem net.core.rmem_max"
    return ((case.far_node, Step(shown, _IN_POD)),)


WINDOW_LIMITED = Question(
    "window-limited",
    {
        "system": "the system's limit (tcp_rmem) keeps the receive buffer small",
        "application": "the application sets its receive buffer (SO_RCVBUF)",
    },
    always("system", "application"),
    (
        probe(
            "the socket's receive buffer",
            0.3,
            _buffers,
            ("rb of skmem is the last number of tcp_rmem", "system"),
            ("it is smaller, and does not grow", "application"),
        ),
    ),
)


def _rejecting(case: Case) -> Steps:
    node = case.far_node
    return tuple((node, step) for step in run.rules_that_count(case)) if node else ()


ENDPOINT_REFUSED = Question(
    "endpoint-refused",
    {
        "listens": "no process listens there (not started, or on another port or address)",
        "rule": "a firewall rule or network policy rejects them on behalf of the pod",
    },
    lambda case: ("listens", "rule") if case.finding["severity"] != "info" else (),
    (
        probe(
            "rule counters",
            1,
            _rejecting,
            ("a rule with REJECT rises", "rule"),
            ("no rule with REJECT rises", "listens"),
        ),
    ),
)


def _invalid(case: Case) -> Steps:
    step = run.growing("conntrack -S", "invalid counts packets that match no connection")
    return tuple((node, step) for node in (case.near_node, case.far_node) if node)


CONNECTION_RESET = Question(
    "connection-reset",
    {
        "process": "the process closes them with a reset (timeout, crash, unread data)",
        "conntrack": "segments are invalid to connection tracking, which leaves them untranslated",
    },
    lambda case: ("process", "conntrack") if case.finding["severity"] != "info" else (),
    (
        probe(
            "connection tracking of both nodes",
            1,
            _invalid,
            ("invalid rises with the resets", "conntrack"),
            ("it does not rise", "process"),
        ),
    ),
)


def _unread(case: Case) -> Steps:
    return ((case.far_node, Step("ss -tnpi", _IN_POD)),) if case.far_node else ()


TCP_STALLED = Question(
    "tcp-stalled",
    {
        "reads": "the receiving process does not read its data",
        "dies": "segments are dropped between the receiving node's NIC and the pod",
    },
    always("reads", "dies"),
    (
        probe(
            "the receiving socket",
            0.3,
            _unread,
            ("Recv-Q stays above 0", "reads"),
            ("Recv-Q is 0", "dies"),
        ),
    ),
)
SLOW_QUESTIONS = (
    QUEUEING_DELAY,
    REORDERING,
    DUPLICATION,
    SLOW_ANSWER,
    ZERO_WINDOW,
    WINDOW_LIMITED,
    ENDPOINT_REFUSED,
    CONNECTION_RESET,
    TCP_STALLED,
)
