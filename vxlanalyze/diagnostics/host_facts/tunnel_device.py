"""Compare the saved tunnel devices of both nodes with each other and with the packets on the wire."""

from collections.abc import Iterator
from shlex import quote

import numpy as np

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.underlay import tunnel_ends, underlay
from vxlanalyze.diagnostics.host_facts.model import Statement, facts, is_inside, node_of, rows
from vxlanalyze.kubernetes.citing import file_of, place
from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.kubernetes.model import Fact
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text import commands
from vxlanalyze.wire.model import Tunnel

_CODES = frozenset(("not-answered", "port-unreachable", "vni-mismatch"))
_SIZES = frozenset(("mtu-blackhole", "mtu-icmp-needed", "outer-fragmentation"))
_KINDS = {Tunnel.VXLAN: "vxlan", Tunnel.GENEVE: "geneve"}
_Row = dict[str, str]


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State which setting of the receiver's device does not match the packets, or an MTU mismatch."""
    if is_inside(direction):
        return
    if finding.code in _CODES:
        yield from _taken(pair, direction)
        yield from _configured(pair, direction)
    if finding.code in _SIZES:
        yield from _sizes(pair, direction, finding)
    if finding.code in _CODES | _SIZES:
        yield from _differing(pair, direction)


def _taken(pair: Comparison, direction: Direction) -> Iterator[Statement]:
    below = underlay.of(direction, pair.cluster)
    kind = _KINDS.get(below.tunnel)
    node = direction.receiver.name
    for fact in facts(pair, direction.receiver, "devices"):
        ends = [row for row in fact.rows if row.get("type") == kind]
        if kind is None or not ends or any(row.get("external") for row in ends):
            continue
        ports = {row.get("dstport", "") for row in ends} - {""}
        wire = {str(port) for port in below.ports}
        if ports and not ports & wire:
            yield _statement(fact, ends[0], node, "dstport", f"UDP {', '.join(sorted(wire))}")
            continue
        flows = direction.sender.flows
        used = np.unique(direction.flow[direction.flow >= 0])
        vnis = {str(v) for v in np.unique(flows.vni[used[flows.tunnel[used] > 0]]).tolist()}
        if vnis and not vnis & {row.get("id", "") for row in ends}:
            yield _statement(fact, ends[0], node, "id", f"VNI {', '.join(sorted(vnis))}")
        elif not any(row["up"] for row in ends):
            where = place(file_of(fact), ends[0]["line"])
            name = ends[0]["name"]
            yield Statement(
                f"The tunnel device {name} of {node} is down ({where}).",
                True,
                where,
                f"Set it up:{commands.on(node, f'ip link set {quote(name)} up')}",
            )


def _statement(fact: Fact, row: _Row, node: str, what: str, wire: str) -> Statement:
    where = place(file_of(fact), row["line"])
    shown = row.get(what, "none")
    sentence = (
        f"The tunnel device {row['name']} of {node} has {what} {shown}, and the packets that arrive have "
        f"{wire}: it does not take them ({where})."
    )
    shows = commands.on(node, f"ip -d link show {quote(row['name'])}")
    remedy = f"Give both nodes the same {what} in the overlay's configuration. To compare:{shows}"
    return Statement(sentence, True, where, remedy)


def _sizes(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """Compare both nodes' MTUs: tunnel devices with underlying ones, and the receiving card."""
    lost = finding.evidence.get("smallest_lost")
    size = int(lost.value) if lost is not None and isinstance(lost.value, int) else 0
    sending = 0
    for point in (direction.sender, direction.receiver):
        devices = {row["name"]: (row, where) for row, where in rows(pair, point, "devices")}
        for row, where in devices.values():
            below = devices.get(row.get("dev", ""))
            if row.get("type") not in ("vxlan", "geneve") or below is None:
                continue
            if not number_in(row, "mtu") or not number_in(below[0], "mtu"):
                continue
            sending = sending or number_in(below[0], "mtu")
            yield _room(node_of(point), row, where, below[0], point is direction.sender)
            if point is direction.receiver and size > number_in(below[0], "mtu"):
                yield _small_card(node_of(point), below, max(size, sending))


def _room(node: str, row: _Row, where: str, below: _Row, sends: bool) -> Statement:
    room = number_in(below, "mtu") - number_in(row, "mtu")
    enough = 70 if ":" in row.get("local", "") + row.get("remote", "") else 50
    small = room < enough
    verb = "full packets do not fit" if small else "they fit on this node"
    sentence = (
        f"On {node}, {row['name']} has MTU {row['mtu']} ({where}), and its packets are {enough} bytes longer "
        f"below, where {below['name']} has MTU {below['mtu']}: {verb}."
    )
    if not (small and sends):
        return Statement(sentence, False, where)
    mtu = number_in(below, "mtu") - enough
    shown = commands.on(node, f"ip link set {quote(row['name'])} mtu {mtu}")
    cure = (
        f"Set the MTU of the overlay to {mtu} at most in its configuration, so that pods get it too; or "
        f"raise that of {below['name']}. For the tunnel device alone, until then:{shown}"
    )
    return Statement(sentence, True, where, cure)


def _small_card(node: str, below: tuple[_Row, str], wanted: int) -> Statement:
    row, where = below
    sentence = (
        f"{row['name']} of {node} has MTU {row['mtu']} ({where}): longer packets do not fit it, and many "
        "cards drop these before any capture sees them."
    )
    shown = commands.on(node, f"ip link set {quote(row['name'])} mtu {wanted}")
    cure = f"Give {row['name']} of {node} the MTU of the sender's network, {wanted} bytes:"
    return Statement(sentence, True, where, cure + shown)


def _configured(pair: Comparison, direction: Direction) -> Iterator[Statement]:
    """Compare port and VNI in the overlay's own files with the packets: a note where they differ."""
    below = underlay.of(direction, pair.cluster)
    ends = tunnel_ends.of(direction)
    wire = {"port": set(map(str, below.ports)), "vni": set(map(str, ends.vnis))}
    for row, where in rows(pair, direction.receiver, "overlay"):
        used = wire.get(row["name"], set())
        if used and row["value"] not in used:
            what = "UDP port" if row["name"] == "port" else "VNI"
            yield Statement(
                f"The configuration saved on {node_of(direction.receiver)} says {what} {row['value']} "
                f"({where}), and the packets have {', '.join(sorted(used))}.",
                False,
                where,
            )


def _differing(pair: Comparison, direction: Direction) -> Iterator[Statement]:
    """Compare the tunnel devices of both nodes, where both were saved: a note where settings differ."""
    kind = _KINDS.get(underlay.of(direction, pair.cluster).tunnel)
    both = []
    for point in (direction.sender, direction.receiver):
        found = [(r, w) for r, w in rows(pair, point, "devices") if r.get("type") == kind]
        if len(found) != 1:
            return
        both.append((node_of(point), *found[0]))
    (near, mine, at), (far, theirs, there) = both
    for what in ("dstport", "id", "mtu"):
        if mine.get(what) and theirs.get(what) and mine[what] != theirs[what]:
            yield Statement(
                f"{mine['name']} of {near} has {what} {mine[what]} ({at}), and {theirs['name']} of {far} has "
                f"{theirs[what]} ({there}).",
                False,
                at,
            )
