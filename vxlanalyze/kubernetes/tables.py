"""The tables commonly saved on a node, each recognised by content, and split.

A `Table` recognises its header or its lines, and converts a line to rows. Columns are those printed by
kubectl and Cilium; the keys of the rows are in the docstring of each reader.

Sources: kubernetes ``pkg/printers/internalversion``; cilium ``cilium-dbg/cmd/service_list.go``,
``bpf_tunnel_list.go``, ``bpf_ipcache_list.go``; bridge(8); ethtool(8), option -k; tcpdump(1), the
closing lines; dumpcap(1).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vxlanalyze.kubernetes.model import address_text, endpoint_text, network_text, parse_endpoint

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Command:
    """The command line above a table, as far as a prompt shows it; all "" if none does."""

    line: str = ""
    namespace: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of table.

    Parameters
    ----------
    header : pattern
        The line that opens it.
    has_header : bool
        Whether `header` is a heading; otherwise every line matches it, and the first is a row as well.
    read : callable
        ``read(header line, lines, command) -> rows``; lines that it does not understand are left out.
    """

    kind: str
    header: re.Pattern[str]
    has_header: bool
    read: Callable[[str, list[str], Command], list[Row]]


_GAP = re.compile(r"\s{2,}")
_KUBECTL_TYPE = re.compile(r"^(?:pod|service|node)s?/")


def _cells(header: str, line: str) -> Row:
    """Cells of a line under the words of its header, in lower case.

    kubectl separates columns by two or more blanks, so a cell may contain a single one ("2 (3h ago)"); if
    that does not give one cell per column, the positions of the header's words decide.
    """
    names = _GAP.split(header.strip())
    parted = _GAP.split(line.strip())
    if len(parted) != len(names):
        parted = line.split() if len(line.split()) == len(names) else _by_place(header, names, line)
    return {name.lower(): cell for name, cell in zip(names, parted, strict=False) if cell != "<none>"}


def _by_place(header: str, names: list[str], line: str) -> list[str]:
    starts, at = [], 0
    for name in names:
        at = header.index(name, at)
        starts.append(at)
        at += len(name)
    return [line[a:b].strip() for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]


def _kubectl(header: str, lines: list[str], command: Command) -> Iterator[Row]:
    for line in lines:
        cells = _cells(header, line)
        name = _KUBECTL_TYPE.sub("", cells.get("name", ""))
        if name:
            yield {**cells, "name": name, "namespace": cells.get("namespace", command.namespace)}


def read_services(header: str, lines: list[str], command: Command) -> list[Row]:
    """``kubectl get services``: name, namespace, type, address, ports ("53/udp,53/tcp")."""
    rows = []
    for cells in _kubectl(header, lines, command):
        parts = (p.partition("/") for p in cells.get("port(s)", "").split(","))
        # "80:30080/TCP" is port 80, and 30080 on every node.
        ports = [f"{port.split(':')[0]}/{protocol.lower()}" for port, _, protocol in parts if port]
        rows.append(
            {
                "name": cells["name"],
                "namespace": cells["namespace"],
                "type": cells.get("type", ""),
                "address": address_text(cells.get("cluster-ip")) or "",
                "ports": ",".join(ports),
            }
        )
    return rows


def read_pods(header: str, lines: list[str], command: Command) -> list[Row]:
    """``kubectl get pods -o wide``: name, namespace, status, address, node; no address without -o wide."""
    return [
        {
            "name": cells["name"],
            "namespace": cells["namespace"],
            "status": cells.get("status", ""),
            "address": address_text(cells.get("ip")) or "",
            "node": cells.get("node", ""),
        }
        for cells in _kubectl(header, lines, command)
    ]


def read_nodes(header: str, lines: list[str], command: Command) -> list[Row]:
    """``kubectl get nodes -o wide``: name, status, address, external address."""
    return [
        {
            "name": cells["name"],
            "status": cells.get("status", ""),
            "address": address_text(cells.get("internal-ip")) or "",
            "external": address_text(cells.get("external-ip")) or "",
        }
        for cells in _kubectl(header, lines, command)
    ]


_BACKEND = r"\d+ => (?P<backend>\S+)(?:\s+\((?P<state>[^)]*)\))?"
_MORE_BACKENDS = re.compile(rf"^\s*{_BACKEND}")
_FRONTEND = re.compile(
    rf"^\s*(?:(?P<id>\d+)\s+)?(?P<frontend>\S+:\S+)\s+(?P<type>[A-Za-z]\w*)(?:\s+{_BACKEND})?"
)
_SCOPE = re.compile(r"(?:[/:](?P<protocol>TCP|UDP|SCTP|ANY|NONE))?(?:/[ie])?$", re.IGNORECASE)


def read_cilium_services(header: str, lines: list[str], command: Command) -> list[Row]:
    """``cilium service list``: id, frontend, protocol, type, backend, state; a row for each backend."""
    rows: list[Row] = []
    opened: Row = {}
    for line in lines:
        more = _MORE_BACKENDS.match(line)
        match = more or _FRONTEND.match(line)
        if match is None or (more and not opened):
            continue
        found = match.groupdict()
        if not more:
            frontend, protocol = _endpoint(found["frontend"])
            opened = {"id": found["id"] or "", "frontend": frontend, "protocol": protocol}
            opened["type"] = found["type"]
        backend = _endpoint(found["backend"])[0] if found["backend"] else ""
        rows.append({**opened, "backend": backend, "state": found["state"] or ""})
    return rows


def _endpoint(text: str) -> tuple[str, str]:
    """``address:port`` and protocol ("" if not given) of Cilium's ``address:port/PROTOCOL/scope``."""
    scope = _SCOPE.search(text)
    protocol = (scope["protocol"] or "").lower() if scope else ""
    parsed = parse_endpoint(_SCOPE.sub("", text, count=1))
    return endpoint_text(*parsed) if parsed else text, protocol


_TUNNEL_ROW = re.compile(r"^\s*(\S+)\s+(\S+)\s*$")


def read_tunnels(header: str, lines: list[str], command: Command) -> list[Row]:
    """``cilium bpf tunnel list``: prefix (with a length only if printed), endpoint."""
    rows = []
    for match in filter(None, map(_TUNNEL_ROW.match, lines)):
        prefix, endpoint = _tunnel_address(match[1]), address_text(_tunnel_address(match[2]))
        if prefix and endpoint:
            rows.append({"prefix": prefix, "endpoint": endpoint})
    return rows


def _tunnel_address(text: str) -> str | None:
    """Network or address of ``10.233.65.0:0``: the number after the last colon belongs to the cluster."""
    if "/" in text:
        return network_text(text.rpartition(":")[0] if re.search(r"/\d+:\d+$", text) else text)
    host, colon, number = text.rpartition(":")
    with_number = address_text(host) if colon and number.isdecimal() else None
    return with_number or address_text(text)


_IPCACHE_ROW = re.compile(r"^\s*(?P<prefix>\S+/\d+)\s+.*\btunnelendpoint=(?P<endpoint>[0-9a-fA-F.:]+)")


def read_ipcache(header: str, lines: list[str], command: Command) -> list[Row]:
    """``cilium bpf ipcache list``: prefix, endpoint; entries without a tunnel are left out."""
    rows = []
    for match in filter(None, map(_IPCACHE_ROW.match, lines)):
        prefix, endpoint = network_text(match["prefix"]), address_text(match["endpoint"])
        if prefix and endpoint and endpoint not in ("0.0.0.0", "::"):
            rows.append({"prefix": prefix, "endpoint": endpoint})
    return rows


_FDB_ROW = re.compile(
    r"^\s*(?P<mac>(?:[0-9a-f]{2}:){5}[0-9a-f]{2})\s+(?P<rest>(?:dev|dst|vlan|master|self)\b.*)$"
)
_FDB_VALUES = frozenset(
    ("dev", "dst", "vlan", "port", "vni", "src_vni", "via", "master", "nhid", "link-netnsid")
)


def read_fdb(header: str, lines: list[str], command: Command) -> list[Row]:
    """``bridge fdb show``: mac, dev, dst, vni and the like where printed, flags (the single words)."""
    rows = []
    for match in filter(None, map(_FDB_ROW.match, lines)):
        row, flags = {"mac": match["mac"], "dev": command.device}, []
        words = iter(match["rest"].split())
        for word in words:
            if word in _FDB_VALUES:
                row[word] = next(words, "")
            else:
                flags.append(word)
        rows.append({**row, "flags": " ".join(flags)})
    return rows


_FEATURE_ROW = re.compile(
    r"^\s*(?P<feature>[a-z0-9][\w-]*): (?P<state>on|off)(?: \[(?P<note>[a-z ]+)\])?\s*$"
)


def read_features(header: str, lines: list[str], command: Command) -> list[Row]:
    """``ethtool -k``: device, feature, state ("on" or "off"), note ("fixed", "requested on")."""
    named = _FEATURES_HEADER.match(header)
    device = (named["device"] if named else None) or command.device
    return [
        {"device": device, "feature": m["feature"], "state": m["state"], "note": m["note"] or ""}
        for m in filter(None, map(_FEATURE_ROW.match, lines))
    ]


_CLOSING = re.compile(
    r"(?P<count>\d+) packets? (?P<what>captured|received by filter|dropped by kernel|dropped by interface)"
)
_CLOSING_LINE = re.compile(
    r"^\s*(?:\^C)?\s*(?:\d+ packets? (?:captured|received|dropped)\b|Packets received/)"
)
_DUMPCAP = re.compile(
    r"Packets received/dropped on interface '(?P<interface>[^']*)': (?P<received>\d+)/(?P<dropped>\d+)"
)


def read_summary(header: str, lines: list[str], command: Command) -> list[Row]:
    """Last lines of tcpdump: captured, received_by_filter, dropped_by_kernel, dropped_by_interface."""
    rows: list[Row] = []
    for line in lines:
        for match in _CLOSING.finditer(line):
            key = match["what"].replace(" ", "_")
            if not rows or key in rows[-1]:  # belongs to the next run
                rows.append({})
            rows[-1][key] = match["count"]
        dumpcap = _DUMPCAP.search(line)
        if dumpcap:
            counts = {"captured": dumpcap["received"], "dropped_by_kernel": dumpcap["dropped"]}
            rows.append({"interface": dumpcap["interface"], **counts})
    return rows


_FEATURES_HEADER = re.compile(r"^\s*(?:Features|Offload parameters) for (?P<device>\S+?):\s*$")
_NAMED = r"^\s*(?:NAMESPACE\s+)?NAME\s+"

TABLES: tuple[Table, ...] = (
    Table(
        "cilium-service-list",
        re.compile(r"^\s*(?:ID\s+)?Frontend\s+Service Type\s+Backend"),
        True,
        read_cilium_services,
    ),
    Table("cilium-tunnel-list", re.compile(r"^\s*TUNNEL\s+VALUE\s*$"), True, read_tunnels),
    Table("cilium-tunnel-list", re.compile(r"^\s*IP PREFIX/ADDRESS\s+IDENTITY"), True, read_ipcache),
    Table("kubectl-services", re.compile(rf"{_NAMED}TYPE\s+CLUSTER-IP\s"), True, read_services),
    Table("kubectl-pods", re.compile(rf"{_NAMED}READY\s+STATUS\s"), True, read_pods),
    Table("kubectl-nodes", re.compile(rf"{_NAMED}STATUS\s+ROLES\s"), True, read_nodes),
    Table("ethtool-k", _FEATURES_HEADER, True, read_features),
    Table("ethtool-k", re.compile(r"^\s*[rt]x-[\w-]+: (?:on|off)\b"), False, read_features),
    Table("bridge-fdb", _FDB_ROW, False, read_fdb),
    Table("tcpdump-summary", _CLOSING_LINE, False, read_summary),
)
