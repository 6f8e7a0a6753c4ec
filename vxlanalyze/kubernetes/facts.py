"""Read tables saved on a node with its capture, recognised by content, whatever the file names.

A file may hold several tables, with prompts and commands above them, and with "..." for omitted lines.
Anything unrecognised becomes a fact of kind "unknown" that names it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vxlanalyze.capture.archives import inside, is_archive
from vxlanalyze.capture.signatures import format_of
from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.bundles import members
from vxlanalyze.kubernetes.homes import Belonging, Bundle
from vxlanalyze.kubernetes.hosts.model import Line
from vxlanalyze.kubernetes.hosts.outputs import numbered, read_document, read_output
from vxlanalyze.kubernetes.model import Fact
from vxlanalyze.kubernetes.tables import TABLES, Command, Table
from vxlanalyze.kubernetes.text import decode_text, shown
from vxlanalyze.text.words import listed

_LARGEST_BYTES = 64 << 20  # the tables of a cluster of thousands of nodes are smaller
_MOST_LINES = 150_000  # a node's rules and connections have fewer; reading this many takes seconds
_LONGEST_LINE = 8_192  # no saved table has longer ones, and patterns are slow on them
_LONGEST_COMMAND = 500
_SHOWN = 80
_PROMPT = re.compile(r"^[^$#%❯]{0,120}[$#%❯]\s+(?P<line>\S.*)$")
_PLAIN_COMMAND = re.compile(
    r"^\s*(?:\+ )?(?P<line>(?:sudo )?(?:kubectl\b.* get|kubectl\b.* exec|cilium(?:-dbg)? (?:service|bpf)|"
    r"bridge\b.* fdb|ethtool -|tcpdump -|ip (?:-\S+ )*(?:addr|link|route|rule|neigh)|"
    r"conntrack -|nft list|ip6?tables-save|nstat|sysctl|ss -|tc -s|ipvsadm) ?.*)$"
)
_ANY_PROMPT = re.compile(
    r"[^$#%❯]{0,120}[$#%❯]\s|\s*(?:\+ )?(?:sudo|kub|cil|bri|eth|tcp|ip|con|nft|nst|sys|ss|tc)"
)
_PROMPTS = ("$", "#", "%", "❯")
_BEGINNINGS = frozenset(("su", "ku", "ci", "br", "et", "tc", "ip", "co", "nf", "ns", "sy", "ss"))
_OPENING = re.compile("|".join(re.sub(r"\(\?P<\w+>", "(?:", table.header.pattern) for table in TABLES))
_NAMESPACE = re.compile(r"\s(?:-n|--namespace)[ =](?P<name>\S+)")
_DEVICE = re.compile(
    r"(?:ethtool [^-]{0,40}-{1,2}(?:k|-show-features|-show-offload)\s+|\bdev\s+)(?P<name>\S+)"
)
# Lines without content: omissions, separators, and tcpdump's start-up messages.
_NOISE = re.compile(r"^\s*(?:\.\.\.|…|\^C\s*$|-{3,}|={3,}|(?:tcpdump|dumpcap): |Capturing on |File: )")


def read_facts(capture_name: str, directory: str | Path) -> tuple[Fact, ...]:
    """Read every table in the files of a directory (or in one file), in the order of their paths.

    The directory may be in an archive (``ARCHIVE/FOLDER``).

    Captures among the files are skipped.

    Raises
    ------
    UsageError
        The directory or a file in it cannot be read.
    """
    root = Path(directory)
    folder = inside(root)
    if folder is not None and folder[1]:
        place = f"{folder[0]}/{folder[1]}"
        found = [(name, data) for name, data in members(folder[0]) if f"{name}/".startswith(place)]
        return tuple(fact for name, data in found for fact in _text_facts(capture_name, name, data))
    if not root.exists():
        raise UsageError(f"{root}: no such directory; --facts NAME=DIR takes what was saved with a capture")
    files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
    return tuple(
        fact
        for path in files
        for name, data in _contents(path)
        for fact in _text_facts(capture_name, name, data)
    )


def read_bundle(path: str | Path, belonging: Belonging) -> tuple[Fact, ...]:
    """Read a bundle of several nodes, each member for the capture that it belongs to.

    Raises
    ------
    UsageError
        It is not an archive, cannot be read, or none of its members belongs to a capture.
    """
    folder = inside(path)
    if folder is None:
        raise UsageError(
            f"--facts {path}: no archive; give a capture's name and a directory, as in node1=facts/node1"
        )
    root, below = folder
    found, known = _of_members(Bundle(root, (below,), {}), belonging)
    if not known:
        raise UsageError(
            f"{root}: no member's path holds the name of a capture ({listed(sorted(belonging.captures))}); "
            "give --facts NAME=BUNDLE"
        )
    return found


def read_members(bundle: Bundle, belonging: Belonging) -> tuple[Fact, ...]:
    """Read what an archive holds with the captures that came from it.

    Raises
    ------
    UsageError
        It cannot be read.
    """
    return _of_members(bundle, belonging)[0]


def _of_members(bundle: Bundle, belonging: Belonging) -> tuple[tuple[Fact, ...], bool]:
    """The facts of a bundle, and whether any of its members belongs to a capture."""
    found: list[Fact] = []
    known = False
    for name, data in members(bundle.path):
        member = name.removeprefix(f"{bundle.path}/")
        if bundle.holds(member) and (capture := belonging(member)) is not None:
            known = True
            found += _text_facts(capture, name, data)
    return tuple(found), known


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's name and bytes, or those of the members of an archive."""
    try:
        if is_archive(path):
            yield from members(path)
            return
        with path.open("rb") as file:
            yield str(path), file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error


def _text_facts(capture: str, path: str, data: bytes) -> Iterator[Fact]:
    if format_of(data[:4]) is not None:
        return
    text = decode_text(data)
    if len(data) > _LARGEST_BYTES or "\0" in text:
        what = "it holds bytes that are no text" if "\0" in text else "it is larger than 64 MiB"
        yield Fact(capture, "unknown", path, ({"why": what},))
        return
    document = read_document(text)
    if document is not None:
        yield Fact(capture, document[0], path, document[1])
        return
    text, left_out = _cut(text)
    lines = list(numbered(text, _LONGEST_LINE))
    left = text.splitlines()
    for part in _parts(lines):
        output = read_output(part)
        if output is not None:
            yield Fact(capture, output[0], path, output[1])
            left[part[0][0] - 1 : part[-1][0]] = [""] * (part[-1][0] - part[0][0] + 1)
    blocks = _blocks(left)
    stray = blocks.strange
    for block in blocks.tables:
        rows = block.table.read(block.header, block.lines, block.command)
        if rows:
            yield Fact(capture, block.table.kind, path, tuple(rows))
        else:
            stray = [*stray, block.header]
    if left_out:
        why = f"{left_out:,} lines after the first {_MOST_LINES:,} are not read"
        yield Fact(capture, "unknown", path, ({"why": why},))
    if stray:
        why = f"{len(stray)} lines are not understood, the first is {shown(stray[0])}"
        yield Fact(capture, "unknown", path, ({"why": why},))


def _cut(text: str) -> tuple[str, int]:
    """Give the lines that are read, and the number of others."""
    lines = text.split("\n", _MOST_LINES)
    if len(lines) <= _MOST_LINES:
        return text, 0
    return "\n".join(lines[:-1]), lines[-1].count("\n") + 1


def _parts(lines: list[Line]) -> list[list[Line]]:
    """Split the lines at the commands above them."""
    parts: list[list[Line]] = [[]]
    for number, line in lines:
        comment = line.startswith("# ") and not _PLAIN_COMMAND.match(line[2:])  # of iptables-save
        if _command(line) is not None and not comment:
            parts.append([])
        else:
            parts[-1].append((number, line))
    return [part for part in parts if part]


@dataclass(slots=True)
class _Block:
    table: Table
    header: str
    command: Command
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Blocks:
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
    return block is not None and block.table.kind == table.kind and not table.has_header


def _opened_by(line: str) -> Table | None:
    if not _OPENING.match(line):
        return None
    return next((table for table in TABLES if table.header.match(line)), None)


def _command(line: str) -> Command | None:
    if not (line.lstrip("+ \t")[:2] in _BEGINNINGS or any(mark in line for mark in _PROMPTS)):
        return None  # most lines; what follows takes ten times as long
    if not _ANY_PROMPT.match(line):
        return None
    match = _PROMPT.match(line) or _PLAIN_COMMAND.match(line)
    if match is None:
        return None
    line_ = match["line"][:_LONGEST_COMMAND]
    namespace, device = _NAMESPACE.search(line_), _DEVICE.search(line_)
    return Command(line_, namespace["name"] if namespace else "", device["name"] if device else "")
