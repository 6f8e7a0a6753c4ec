"""The command line: its options, and how they are parsed."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from vxlanalyze.command import configured, plan_options, terminal
from vxlanalyze.command.arguments import GROUPS
from vxlanalyze.errors import UsageError
from vxlanalyze.report import RENDERERS
from vxlanalyze.text.nearest import nearest
from vxlanalyze.text.toml import PROJECT

_DESCRIPTION = """\
Finds the cause of a fault in an overlay network from captures of two or more
nodes, given in path order, the sender's node first.
"""
_EPILOG = """\
A CAPTURE is a pcap or pcapng file, plain or compressed; - for standard input;
a directory, a glob, or a comma-separated list for one rotated set.
NAME=CAPTURE names the observation point.

exit status:
  0    done
  1    done, and --fail-on, --baseline or --expect is not satisfied
  2    not possible: wrong usage, or an input that cannot be read
  3    a diagnostic failed, and the others ran
  130  interrupted

examples:
  What is wrong between these two nodes?
    vxlanalyze node1.pcap node2.pcap
  Between which two observation points are packets lost?
    vxlanalyze pod.pcap node1.pcap node2.pcap
  With the names of pods and services, as a page:
    vxlanalyze node1.pcap node2.pcap --kube cluster.json -o report.html
  Which of many nodes have trouble with each other?
    vxlanalyze --matrix captures/
  What does a finding mean?
    vxlanalyze --explain mtu-blackhole
  How do I take these captures?
    vxlanalyze --plan node1 node2 --kube cluster.json -o plan.sh
  Which test decides between the explanations that are still open?
    vxlanalyze --plan --from report.json
"""


@dataclass(frozen=True)
class Options:
    """The parsed command line. Fields are named like the options."""

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
        option, value, *_ = [*given.replace("=", " ", 1).split(), "", ""]
        hint = _hint(option, value, self._option_string_actions) if unknown else ""
        raise UsageError(f"{message}{hint}; see vxlanalyze --help")


def _hint(option: str, value: str, known: Iterable[str]) -> str:
    """Suggest the option that was probably meant: formats are written with -o, and short options are few."""
    suffixes = {suffix.strip("."): suffix for renderer in RENDERERS for suffix in renderer.suffixes}
    meant = suffixes.get(option.strip("-").lower())
    if meant is not None:
        file = value if value and not value.startswith("-") else "FILE"
        return f"; did you mean -o {file.removesuffix(meant)}{meant}?"
    return nearest(option, [name for name in known if name.startswith("--")]) if option[:2] == "--" else ""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line.

    Raises
    ------
    UsageError
        It is invalid.
    SystemExit
        The help or the version was requested and printed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = vars(parser().parse_intermixed_args(words))
    compares = given["captures"] and not given["plan"]
    if compares and (project := configured.arguments(pair=not given["matrix"])):
        given = vars(parser().parse_intermixed_args([*project, *words]))  # the last one counts
        terminal.write_message(f"{PROJECT} sets {' '.join(project)}")
    settled: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    options = Options(**settled)
    _require_sense(options)
    return options


def described() -> dict[str, list[tuple[str, str]]]:
    """Give all options by group: syntax and meaning."""
    groups = [group for group in parser()._action_groups if group.title in GROUPS]
    return {
        group.title or "": [
            (f"{', '.join(a.option_strings)} {_metavar(a)}".rstrip(), (a.help or "").replace("%%", "%"))
            for a in group._group_actions
            if a.help != argparse.SUPPRESS
        ]
        for group in groups
    }


def _metavar(action: argparse.Action) -> str:
    """Format the value of an option."""
    return " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar or ""


def _require_sense(options: Options) -> None:
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
    _require_compatible(options)


def _require_compatible(options: Options) -> None:
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
    """Create the parser of the command line, which also drives completion."""
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
    for title, add in GROUPS.items():
        add(made.add_argument_group(title))
    return made
