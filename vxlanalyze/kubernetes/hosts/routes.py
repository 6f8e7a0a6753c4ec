"""``ip route``, ``ip rule`` and ``ip neigh``: one entry per line.

Rows of routes: kind ("unicast", "unreachable", ...), to, dev, via, table. Of neighbours: address, dev, mac,
state. Rules are kept as text.

Sources: ip-route(8), ip-rule(8), ip-neighbour(8).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_KINDS = "unicast|local|broadcast|multicast|unreachable|blackhole|prohibit|throw"
_TO = r"(?P<to>default|[0-9a-f.:]+(?:/\d+)?)"
_NO_MAC = r"(?!(?:[0-9a-f]{2}:){5}[0-9a-f]{2} )"
_ROUTE = re.compile(
    rf"^{_NO_MAC}(?:(?P<kind>{_KINDS}) )?{_TO} (?=(?:via|dev|proto|nhid|metric|table)\b)(?P<rest>.*)$"
)
_LONE = re.compile(r"^(?P<kind>unreachable|blackhole|prohibit) (?P<to>default|[0-9a-f.:]+(?:/\d+)?)\s*$")
_NEIGHBOUR = re.compile(
    r"^(?P<address>[0-9a-f.:]+) dev (?P<dev>\S+)(?: lladdr (?P<mac>[0-9a-f:]{17}))?(?P<rest>(?: \S+)*?) "
    r"(?P<state>PERMANENT|NOARP|REACHABLE|STALE|NONE|INCOMPLETE|DELAY|PROBE|FAILED)\s*$"
)
_RULE = re.compile(r"^\d+:\s+(?:not )?from \S+")
_VALUES = ("dev", "via", "table", "src", "metric")


def read_routes(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the routes."""
    for number, line in lines:
        match = _ROUTE.match(line) or _LONE.match(line)
        if match is not None:
            found = match.groupdict()
            words = found.get("rest", "").split()
            row = {k: v for k, v in pairwise(words) if k in _VALUES}
            head = {
                "line": str(number),
                "text": line.strip(),
                "to": found["to"],
                "kind": found["kind"] or "unicast",
            }
            yield {**head, **row}


def read_neighbours(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the neighbours."""
    for number, line in lines:
        match = _NEIGHBOUR.match(line.rstrip())
        if match is not None:
            found = {k: v for k, v in match.groupdict().items() if v and k != "rest"}
            yield {"line": str(number), "text": line.strip(), **found}


def read_rules(lines: Sequence[Line]) -> Iterator[Row]:
    """Give the rules as text."""
    yield from ({"line": str(n), "text": line.strip()} for n, line in lines if _RULE.match(line))


OUTPUTS = (
    Output("neighbours", lambda f: bool(_NEIGHBOUR.match(f[0].rstrip())), read_neighbours),
    Output("routes", lambda f: bool(_ROUTE.match(f[0]) or _LONE.match(f[0])), read_routes),
    Output("rules", lambda f: bool(_RULE.match(f[0])), read_rules),
)
