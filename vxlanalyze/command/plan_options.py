"""The options of ``--plan``, and what they cannot be combined with."""

import argparse
from collections.abc import Mapping

from vxlanalyze.errors import UsageError

_CNIS = ("cilium", "calico", "flannel", "canal", "k3s", "antrea", "ovn", "swarm", "openstack", "other")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_LONGEST_S = 86_400
_OF_COMPARISON = (
    *("format", "tables", "decapsulate", "annotate", "facts", "port", "since", "until", "only", "select"),
    *("ignore", "baseline", "expect", "scheduler", "redact", "diff"),
)


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options to their group in the help."""
    group.add_argument(
        "--plan",
        action="store_true",
        help="print what to run to take the captures of two nodes (NODE or NODE=ADDRESS, in place of "
        "captures) and what to save with them, with -o plan.sh as a script; with --from, the test "
        "that decides what the report leaves open; runs nothing",
    )
    group.add_argument(
        "--cni", metavar="NAME", help=f"the overlay, if --kube does not show it: {', '.join(_CNIS)}"
    )
    group.add_argument(
        "--for",
        dest="seconds",
        metavar="TIME",
        type=_duration,
        default=60,
        help="how long the captures run, such as 90s or 5m (default 60s)",
    )
    group.add_argument(
        "--between",
        metavar="POD,POD",
        type=_pods,
        default=(),
        help="the pods (or their addresses) with the problem: captured inside the nodes, too",
    )


def demand(options: Mapping[str, object]) -> None:
    """Check that a plan gets names of nodes, or a report, and no options of a comparison.

    Raises
    ------
    UsageError
        It gets something else.
    """
    if options["report"] is not None and options["captures"]:
        raise UsageError("--plan takes the names of two nodes, or --from REPORT.json; give one of them")
    if options["explain"] is not None or options["matrix"]:
        raise UsageError("--plan, --explain and --matrix are three different things to do; give one of them")
    for name in _OF_COMPARISON:
        if options[name]:
            raise UsageError(f"--{name} belongs to a comparison of captures; leave it out with --plan")


def _pods(text: str) -> tuple[str, ...]:
    pods = tuple(part.strip() for part in text.split(",") if part.strip())
    if len(pods) != 2:
        raise argparse.ArgumentTypeError(f"{text}: give two pods, or their addresses, with a comma between")
    return pods


def _duration(text: str) -> int:
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS_S else (text, "s")
    if not (
        number.isascii()
        and number.isdecimal()
        and len(number) < 9
        and 0 < int(number) * _UNITS_S[unit] <= _LONGEST_S
    ):
        raise argparse.ArgumentTypeError(f"{text[:40]}: give a time such as 90s or 5m, one day at most")
    return int(number) * _UNITS_S[unit]
