"""``iptables -L``, with or without ``-v``, ``-n``, ``-x`` and ``--line-numbers`` (iptables 1.4 to 1.8).

Rows as for iptables-save. Columns are numbers, target, protocol, options, interfaces (with ``-v``), source
and destination; further matches of a rule follow in words. The table is not printed: a chain whose name
belongs to another table is in that table, otherwise in the filter table.

Source: iptables(8), option --list; iptables ``iptables/iptables.c`` (print_firewall).
"""

import re
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.hosts.model import LONGEST_RULE, Line, Output, Row
from vxlanalyze.wire.protocols import RULE_NAMES

_CHAIN = re.compile(
    r"^Chain (?P<chain>\S+) \((?:policy (?P<policy>[A-Z]+)(?: (?P<packets>\d{1,15}[KMGT]?) packets[^)]*)?|"
    r"\d+ references?)\)"
)
_HEADER = re.compile(r"^\s*(?:num\s+)?(?P<counted>pkts\s+bytes\s+)?target\s+prot\s+opt\s+")
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_PROTOCOLS = {"0": "all", **{str(number): name for number, name in RULE_NAMES.items()}}
_NAMES = (
    ("dport", re.compile(r"\b(?:dpts?:|(?:multiport )?dports )(?P<value>!?[\w:,]+)")),
    ("sport", re.compile(r"\b(?:spts?:|(?:multiport )?sports )(?P<value>!?[\w:,]+)")),
    ("state", re.compile(r"\b(?:ct)?state (?P<value>!?[A-Z,]+)")),
    ("destination_type", re.compile(r"\bADDRTYPE match dst-type (?P<value>!?\w+)")),
    ("mark", re.compile(r"\bmark match (?P<value>!?0x[0-9a-f/x]+)")),
)
_SAYS_NOTHING = re.compile(
    r"/\*(?:[^*]|\*(?!/)){0,260}\*/|\breject-with \S+|"
    r"\[goto\]\s*|\b(?:tcp|udp|sctp|icmp|all)\b(?= (?:[ds]pts?:|$))|"
    r"\b(?:LOG|NFLOG) .*$|\b(?:tcp|udp)\s*$"
)


def opens(first: Sequence[str]) -> bool:
    """Whether it begins with a chain and its header."""
    return any(_CHAIN.match(line) for line in first[:2]) and any(map(_HEADER.match, first))


def read(lines: Sequence[Line]) -> Iterator[Row]:
    """Give chains and rules."""
    table, chain, counted, numbered, family = "filter", "", False, False, _family(lines)
    for number, line in lines:
        place = {"line": str(number), "text": line.strip(), "tool": "iptables"}
        place |= {"family": family, "table": table}
        head, header = _CHAIN.match(line), _HEADER.match(line)
        if head is not None:
            chain = head["chain"]
            table = "nat" if chain in ("PREROUTING", "POSTROUTING") else table
            more = {} if head["packets"] is None else {"packets": str(_number(head["packets"]))}
            yield {**place, "chain": chain, "policy": head["policy"] or "-", **more}
        elif header is not None:
            counted = header["counted"] is not None
            numbered = line.startswith("num")
        elif chain and line.strip() and len(line) <= LONGEST_RULE:
            words = line.split()
            row = _rule(words[1:] if numbered else words, counted)
            if row:
                yield {**place, "chain": chain, **row}


def _family(lines: Sequence[Line]) -> str:
    """Recognise IPv6 by its zero address; without one, the family is unknown."""
    for _, line in lines[:200]:
        if "::/0" in line:
            return "ip6"
        if "0.0.0.0/0" in line:
            return "ip"
    return ""


def _number(text: str) -> int:
    return int(text.rstrip("KMGT")) * _UNITS.get(text[-1], 1)


def _rule(words: list[str], counted: bool) -> Row:
    """Split the columns of a rule; empty if it is not one."""
    row: Row = {"target": ""}
    if counted:
        if len(words) < 2 or not re.fullmatch(r"\d{1,15}[KMGT]?", words[0]):
            return {}
        row["packets"] = str(_number(words[0]))
        words = words[2:]
    at = next((n for n, word in enumerate(words[:3]) if word in ("--", "-f", "!f")), None)
    if at is None or at < 1:
        return {}
    row["target"] = words[at - 2] if at > 1 else ""
    row["protocol"] = _of_protocol(words[at - 1])
    rest = words[at + 1 :]
    if counted and len(rest) >= 4:
        row |= {
            name: value for name, value in zip(("in", "out"), rest, strict=False) if value not in ("*", "any")
        }
        rest = rest[2:]
    if len(rest) < 2:
        return {}
    row = _matched(row | _ends(rest), " ".join(rest[2:]))
    if not counted and row["protocol"] == "all" and len(row) == 2:  # without -v, it may be for lo alone
        return {**row, "other": "interfaces that are not shown"}
    return row


def _of_protocol(text: str) -> str:
    name = text.lstrip("!")
    return ("!" if text.startswith("!") else "") + _PROTOCOLS.get(name, name)


def _ends(rest: Sequence[str]) -> Row:
    wild = ("0.0.0.0/0", "::/0", "anywhere")
    return {n: v for n, v in zip(("source", "destination"), rest, strict=False) if v not in wild}


def _matched(row: Row, text: str) -> Row:
    """Add the matches in words after the columns; anything not understood is "other"."""
    if "[goto]" in text:
        row["goto"] = "yes"
    text = re.sub(r"/\*(?:[^*]|\*(?!/)){0,260}\*/", "", text)
    for name, pattern in _NAMES:
        match = pattern.search(text)
        if match is not None:
            row[name] = match["value"]
            text = text[: match.start()] + text[match.end() :]
    left = " ".join(_SAYS_NOTHING.sub("", text).replace("multiport", "").split())
    if row["target"] in ("DNAT", "SNAT", "MARK", "REDIRECT", "MASQUERADE", "CT") or not left:
        return row
    return {**row, "other": left} if left not in ("tcp", "udp") else row


OUTPUT = Output("firewall", opens, read)
