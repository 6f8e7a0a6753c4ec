"""The command line: what can be asked for, and how it is read."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from vxlanalyze import __version__
from vxlanalyze.command import configured, plan_options, terminal, values
from vxlanalyze.errors import UsageError
from vxlanalyze.report import RENDERERS
from vxlanalyze.text.nearest import nearest

SEVERITIES = ("info", "warning", "critical")
_DESCRIPTION = """\
Finds the cause of a fault in an overlay network from captures of two or more nodes, given in path order,
the sender's node first.
"""
_EPILOG = """\
A CAPTURE is a pcap or pcapng file, plain or compressed; - for standard input; a directory, a glob, or a
comma-separated list for one rotated set. NAME=CAPTURE gives the point a name.

exit status: 0 done; 1 done, and --fail-on, --baseline or --expect says no; 2 cannot be done; 3 a
diagnostic broke, and the others ran; 130 interrupted.

examples:
  vxlanalyze node1.pcap node2.pcap                    what is wrong between these two nodes?
  vxlanalyze pod.pcap node1.pcap node2.pcap           between which two points is it lost?
  vxlanalyze node1.pcap node2.pcap --kube cluster.json -o report.html
  vxlanalyze --matrix captures/                       which nodes of many have trouble with each other?
  vxlanalyze --explain mtu-blackhole
  vxlanalyze --plan node1 node2 --kube cluster.json -o plan.sh     how are these captures taken?
  vxlanalyze --plan --from report.json                             which test decides what is open?
"""


@dataclass(frozen=True)
class Options:
    """The command line, read. Fields are called as the options are."""

    captures: tuple[str, ...]
    matrix: bool
    format: str | None
    output: tuple[str, ...]
    tables: str | None
    redact: bool
    decapsulate: str | None
    annotate: str | None
    kube: str | None
    facts: tuple[tuple[str, str], ...]
    port: tuple[int, ...]
    since: str | None
    until: str | None
    only: tuple[str, ...]
    select: tuple[str, ...] | None
    ignore: tuple[str, ...]
    fail_on: str
    baseline: str | None
    expect: str | None
    fail_on_unassessed: tuple[str, ...]
    explain: str | None
    plan: bool
    cni: str | None
    seconds: int
    between: tuple[str, ...]
    report: str | None
    diff: tuple[str, ...]
    jobs: int | None
    memory: int | None
    scheduler: str | None
    verbose: bool
    quiet: bool
    progress: bool
    color: str


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: object = None) -> None:
        terminal.say(message)  # help and version, on standard output

    def error(self, message: str) -> NoReturn:
        _, unknown, given = message.partition("unrecognized arguments: ")
        hint = _hint(given.split("=")[0].split()[0], self._option_string_actions) if unknown else ""
        raise UsageError(f"{message}{hint}; see vxlanalyze --help")


def _hint(option: str, known: Iterable[str]) -> str:
    """Say which option was probably meant: the formats are written with -o, the short options are few."""
    suffixes = {suffix.strip("."): suffix for renderer in RENDERERS for suffix in renderer.suffixes}
    meant = suffixes.get(option.strip("-").lower())
    if meant is not None:
        return f"; did you mean -o FILE{meant}?"
    return nearest(option, [name for name in known if name.startswith("--")]) if option[:2] == "--" else ""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line.

    Raises
    ------
    UsageError
        It makes no sense.
    SystemExit
        It asked for the help or the version, which were printed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = vars(parser().parse_intermixed_args(words))
    compares = given["captures"] and not given["plan"]
    if compares and (project := configured.arguments(pair=not given["matrix"])):
        given = vars(parser().parse_intermixed_args([*project, *words]))  # what is given last counts
        terminal.complain(f"{configured.FILE} sets {' '.join(project)}")
    settled: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    options = Options(**settled)
    _demand_sense(options)
    return options


def described() -> dict[str, list[tuple[str, str]]]:
    """Give all options by group: how each is written, and what it means."""
    groups = [group for group in parser()._action_groups if group.title in _GROUPS]
    return {
        group.title or "": [
            (f"{', '.join(a.option_strings)} {_metavar(a)}".rstrip(), (a.help or "").replace("%%", "%"))
            for a in group._group_actions
            if a.help != argparse.SUPPRESS
        ]
        for group in groups
    }


def _metavar(action: argparse.Action) -> str:
    """Write what an option takes."""
    return " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar or ""


def _demand_sense(options: Options) -> None:
    if options.plan:
        plan_options.demand(vars(options))
        return
    if options.cni is not None or options.between:
        raise UsageError("--cni and --between belong to --plan; see vxlanalyze --help")
    doing = [options.report is not None, options.explain is not None, bool(options.diff)]
    if sum(doing) + bool(options.captures) > 1:
        raise UsageError(
            "captures, --from, --diff and --explain are different things to do; give one of them"
        )
    if not any(doing) and not options.captures:
        raise UsageError(
            "no capture is given; give them in path order, as in: vxlanalyze node1.pcap node2.pcap"
        )
    _demand_compatible(options)


def _demand_compatible(options: Options) -> None:
    of_captures = ("tables", "decapsulate", "annotate", "kube", "facts", "port", "since", "until", "only")
    for name in (*of_captures, "select", "ignore", "scheduler"):
        if (options.report is not None or options.diff) and getattr(options, name):
            saved = "saved reports (--diff)" if options.diff else "a saved report (--from)"
            raise UsageError(f"--{name} needs the captures themselves, not {saved}")
    of_one = ("tables", "decapsulate", "annotate", "baseline", "expect", "report", "explain")
    for name in of_one:
        if options.matrix and getattr(options, name):
            raise UsageError(f"--{name.replace('report', 'from')} is of one comparison; leave --matrix out")
    for name in ("memory", "jobs"):
        if options.scheduler is not None and getattr(options, name):
            raise UsageError(
                f"--{name} is of this machine; with --scheduler, the Dask workers have limits of their own"
            )


def parser() -> _Parser:
    """Make the reader of the command line, which also says what there is to complete."""
    made = _Parser(
        prog="vxlanalyze",
        usage="vxlanalyze CAPTURE CAPTURE [CAPTURE ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    made.add_argument("captures", nargs="*", metavar="CAPTURE", help=argparse.SUPPRESS)
    for title, add in _GROUPS.items():
        add(made.add_argument_group(title))
    return made


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--matrix",
        action="store_true",
        help="the captures are of many nodes, or a directory of them: compare all pairs, and show which "
        "nodes have trouble",
    )
    group.add_argument(
        "--kube",
        metavar="FILE",
        help="what kubectl get nodes,pods,services -A -o json (or yaml) prints: names, and evidence",
    )
    group.add_argument(
        "--facts",
        metavar="[NAME=]PATH",
        action="extend",
        type=values.facts,
        default=[],
        help="what was saved on a capture's node, told by content: iptables-save, nft list ruleset, "
        "ip -d link, sysctl, nstat (before/ and after/), conntrack, bridge fdb show, cilium-dbg tables, ...; "
        "a file, a folder, or an archive (without NAME: of several nodes)",
    )
    group.add_argument(
        "--port",
        metavar="P[,P...]",
        action="extend",
        type=values.ports,
        default=[],
        help="further tunnel ports; 4789, 4790, 6080, 6081 and 8472 are known, others are found by content",
    )
    group.add_argument(
        "--from", dest="report", metavar="REPORT.json", help="render a saved report again, without captures"
    )
    group.add_argument(
        "--diff",
        nargs=2,
        metavar=("BEFORE.json", "AFTER.json"),
        default=[],
        help="compare two saved reports: what is fixed, new, worse, better",
    )


def _add_part(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--since",
        metavar="TIME",
        help="RFC 3339, a time of day (UTC), or seconds from the first capture's first frame",
    )
    group.add_argument("--until", metavar="TIME", help="likewise, by the first capture's clock")
    group.add_argument(
        "--only",
        metavar="TERM[,TERM]",
        action="extend",
        type=values.listed,
        default=[],
        help="host=10.0.0.1 (with --kube also a name), net=10.0.0.0/24, port=53, proto=tcp, vni=7; "
        "all must hold",
    )
    group.add_argument(
        "--select",
        metavar="CODE[,CODE]",
        action="extend",
        type=values.listed,
        help="run these diagnostics only",
    )
    group.add_argument(
        "--ignore",
        metavar="CODE[,CODE]",
        action="extend",
        type=values.listed,
        default=[],
        help="do not run these",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        metavar="FORMAT",
        type=values.format,
        help=f"standard output's: {', '.join(r.name for r in RENDERERS)} (default text); "
        "with exactly one -o, that file's",
    )
    suffixes = " ".join(suffix for renderer in RENDERERS for suffix in renderer.suffixes)
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help=f"also write a report there, in the format of its suffix ({suffixes}); repeatable",
    )
    group.add_argument("--tables", metavar="DIR", help="write packets, flows and frames as Parquet")
    group.add_argument(
        "--annotate", metavar="DIR", help="write the findings' frames as pcapng, with comments, for Wireshark"
    )
    group.add_argument("--decapsulate", metavar="DIR", help="write each capture with the tunnel taken off")
    group.add_argument(
        "--redact",
        action="store_true",
        help="for sharing: pseudonyms for addresses and names, no payload, in every output",
    )


def _add_judgement(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fail-on",
        metavar="SEVERITY",
        choices=(*SEVERITIES, "never"),
        default="never",
        help="exit 1 if a finding has this severity or higher: info, warning, critical, never (default)",
    )
    group.add_argument(
        "--baseline",
        metavar="FILE",
        help="earlier JSON report: only what is new or worse counts for --fail-on",
    )
    group.add_argument(
        "--expect",
        metavar="FILE",
        help="TOML file of what must and must not show; exit 1 where it does not hold",
    )
    group.add_argument(
        "--fail-on-unassessed",
        metavar="CODE[,CODE]",
        action="extend",
        type=values.listed,
        default=[],
        help="exit 1 where one of these was not assessed",
    )


def _add_rest(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--explain",
        metavar="CODE",
        nargs="?",
        const="",
        help="print the manual of a finding; without a code, or with how several begin, list them",
    )
    group.add_argument(
        "--jobs", metavar="N", type=values.positive, help="threads that read captures (default: cores)"
    )
    group.add_argument(
        "--memory",
        metavar="SIZE",
        type=values.size,
        help="memory above which work goes through disk, such as 2G",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="work on this Dask cluster, as tcp://10.0.0.1:8786; all its workers must see the captures "
        "under the same path",
    )
    group.add_argument(
        "--verbose",
        action="store_true",
        help="text: show everything: evidence in full, all requests, each check that was not assessed",
    )
    group.add_argument("--quiet", action="store_true", help="nothing on standard output")
    group.add_argument(
        "--no-progress", dest="progress", action="store_false", help="no progress on standard error"
    )
    group.add_argument(
        "--color",
        metavar="WHEN",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto (default), always, never; NO_COLOR is obeyed",
    )
    group.add_argument(
        "--version", action="version", version=f"vxlanalyze {__version__}", help="show it and exit"
    )
    group.add_argument("-h", "--help", action="help", help="show this and exit")


_GROUPS = {
    "input": _add_input,
    "what to look at": _add_part,
    "output": _add_output,
    "for scripts and CI": _add_judgement,
    "taking captures": plan_options.add,
    "the rest": _add_rest,
}
