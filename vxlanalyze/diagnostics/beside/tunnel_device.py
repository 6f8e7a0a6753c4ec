"""The saved tunnel devices of both nodes, against each other and against what is on the wire."""

from collections.abc import Iterator
from shlex import quote

import numpy as np

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.diagnostics.beside.model import Said, facts, place
from vxlanalyze.kubernetes.model import Fact
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text import commands
from vxlanalyze.wire.model import Tunnel

_CODES = frozenset(("not-answered", "port-unreachable", "vni-mismatch"))
_KINDS = {Tunnel.VXLAN: "vxlan", Tunnel.GENEVE: "geneve"}
_Row = dict[str, str]


def said(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Said]:
    """Say which setting of the receiver's device does not fit the packets; or that of the MTU."""
    if finding.code in _CODES:
        yield from _taken(pair, direction)
    if finding.code in ("mtu-blackhole", "mtu-icmp-needed", "outer-fragmentation"):
        yield from _sizes(pair, direction)


def _taken(pair: Comparison, direction: Direction) -> Iterator[Said]:
    below = underlay.of(direction, pair.cluster)
    kind = _KINDS.get(below.tunnel)
    node = direction.receiver.name
    for fact in facts(pair, direction.receiver, "devices"):
        rows = [row for row in fact.rows if row.get("type") == kind]
        if kind is None or not rows or any(row.get("external") for row in rows):
            continue
        ports = {row.get("dstport", "") for row in rows} - {""}
        wire = {str(port) for port in below.ports}
        if ports and not ports & wire:
            yield _said(fact, rows[0], node, "dstport", f"UDP {', '.join(sorted(wire))}")
            continue
        flows = direction.sender.flows
        used = np.unique(direction.flow[direction.flow >= 0])
        vnis = {str(v) for v in np.unique(flows.vni[used[flows.tunnel[used] > 0]]).tolist()}
        if vnis and not vnis & {row.get("id", "") for row in rows}:
            yield _said(fact, rows[0], node, "id", f"VNI {', '.join(sorted(vnis))}")
        elif rows and not any(row["up"] for row in rows):
            where = place(fact.path, rows[0]["line"])
            name = rows[0]["name"]
            yield Said(
                f"The tunnel device {name} of {node} is down ({where}).",
                True,
                where,
                f"Set it up:{commands.on(node, f'ip link set {quote(name)} up')}",
            )


def _said(fact: Fact, row: _Row, node: str, what: str, wire: str) -> Said:
    where = place(fact.path, row["line"])
    shown = row.get(what, "none")
    sentence = (
        f"The tunnel device {row['name']} of {node} has {what} {shown}, and the packets that arrive have "
        f"{wire}: it does not take them ({where})."
    )
    shows = commands.on(node, f"ip -d link show {quote(row['name'])}")
    remedy = f"Give both nodes the same {what} in the overlay's configuration. To compare:{shows}"
    return Said(sentence, True, where, remedy)


def _sizes(pair: Comparison, direction: Direction) -> Iterator[Said]:
    """The MTUs of the tunnel devices against those of the devices below them."""
    for point in (direction.sender, direction.receiver):
        for fact in facts(pair, point, "devices"):
            by_name = {row["name"]: row for row in fact.rows}
            for row in fact.rows:
                under = by_name.get(row.get("dev", ""))
                if row.get("type") not in ("vxlan", "geneve") or under is None:
                    continue
                room = int(under["mtu"]) - int(row["mtu"])
                where = place(fact.path, row["line"])
                enough = 70 if ":" in row.get("local", "") + row.get("remote", "") else 50
                verb = "which leaves too little" if room < enough else "which is enough on this node"
                yield Said(
                    f"On {point.name}, {row['name']} has MTU {row['mtu']} over {under['name']} with "
                    f"{under['mtu']}: {room} bytes for {enough} of headers, {verb} ({where}).",
                    False,
                    where,
                )
