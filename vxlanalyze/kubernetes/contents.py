"""The tables in one saved file, recognised by content, whatever the file is called.

A file may hold several tables, with prompts and commands above them, and with "..." for omitted lines.
Anything unrecognised becomes a fact of kind "unknown" that names it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vxlanalyze.capture.signatures import format_of
from vxlanalyze.kubernetes.hosts import proc
from vxlanalyze.kubernetes.hosts.model import Line, Row
from vxlanalyze.kubernetes.hosts.outputs import numbered, read_document, read_output
from vxlanalyze.kubernetes.hosts.probes import read_probe
from vxlanalyze.kubernetes.model import Fact
from vxlanalyze.kubernetes.tables import TABLES, Command, Table
from vxlanalyze.kubernetes.text import decode_text, shown

LARGEST_BYTES = 64 << 20  # the tables of a cluster of thousands of nodes are smaller
_MOST_LINES = 150_000  # a node's rules and connections have fewer; reading this many takes seconds
_LONGEST_LINE = 8_192  # no saved table has longer ones, and patterns are slow on them
_LONGEST_COMMAND = 500
_SHOWN = 80
_PROMPT = re.compile(r"^[^$#%❯]{0,120}[$#%❯]\s+(?P<line>\S.*)$")
_PLAIN_COMMAND = re.compile(
    r"^\s*(?:\+ )?(?:/(?:usr/)?s?bin/)?(?P<line>(?:sudo )?(?:kubectl\b.* get|kubectl\b.* exec|"
    r"cilium(?:-dbg)? (?:service|bpf)|"
    r"bridge\b.* fdb|ethtool -|tcpdump -|ip (?:-\S+ )*(?:addr|link|route|rule|neigh)|"
    r"conntrack -|nft list|ip6?tables(?:-save| -)|nstat|sysctl|ss -|tc -s|ipvsadm) ?.*)$"
)
_ANY_PROMPT = re.compile(
    r"[^$#%❯]{0,120}[$#%❯]\s|"
    r"\s*(?:\+ )?(?:/(?:usr/)?s?bin/)?(?:sudo|kub|cil|bri|eth|tcp|ip|con|nft|nst|sys|ss|tc)"
)
# Quick checks that rule out most lines before the patterns above: marks of a prompt, and the first letters of
# a command.
_PROMPTS = ("$", "#", "%", "❯")
_BEGINNINGS = frozenset(
    ("/u", "/s", "/b", "su", "ku", "ci", "br", "et", "tc", "ip", "co", "nf", "ns", "sy", "ss")
)
_OPENING = re.compile("|".join(re.sub(r"\(\?P<\w+>", "(?:", table.header.pattern) for table in TABLES))
_NAMESPACE = re.compile(r"\s(?:-n|--namespace)[ =](?P<name>\S+)")
_DEVICE = re.compile(
    r"(?:ethtool [^-]{0,40}-{1,2}(?:k|-show-features|-show-offload)\s+|\bdev\s+)(?P<name>\S+)"
)
# Lines without content: omissions, separators, and tcpdump's start-up messages.
_NOISE = re.compile(
    r"^\s*(?:\.\.\.|…|\^C\s*$|-{3,}|={3,}|(?:tcpdump|dumpcap): |Capturing on |File: |(?:Summary|Execute):$)"
)


def facts_in(capture: str, path: str, data: bytes) -> Iterator[Fact]:
    """Give the tables of a file; none of a capture.

    Parameters
    ----------
    capture : str
        Name of the capture that the facts belong to.
    path : str
        Name of the file, stated as the source of its facts.
    data : bytes
        Its content.
    """
    if format_of(data[:4]) is not None:
        return
    text = decode_text(data)
    if len(data) > LARGEST_BYTES or "\0" in text:
        what = "it is binary" if "\0" in text else "it is larger than 64 MiB"
        yield _unknown(capture, path, what)
        return
    if proc.place(path) is not None:
        setting = proc.read(path, text)
        if setting is not None:
            yield Fact(capture, "settings", path, (setting,))
        return
    document = read_document(text)
    if document is not None:
        yield Fact(capture, document[0], path, document[1])
        return
    text, left_out = _cut(text)
    lines = text.splitlines()
    yield from (Fact(capture, kind, path, rows) for kind, rows in _outputs(lines))
    blocks = _blocks(lines)
    tables = [(block, block.table.read(block.header, block.lines, block.command)) for block in blocks.tables]
    yield from (Fact(capture, block.table.kind, path, tuple(rows)) for block, rows in tables if rows)
    stray = [*blocks.strange, *(block.header for block, rows in tables if not rows)]
    if left_out:
        yield _unknown(capture, path, f"{left_out:,} lines after the first {_MOST_LINES:,} are not read")
    if stray:
        why = f"{len(stray)} lines are not understood, the first is {shown(stray[0])}"
        yield _unknown(capture, path, why)


def _unknown(capture: str, path: str, why: str) -> Fact:
    """Name a file of which something is not understood."""
    return Fact(capture, "unknown", path, ({"why": why},))


def _outputs(lines: list[str]) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Kind and rows of each known output among the lines; what was understood is blanked."""
    for kind, rows, (begin, end) in list(_documents(lines)):
        yield kind, rows
        lines[begin:end] = [""] * (end - begin)
    for command, part in _parts(list(numbered(lines, _LONGEST_LINE))):
        output = read_probe(command, part) or read_output(part)
        if output is not None:
            yield output
            lines[part[0][0] - 1 : part[-1][0]] = [""] * (part[-1][0] - part[0][0] + 1)


def _documents(lines: list[str]) -> Iterator[tuple[str, tuple[Row, ...], tuple[int, int]]]:
    """The JSON documents among the outputs of several commands, each with its lines."""
    begins = [
        at for at, line in enumerate(lines) if line[:1] in ("[", "{") and (at == 0 or not lines[at - 1])
    ]
    ends = [at for at, line in enumerate(lines) if line and _command(line) is not None] if begins else []
    for begin, end in _spans(begins, [*ends, len(lines)]):
        document = read_document("\n".join(lines[begin:end]))
        if document is not None:
            rows = tuple({**row, "line": str(int(row["line"]) + begin)} for row in document[1])
            yield document[0], rows, (begin, end)


def _spans(begins: list[int], ends: list[int]) -> Iterator[tuple[int, int]]:
    """Each first beginning after an end, with the next end."""
    done = -1
    for begin in begins:
        if begin > done:
            done = ends[bisect_right(ends, begin)]
            yield begin, done


def _cut(text: str) -> tuple[str, int]:
    """Give the lines that are read, and the number of others."""
    lines = text.split("\n", _MOST_LINES)
    if len(lines) <= _MOST_LINES:
        return text, 0
    return "\n".join(lines[:-1]), lines[-1].count("\n") + 1


def _parts(lines: list[Line]) -> list[tuple[str, list[Line]]]:
    """Split the lines at the commands above them."""
    parts: list[tuple[str, list[Line]]] = [("", [])]
    for number, line in lines:
        comment = line.startswith("# ") and not _PLAIN_COMMAND.match(line[2:])  # of iptables-save
        command = None if comment else _command(line)
        if command is not None:
            parts.append((command.line, []))
        else:
            parts[-1][1].append((number, line))
    return [(command, part) for command, part in parts if part]


@dataclass(slots=True)
class _Block:
    """A table in a file: its first line, the command above it, and the lines that follow."""

    table: Table
    header: str
    command: Command
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Blocks:
    """The tables of a file, and the lines that belong to none."""

    tables: list[_Block] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)


def _blocks(lines: Iterable[str]) -> _Blocks:
    """Split lines into tables, and those that belong to none."""
    found = _Blocks()
    command, block = Command(), None
    for raw in filter(None, lines):
        if len(raw) > _LONGEST_LINE:
            found.strange.append(raw[:_SHOWN])
            continue
        line = raw.expandtabs().rstrip()
        table = _opened_by(line)
        if table is not None and not _continues(block, table):
            block = _Block(table, line, command)
            found.tables.append(block)
            if table.has_header:
                continue
        run_as = None if table else _command(line)
        if run_as is not None:
            command, block = run_as, None
        elif not line or _NOISE.match(line):
            continue
        elif block is not None:
            block.lines.append(line)
        else:
            found.strange.append(line)
    return found


def _continues(block: _Block | None, table: Table) -> bool:
    """Whether a line that could open a table is a further row of the open one."""
    return block is not None and block.table.kind == table.kind and not table.has_header


def _opened_by(line: str) -> Table | None:
    """Find the table whose first line this is."""
    if not _OPENING.match(line):
        return None
    return next((table for table in TABLES if table.header.match(line)), None)


def _command(line: str) -> Command | None:
    """Read the command that a line shows, after a prompt or without one; None if it shows none."""
    if not (line.lstrip("+ \t")[:2] in _BEGINNINGS or any(mark in line for mark in _PROMPTS)):
        return None  # most lines; what follows takes ten times as long
    if not _ANY_PROMPT.match(line):
        return None
    match = _PROMPT.match(line) or _PLAIN_COMMAND.match(line)
    if match is None:
        return None
    command = match["line"][:_LONGEST_COMMAND]
    namespace, device = _NAMESPACE.search(command), _DEVICE.search(command)
    return Command(command, namespace["name"] if namespace else "", device["name"] if device else "")
