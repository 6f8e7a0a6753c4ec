"""Saved routes of the receiving node: where answers go, and whether its reverse path filter is strict.

A node routes an answer by the requester's address. Where there is no route, or one through a device other
than the tunnel's, the answer is lost; where the filter is strict, the request is already dropped.

Sources: Linux ip-sysctl (rp_filter: the larger of the settings for all and for the device); RFC 3704
section 2.2; ip-route(8).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.underlay import tunnel_ends
from vxlanalyze.diagnostics.host_facts.model import Statement, inner, is_inside, node_of, rows
from vxlanalyze.kubernetes.hosts.firewall import FilteredPacket
from vxlanalyze.kubernetes.model import PrefixTable
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text import commands

_CODES = frozenset(("not-answered", "source-unanswered", "answer-not-accepted", "endpoint-silent"))
_DISCARDING = frozenset(("blackhole", "unreachable", "prohibit"))
_TUNNELS = frozenset(("vxlan", "geneve"))
_ROUTED_BY_AGENT = (
    "cilium",
    "lxc",
    "ovn",
    "antrea",
    "genev_sys",
)  # devices that lead into a tunnel of their own
_Row = dict[str, str]
_Found = tuple[_Row, str]


@dataclass(frozen=True, slots=True)
class Tables:
    """A node's routes and settings, with their places.

    Parameters
    ----------
    main : PrefixTable
        Rows of the main table by destination.
    plain : bool
        Whether no policy rule chooses other tables, so that the main table decides.
    tunnels : tuple of str
        Names of tunnel devices that routes lead into; none where the maps of an agent decide.
    """

    node: str
    main: PrefixTable[_Found]
    versions: frozenset[int]
    plain: bool
    tunnels: tuple[str, ...]
    settings: dict[str, _Found]

    def route(self, address: str) -> _Found | None:
        """The route to an address; None where none exists, or none of its family was saved."""
        return self.main.find(address)

    def strict(self) -> _Found | None:
        """The setting that makes the reverse path filter strict on a tunnel device."""
        names = ["all", *self.tunnels]
        found = [self.settings.get(f"net.ipv4.conf.{name}.rp_filter") for name in names]
        known = [f for f in found if f is not None]
        highest = max(known, key=lambda f: f[0]["value"], default=None)
        return highest if highest is not None and highest[0]["value"] == "1" else None


def tables(pair: Comparison, point: Point) -> Tables:
    """Read a node's tables."""
    main: list[tuple[str, _Found]] = []
    for row, where in rows(pair, point, "routes"):
        if row.get("table", "main") in ("main", "254"):
            v6 = ":" in row["to"] or ":" in row.get("via", "")
            to = row["to"] if row["to"] != "default" else "::/0" if v6 else "0.0.0.0/0"
            main.append((to, (row, where)))
    devices = [row for row, _ in rows(pair, point, "devices") if row.get("type") in _TUNNELS]
    choosing = [row for row, _ in rows(pair, point, "rules") if _chooses(row["text"])]
    settings = {row["name"].replace("/", "."): (row, where) for row, where in rows(pair, point, "settings")}
    return Tables(
        node_of(point),
        PrefixTable(main),
        frozenset(6 if ":" in to else 4 for to, _ in main),
        not choosing,
        tuple(row["name"] for row in devices if not row.get("external")),
        settings,
    )


def _chooses(rule: str) -> bool:
    """Whether a policy rule may send ordinary packets to another table."""
    return not rule.startswith(("0:", "32766:", "32767:")) and "fwmark" not in rule


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State how the receiving node's routes treat requests and answers."""
    if finding.code not in _CODES or is_inside(direction):
        return
    known = tables(pair, direction.receiver)
    packets = inner(pair, direction, finding)
    outside = frozenset(tunnel_ends.of(direction).sources)
    # Where other endpoints of the node are answered, the return path is correct.
    back = () if finding.code == "endpoint-silent" else _answers(known, packets, outside)
    wrong = [*back] or [*_requests(known, packets)]
    if wrong:
        yield wrong[0]
    elif known.strict() is not None and finding.code != "endpoint-silent":
        yield from _filter(known, packets)


def _answers(known: Tables, packets: list[FilteredPacket], outside: frozenset[str]) -> Iterator[Statement]:
    """Return routes that are missing or lead elsewhere; nodes are also reached `outside`."""
    for source in dict.fromkeys(packet.source for packet in packets):
        if (6 if ":" in source else 4) not in known.versions:
            continue
        found = known.route(source)
        if found is None:
            yield _no_route(known, source)
        elif found[0]["kind"] in _DISCARDING:
            yield _discarded(known, source, found, "answers to")
        elif (
            known.tunnels
            and _leaves_tunnel(known, found[0])
            and (source not in outside or known.strict() is not None)
        ):
            yield _elsewhere(known, source, found)


def _leaves_tunnel(known: Tables, row: _Row) -> bool:
    device = row.get("dev", "")
    return bool(device) and device not in known.tunnels and not device.startswith(_ROUTED_BY_AGENT)


def _no_route(known: Tables, source: str) -> Statement:
    sentence = f"None of the saved routes of {known.node} leads to {source}: answers cannot leave."
    cure = f"Restart the overlay's agent on {known.node}, which makes the routes to other nodes. Then:"
    return Statement(
        sentence, known.plain, "its routes", cure + commands.on(known.node, f"ip route get {source}")
    )


def _discarded(known: Tables, address: str, found: _Found, what: str) -> Statement:
    row, where = found
    sentence = f"A route of {known.node} discards {what} {address}: {row['text']} ({where})."
    removed = commands.on(known.node, f"ip route del {row['kind']} {row['to']}")
    cure = (
        f"Remove it, and find out what added it:{removed}\nThe overlay's agent then restores the right route."
    )
    return Statement(sentence, known.plain, where, cure)


def _elsewhere(known: Tables, source: str, found: _Found) -> Statement:
    row, where = found
    device, tunnel = row["dev"], known.tunnels[0]
    strict = known.strict() if ":" not in source else None
    sentence = f"{known.node} reaches {source} by {device}, not by {tunnel}: {row['text']} ({where})"
    shown = commands.on(known.node, f"ip route get {source}")
    if strict is None:
        cure = f"The route must lead into {tunnel}: restart the overlay's agent on {known.node}. To check:"
        return Statement(
            f"{sentence}; answers leave outside of the tunnel.", known.plain, where, cure + shown
        )
    setting, at = strict
    name = setting["name"]
    loose = commands.on(known.node, f"sysctl -w {name}=2")
    cure = (
        f"The route to {source} must lead into {tunnel} (restart the overlay's agent); until then make the "
        f"filter loose, for both settings where both are 1:{loose}\nTo undo it:"
        + commands.on(known.node, f"sysctl -w {name}=1")
    )
    why = f"; its reverse path filter is strict ({setting['text']}, {at}), and drops the requests."
    return Statement(sentence + why, known.plain, f"{where} and {at}", cure)


def _requests(known: Tables, packets: list[FilteredPacket]) -> Iterator[Statement]:
    """Routes to the requested endpoints that discard."""
    for destination in dict.fromkeys(packet.destination for packet in packets):
        found = known.route(destination)
        if found is not None and found[0]["kind"] in _DISCARDING:
            yield _discarded(known, destination, found, "packets to")


def _filter(known: Tables, packets: list[FilteredPacket]) -> Iterator[Statement]:
    """The strict filter where the routes do not show what it drops: a note."""
    strict = known.strict()
    if strict is None:
        return
    setting, at = strict
    sources = [p.source for p in packets if ":" not in p.source]
    found = [known.route(source) for source in sources] if known.tunnels and known.plain else []
    lines = sorted({f"{f[0]['text']}, {f[1]}" for f in found if f is not None})
    if lines and len(found) == len(sources) and None not in found:
        sentence = (
            f"The reverse path filter of {known.node} is strict ({setting['text']}, {at}) and accepts these "
            f"requests: their sources are reached by the tunnel ({lines[0]})."
        )
    else:
        sentence = (
            f"The reverse path filter of {known.node} is strict ({setting['text']}, {at}): it drops what "
            "comes in by a device by which its source is not reached, and counts it in "
            "TcpExtIPReversePathFilter."
        )
    yield Statement(sentence, False, at)
