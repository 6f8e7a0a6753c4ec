"""Compare saved neighbour and forwarding entries with MACs and addresses on the wire and of the peer.

The sender's entries decide where tunnel packets go and which MAC the inner frame carries; the receiver
accepts only frames for the MAC of its tunnel device, and only packets for its own addresses.

Sources: bridge(8), ip-neighbour(8); Linux ``net/ethernet/eth.c`` (frames for another MAC are not accepted).
"""

from collections.abc import Iterator
from shlex import quote

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.underlay import tunnel_ends
from vxlanalyze.diagnostics.host_facts.model import Statement, is_inside, node_of, rows
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text import commands
from vxlanalyze.wire.addresses import mac_text

_MACS = frozenset(("stale-tunnel-mac", "not-answered"))
_ADDRESSES = frozenset(("wrong-tunnel-endpoint", "not-answered", "path-blocked"))
_TUNNELS = frozenset(("vxlan", "geneve"))
_UNREACHED = frozenset(("FAILED", "INCOMPLETE"))
_Row = dict[str, str]


def statements(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """State which entry of the sender does not match the receiver."""
    if is_inside(direction):
        return
    if finding.code in _MACS:
        yield from _inner_mac(pair, direction, finding)
    if finding.code in _ADDRESSES:
        yield from _not_owned(pair, direction)
        yield from _outer_mac(pair, direction, finding)


def _own_macs(pair: Comparison, point: Point) -> dict[str, tuple[_Row, str]]:
    """MACs of a node's routed tunnel devices, which do not pass frames for other MACs to a bridge."""
    found = [(row, where) for row, where in rows(pair, point, "devices") if row.get("type") in _TUNNELS]
    if any(row.get("external") or row.get("master") for row, _ in found):
        return {}
    return {row["mac"]: (row, where) for row, where in found if "mac" in row}


def _inner_mac(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """The inner destination MAC on the wire, the sender's neighbour entry, and the receiver's device."""
    used = {mac_text(mac) for mac in tunnel_ends.of(direction).dst_macs}
    own = _own_macs(pair, direction.receiver)
    near, far = node_of(direction.sender), node_of(direction.receiver)
    if not own:
        own_mac, own_text = "", ""
    elif used & set(own):
        return
    else:
        own_mac, (device, where) = next(iter(own.items()))
        own_text = f"{device['name']} of {far} has {own_mac} ({where})"
    for row, where in rows(pair, direction.sender, "neighbours"):
        if row.get("mac") in used and _over_tunnel(pair, direction.sender, row["dev"]):
            sentence = (
                f"{near} has {row['mac']} for {row['address']} ({where}: {row['text']}), which the packets "
                f"carry{f', and {own_text}' if own_text else ''}."
            )
            cause = bool(own_mac) or finding.code == "stale-tunnel-mac"  # where the packets show that it is
            yield Statement(sentence, cause, where, _renewed(near, row, own_mac) if own_mac else "")
            return
    if own_text:
        sentence = f"The packets are addressed to {', '.join(sorted(used))}, and {own_text}: it drops them."
        yield Statement(sentence, True, own_text.rpartition("(")[2].rstrip(")"))


def _over_tunnel(pair: Comparison, point: Point, device: str) -> bool:
    known = {row["name"]: row.get("type") for row, _ in rows(pair, point, "devices")}
    return known.get(device, "vxlan") in _TUNNELS


def _renewed(node: str, row: _Row, mac: str) -> str:
    address, device = row["address"], quote(row["dev"])
    state = " nud permanent" if row["state"] == "PERMANENT" else ""
    return (
        f"Write the entries for the right MAC, and restart the overlay's agent on {node}, which keeps them:"
        + commands.on(
            node,
            f"ip neigh replace {address} lladdr {mac} dev {device}{state}",
            f"bridge fdb show dev {device} | grep -i {mac}",
        )
    )


def _local(pair: Comparison, point: Point) -> set[str]:
    """The node's own addresses, as its local routing table lists them."""
    listed = (row for row, _ in rows(pair, point, "routes") if row["kind"] == "local")
    return {row["to"] for row in listed}


def _not_owned(pair: Comparison, direction: Direction) -> Iterator[Statement]:
    """An outer destination that is not an address of the receiver, and the entry that names it."""
    own = _local(pair, direction.receiver)
    near, far = node_of(direction.sender), node_of(direction.receiver)
    ends = tunnel_ends.of(direction)
    homes = {pair.cluster.node_of(address) for address in own} - {None}  # NAT: it owns another address
    foreign = [a for a in ends.destinations if a not in own and pair.cluster.node_of(a) not in homes]
    if not own or not foreign:
        return
    macs = {mac_text(mac) for mac in ends.dst_macs}
    for row, where in rows(pair, direction.sender, "bridge-fdb"):
        if row.get("dst") in foreign and row["mac"] in macs:
            text = row.get("text", f"{row['mac']} dev {row['dev']} dst {row['dst']}")
            sentence = (
                f"The forwarding entry of {near} sends {row['mac']} to {row['dst']} ({where}: {text}), which "
                f"is not an address of {far}: the routes saved there list "
                f"{', '.join(sorted(a for a in own if not a.startswith(('127.', '::1'))))[:120]}."
            )
            yield Statement(sentence, True, where, _rewritten(near, row, pair, direction))
            return
    sentence = f"The packets go to {foreign[0]}, which the routes saved on {far} do not list as its own."
    yield Statement(sentence, False, "")


def _rewritten(node: str, row: _Row, pair: Comparison, direction: Direction) -> str:
    """How to replace the entry: with the address that the receiver itself sends from, where known."""
    back = next((d for d in pair.directions if d.sender is direction.receiver), None)
    seen = tunnel_ends.of(back).sources if back is not None else {}
    right = next(iter([*direction.receiver.addresses, *seen]), "ADDRESS")
    mac, device = row["mac"], quote(row["dev"])
    lead = "Rewrite the entry, and restart the overlay's agent, which keeps it"
    lead += ":" if right != "ADDRESS" else f" (ADDRESS is that of {node_of(direction.receiver)}):"
    return lead + commands.on(
        node,
        f"bridge fdb del {mac} dev {device} dst {row['dst']}",
        f"bridge fdb append {mac} dev {device} dst {right}",
    )


def _outer_mac(pair: Comparison, direction: Direction, finding: Finding) -> Iterator[Statement]:
    """Compare the sender's neighbour entry for the receiver's outer address with the receiver's devices."""
    near, far = node_of(direction.sender), node_of(direction.receiver)
    ends = tunnel_ends.of(direction)
    macs = {row["mac"] for row, _ in rows(pair, direction.receiver, "devices") if "mac" in row}
    own = _local(pair, direction.receiver)
    for row, where in rows(pair, direction.sender, "neighbours"):
        if row["address"] not in ends.destinations:
            continue
        if row["state"] in _UNREACHED:
            sentence = f"{near} does not reach {row['address']} on the link ({where}: {row['text']})."
            yield Statement(sentence, finding.code == "path-blocked", where)
        elif macs and row["address"] in own and row.get("mac", "") not in macs:
            sentence = (
                f"{near} sends packets for {row['address']} to the MAC {row.get('mac')} ({where}), and no "
                f"device of {far} has it."
            )
            cure = f"Have {near} resolve it again:" + commands.on(
                near, f"ip neigh del {row['address']} dev {quote(row['dev'])}"
            )
            yield Statement(sentence, finding.code == "path-blocked", where, cure)
