"""``nft list ruleset`` (nftables 1.0), including the tables of iptables-nft.

Rows as for iptables-save: chains (with their hook, if any) and rules. Sets of a table are resolved; anything
beyond the common matches of a rule is "other".

Sources: nft(8), nftables wiki "Quick reference".
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_TABLE = re.compile(r"^\s*table (?P<family>ip|ip6|inet|arp|bridge|netdev) (?P<table>\S+) \{")
_CHAIN = re.compile(r"^\s*chain (?P<chain>\S+) \{")
_SET = re.compile(r"^\s*set (?P<set>\S+) \{")
_HOOK = re.compile(
    r"^\s*type (?P<type>\w+) hook (?P<hook>\w+)[^;]{0,100} priority (?P<priority>[^;]{1,40});"
    r"(?: policy (?P<policy>\w+);)?"
)
_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_COUNTER = re.compile(r"\bcounter packets (\d+) bytes \d+ ?")
_COMMENT = re.compile(r' ?comment "[^"]{0,300}"')
_VERDICT = re.compile(r"^(?P<verdict>accept|drop|reject|return|queue|continue)\b")
_JUMP = re.compile(r"^(?P<kind>jump|goto) (?P<target>\S+)")
_VALUE = r"(?P<not>!= )?(?P<value>\{[^}]{0,4000}\}|@\S+|\"[^\"]{0,64}\"|\S+)"
_MATCHES = tuple(
    (name, re.compile(rf"^{words} {_VALUE} ?"))
    for name, words in (
        ("source", r"ip6? saddr"),
        ("destination", r"ip6? daddr"),
        ("protocol", r"(?:meta l4proto|ip protocol|ip6 nexthdr)"),
        ("dport", r"(?P<proto>udp|tcp|sctp|th) dport"),
        ("sport", r"(?P<proto>udp|tcp|sctp|th) sport"),
        ("in", r"(?:meta )?iif(?:name)?"),
        ("out", r"(?:meta )?oif(?:name)?"),
        ("state", r"ct state"),
        ("mark", r"meta mark"),
        ("destination_type", r"fib daddr type"),
    )
)


def opens(first: Sequence[str]) -> bool:
    """Whether it begins with a table."""
    return any(_TABLE.match(line) for line in first)


def read(lines: Sequence[Line]) -> Iterator[Row]:
    """Give chains and rules."""
    sets = _sets(lines)
    family, table, chain = "", "", ""
    for number, line in lines:
        head, inside = _TABLE.match(line), _CHAIN.match(line)
        if head is not None:
            family, table, chain = head["family"], head["table"], ""
        elif _SET.match(line):
            chain = ""
        elif inside is not None:
            chain = inside["chain"]
            yield {**_place(number, line, family, table, chain), "policy": "-"}
        elif chain and line.strip() not in ("", "}"):
            row = _hook(line) or _rule(line.strip(), sets, table)
            yield {**_place(number, line, family, table, chain), **row}


def _place(number: int, line: str, family: str, table: str, chain: str) -> Row:
    place = {"line": str(number), "text": line.strip(), "tool": "nft"}
    return {**place, "family": family, "table": table, "chain": chain}


def _hook(line: str) -> Row:
    match = _HOOK.match(line)
    if match is None:
        return {}
    return {
        "hook": match["hook"],
        "type": match["type"],
        "priority": str(_priority(match["priority"])),
        "policy": (match["policy"] or "accept").upper(),
    }


def _priority(text: str) -> int:
    """Number of ``filter``, ``-150`` or ``filter + 10``."""
    word, sign, more = (text.replace(" ", "").replace("-", "+-").lstrip("+")).partition("+")
    first = _PRIORITIES.get(word, int(word) if re.fullmatch(r"-?\d{1,9}", word) else 0)
    return first + (int(more) if sign and re.fullmatch(r"-?\d{1,9}", more) else 0)


def _sets(lines: Sequence[Line]) -> dict[str, str]:
    """Elements of each set by ``table/name``: a comma-separated list, without timeouts and the like."""
    found: dict[str, list[str]] = {}
    table, opened = "", ""
    for _, line in lines:
        head, inside = _TABLE.match(line), _SET.match(line)
        if head is not None:
            table, opened = head["table"], ""
        elif inside is not None:
            opened = f"{table}/{inside['set']}"
            found[opened] = []
        elif _CHAIN.match(line):
            opened = ""
        elif opened and re.search(r"[\d:]", line) and not line.strip().startswith(("type", "flags", "size")):
            body = line.replace("elements = {", "").replace("}", "")
            found[opened] += [part.split()[0] for part in body.split(",") if part.split()]
    return {name: ",".join(elements) for name, elements in found.items()}


def _rule(text: str, sets: Mapping[str, str], table: str) -> Row:
    row: Row = {"target": ""}
    counted = _COUNTER.search(text)
    if counted is not None:
        row["packets"] = counted[1]
    rest = _COMMENT.sub("", _COUNTER.sub("", text)).strip()
    other: list[str] = []
    while rest:
        verdict, jump = _VERDICT.match(rest), _JUMP.match(rest)
        if verdict is not None:
            row["target"] = verdict["verdict"].upper()
            break
        if jump is not None:
            row["target"], row["goto"] = jump["target"], "yes" if jump["kind"] == "goto" else ""
            break
        rest = _taken(rest, row, other, sets, table)
    return row if not other else {**row, "other": " ".join(other)}


def _taken(rest: str, row: Row, other: list[str], sets: Mapping[str, str], table: str) -> str:
    """Take one match off a rule; an unknown word goes to `other`."""
    for name, pattern in _MATCHES:
        match = pattern.match(rest)
        if match is not None:
            value = _value(match["value"], sets, table)
            if value is None or name in row:
                other.append(match[0].strip())
            else:
                row[name] = ("!" if match["not"] else "") + value
            if match.groupdict().get("proto") not in (None, "th"):
                row.setdefault("protocol", match["proto"])
            return rest[match.end() :]
    word, _, rest = rest.partition(" ")
    other.append(word)
    return rest


def _value(text: str, sets: Mapping[str, str], table: str) -> str | None:
    if text.startswith("@"):
        return sets.get(f"{table}/{text[1:]}")
    return text.strip('{} "').replace(" ", "").replace('"', "").replace("-", ":" if text[0] != '"' else "-")


OUTPUT = Output("firewall", opens, read)
