"""The options of the command line, in groups, for argparse."""

import argparse

from vxlanalyze import __version__
from vxlanalyze.command import plan_options, values
from vxlanalyze.report import RENDERERS

SEVERITIES = ("info", "warning", "critical")


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
        help="output of kubectl get nodes,pods,services -A -o json (or yaml): names, and evidence",
    )
    group.add_argument(
        "--facts",
        metavar="[NAME=]PATH",
        action="extend",
        type=values.facts,
        default=[],
        help="files saved on a capture's node, recognised by content: iptables-save, nft list ruleset, "
        "ip -d link, sysctl, nstat (before/ and after/), conntrack, bridge fdb show, cilium-dbg tables, ...; "
        "a file, a folder, or an archive (without NAME: of several nodes)",
    )
    group.add_argument(
        "--port",
        metavar="P[,P...]",
        action="extend",
        type=values.ports,
        default=[],
        help="further tunnel ports; 4789, 4790, 6080, 6081 and 8472 are known, others detected by content",
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
        "all must match",
    )
    group.add_argument(
        "--select",
        metavar="CODE[,CODE]",
        action="extend",
        type=values.listed,
        help="run only these diagnostics",
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
        help=f"of standard output: {', '.join(r.name for r in RENDERERS)} (default text); "
        "with exactly one -o, of that file",
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
    group.add_argument("--decapsulate", metavar="DIR", help="write each capture with the tunnel removed")
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
        help="earlier JSON report: only new or worse findings count for --fail-on",
    )
    group.add_argument(
        "--expect",
        metavar="FILE",
        help="TOML file of required and forbidden findings; exit 1 if it is not met",
    )
    group.add_argument(
        "--fail-on-unassessed",
        metavar="CODE[,CODE]",
        action="extend",
        type=values.listed,
        default=[],
        help="exit 1 if one of these was not assessed",
    )


def _add_rest(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--explain",
        metavar="CODE",
        nargs="?",
        const="",
        help="print the manual of a finding; without a code, or with a prefix of several, list them",
    )
    group.add_argument(
        "--jobs", metavar="N", type=values.positive, help="threads that read captures (default: cores)"
    )
    group.add_argument(
        "--memory",
        metavar="SIZE",
        type=values.size,
        help="memory limit, such as 2G; the excess goes to disk",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run on this Dask cluster, such as tcp://10.0.0.1:8786; all workers must see the captures "
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


GROUPS = {
    "input": _add_input,
    "what to look at": _add_part,
    "output": _add_output,
    "for scripts and CI": _add_judgement,
    "taking captures": plan_options.add,
    "other": _add_rest,
}
