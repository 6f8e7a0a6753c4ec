"""Open questions where captures themselves limit the analysis."""

from shlex import quote

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, always, probe
from vxlanalyze.text.places import node_name


def _everywhere(case: Case, command: str, purpose: str = "") -> Steps:
    return tuple((node_name(name), Step(command, purpose)) for name in case.points[:2])


WINDOWS_DISJOINT = Question(
    "windows-disjoint",
    {
        "times": "the captures were taken at different times",
        "clocks": "they were taken simultaneously, and a node's clock is wrong",
    },
    always("times", "clocks"),
    (
        probe(
            "both clocks",
            0.2,
            lambda case: _everywhere(case, "date -u"),
            ("both show the same time", "times"),
            ("they differ by the time between the captures", "clocks"),
        ),
    ),
)
_TUNNELLED = "udp port 4789 or udp port 8472 or udp port 6081 or udp port 4790 or proto 47 or proto 4"
NO_TUNNEL_TRAFFIC = Question(
    "no-tunnel-traffic",
    {
        "place": "the captures were taken on interfaces without tunnel traffic, or a filter excluded it",
        "none": "no traffic was sent through the tunnel",
        "port": "the tunnel uses another port or protocol",
    },
    always("place", "none", "port"),
    (
        probe(
            "tunnel packets on any interface",
            0.5,
            lambda case: _everywhere(case, f"timeout 20 tcpdump -ni any -c 5 {quote(_TUNNELLED)}"),
            ("some appear", "place"),
            ("none appears", "none port"),
        ),
        probe(
            "the tunnel devices and their ports",
            0.3,
            lambda case: _everywhere(case, run.TUNNELS),
            ("a device has another port than those that were captured", "port"),
            ("no device has", "place none"),
        ),
    ),
)
NO_COMMON_TRAFFIC = Question(
    "no-common-traffic",
    {
        "nodes": "the captures were not taken on the nodes of the two pods",
        "silent": "they are, but the pods exchanged no traffic during the captures",
    },
    always("nodes", "silent"),
    (
        probe(
            "the nodes of the pods",
            0.3,
            lambda case: (("", Step("kubectl get pods -A -o wide")),),
            ("one of the pods runs elsewhere", "nodes"),
            ("both run where the captures were taken", "silent"),
        ),
    ),
)


def _elsewhere(case: Case) -> Steps:
    rule = quote(f"udp port {case.port}" if case.port else _TUNNELLED)
    return _everywhere(
        case, f"timeout 20 tcpdump -ni any -B 65536 -c 2000 {rule} | awk '{{print $2}}' | sort | uniq -c"
    )


CAPTURE_LOSS = Question(
    "capture-loss",
    {
        "buffer": "the capture did not keep up (buffer, disk)",
        "interface": "some packets use an interface that was not captured (of a bond, another NIC)",
    },
    lambda case: () if _stated(case) else ("buffer", "interface"),
    (
        probe(
            "the interfaces that tunnel packets use",
            0.5,
            _elsewhere,
            ("one NIC", "buffer"),
            ("several NICs", "interface"),
        ),
    ),
)


def _stated(case: Case) -> bool:
    """Whether a capture itself states its drops."""
    return any(
        quantity["value"]
        for name, quantity in case.finding["evidence"].items()
        if name.endswith("dropped_by_kernel")
    )


def _time_services(case: Case) -> Steps:
    return _everywhere(case, "journalctl --utc -u chronyd -u ntpd -u systemd-timesyncd | tail -n 50")


CLOCK_STEP = Question(
    "clock-step",
    {
        "service": "a time service stepped the clock",
        "paused": "the machine was paused or migrated, or the clock was set manually",
    },
    always("service", "paused"),
    (
        probe(
            "logs of the time services",
            0.5,
            _time_services,
            ("a step at that time", "service"),
            ("no step", "paused"),
        ),
    ),
)
CAPTURE_QUESTIONS = (WINDOWS_DISJOINT, NO_TUNNEL_TRAFFIC, NO_COMMON_TRAFFIC, CAPTURE_LOSS, CLOCK_STEP)
