"""Outputs of the next probes (``vxlanalyze --plan --from``), saved with the command above them.

They show what changed while the probe ran: increases of ``nstat -n; sleep; nstat -z``, lines that changed
(``count | diff before.txt -``), rules whose counters rose (``comm -13 before.txt -``), and what listens on a
port (``ss -lun sport = :PORT``).
"""

import re
from collections.abc import Callable, Iterator, Sequence

from vxlanalyze.kubernetes.hosts import connections, counters, iptables
from vxlanalyze.kubernetes.hosts.model import Line, Row, number_in

Reading = tuple[str, tuple[Row, ...]]
_NSTAT = re.compile(r"\bnstat -n; sleep \d+; nstat\b")
_CHANGED = re.compile(r"\bsleep \d+; count \| diff before\.txt -")
_RULES = re.compile(r"\b(?P<program>ip6?)tables-save -c \| awk\b.*\bcomm -13 before\.txt -")
_RULE = re.compile(r"^\*(?P<table>\w{1,20}) (?P<rule>\[.*)$")
_LISTENS = re.compile(r"\bss -lun sport = :(?P<port>\d{1,5})$")
_BASES = ("INPUT", "FORWARD", "PREROUTING", "OUTPUT")


def read_probe(command: str, lines: Sequence[Line]) -> Reading | None:
    """Kind and rows of what a probe printed; None if the command is that of no probe."""
    rules = _RULES.search(command)
    if rules is not None:
        return "firewall", tuple(_rules(lines, rules["program"]))
    if _NSTAT.search(command):
        return "counters", tuple({**row, "rise": "yes"} for row in counters.read_nstat(lines))
    asked = _LISTENS.search(command)
    if asked is not None:
        found = tuple(connections.read_listeners(lines))
        return "listeners", found or ({"line": "", "port": "", "nothing_on": asked["port"]},)
    if _CHANGED.search(command):
        return "counters", tuple(_increases(lines))
    return None


def _rules(lines: Sequence[Line], family: str) -> Iterator[Row]:
    """The rules that counted; each chain is entered where a rule printed jumps to it."""
    tables: set[str] = set()
    for number, line in lines:
        match = _RULE.match(line)
        row = iptables.rule(number, match["rule"], family, match["table"]) if match is not None else None
        if match is None or not row:
            continue
        for chain in _BASES if match["table"] not in tables else ():
            place = {"line": str(number), "text": f"-P {chain} ACCEPT", "tool": "iptables"}
            yield {**place, "family": family, "table": match["table"], "chain": chain, "policy": "ACCEPT"}
        tables.add(match["table"])
        yield row


def _increases(lines: Sequence[Line]) -> Iterator[Row]:
    """What ``diff`` printed of counters: ``<`` before and ``>`` after."""
    before, after = ([(n, line[2:]) for n, line in lines if line.startswith(sign)] for sign in "<>")
    for read in _READERS:
        earlier = {row["name"]: number_in(row, "value") for row in read(before)}
        for row in read(after):
            rise = number_in(row, "value") - earlier.get(row["name"], 0)
            if rise > 0 and (row["name"] in earlier or read is counters.read_ethtool):
                yield {**row, "value": str(rise), "rise": "yes"}


_READERS: tuple[Callable[[Sequence[Line]], Iterator[Row]], ...] = (
    counters.read_conntrack,
    counters.read_softnet,
    counters.read_ethtool,
)
