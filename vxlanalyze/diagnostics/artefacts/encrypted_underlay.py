"""The nodes talk to each other encrypted: ESP or WireGuard instead of the tunnel, or around it.

What it checks
    Do the captured nodes exchange encrypted packets?
Why it matters
    The content cannot be read: neither the pods, nor the protocol, nor the tunnel. Many checks then have no
    result, which must not be mistaken for a healthy network.
How it decides
    ESP is a separate IP protocol (50), or is carried in UDP on port 4500; WireGuard is recognised by its
    message types, their lengths and the zeros in their headers. Packets count whose addresses belong to
    captured nodes, or that more than one capture shows.
When it cannot tell
    Other encryption (TLS, QUIC, MACsec on the link) is not checked.
What looks like it
    A VPN of a pod, whose packets are inside the tunnel; encrypted traffic of a node with a third party.
What to do
    Capture where the packets are not encrypted: on the WireGuard device (`tcpdump -i cilium_wg0`,
    `wireguard.cali`), or on the pods' interfaces for IPsec. The MTU must leave room: WireGuard takes 60 bytes
    over IPv4 and 80 over IPv6, ESP in tunnel mode 57 to 77 over IPv4.
Sources
    RFC 4303 (ESP); RFC 3948 (ESP in UDP); WireGuard protocol, https://www.wireguard.com/protocol/; Calico
    documentation, "Configure MTU"; cilium issue 27227.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, Severity
from vxlanalyze.analysis.loss import path_mtu
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Encryption, Tunnel

CODE = "encrypted-underlay"
_NAMES = {Encryption.ESP: "ESP", Encryption.WIREGUARD: "WireGuard"}
Ends = tuple[str, str]


class _Seen(NamedTuple):
    """Packets of one kind between two addresses, by the captures that show them."""

    kind: Encryption
    ends: Ends  # in text order, whichever end sends
    packets: dict[str, int]


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for encrypted packets between the nodes in all captures."""
    points = list({p.capture: p for p in pair.points}.values())
    found: dict[tuple[Encryption, Ends], _Seen] = {}
    for point in points:
        for kind, ends, packets in _encrypted(point):
            seen = found.setdefault((kind, ends), _Seen(kind, ends, {}))
            seen.packets[point.name] = seen.packets.get(point.name, 0) + packets
    nodes = {address for point in pair.points for address in point.addresses}
    between = [s for s in found.values() if set(s.ends) <= nodes or len(s.packets) > 1 or len(points) == 1]
    return [_finding(pair, points, between)] if between else []


def _encrypted(point: Point) -> list[tuple[Encryption, Ends, int]]:
    flows, packets = point.flows, point.decoded.usage.packets
    rows = np.flatnonzero(
        (flows.encryption != Encryption.NONE) & (packets > 0) & (flows.tunnel == Tunnel.NONE)
    )
    sources, targets = text(flows.src[rows], flows.family[rows]), text(flows.dst[rows], flows.family[rows])
    return [
        (Encryption(int(flows.encryption[row])), (min(a, b), max(a, b)), int(packets[row]))
        for row, a, b in zip(rows, sources, targets, strict=True)
    ]


def _clear_tunnel(points: list[Point]) -> int:
    """Largest number of cleartext tunnel packets in any capture."""
    held = []
    for point in points:
        packets = point.decoded.usage.packets
        held.append(int(packets[point.flows.tunnel != Tunnel.NONE].sum()))
    return max(held)


def _finding(pair: Comparison, points: list[Point], between: list[_Seen]) -> Finding:
    between = sorted(between, key=lambda seen: -max(seen.packets.values()))
    kind, (a, b) = between[0].kind, between[0].ends
    kinds = listed(sorted({_NAMES[seen.kind] for seen in between}))
    total = sum(max(seen.packets.values()) for seen in between)
    clear = _clear_tunnel(points)
    name = _NAMES[kind]
    unencrypted = (
        f"{count(clear, 'tunnel packet')} go unencrypted next to them and are judged as usual."
        if clear
        else "No tunnel packet goes in clear, so the overlay itself is inside or not used."
    )
    shown = exhibits.of_rows(pair, [(p, _rows(p)) for p in points])
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        summary=f"{name} goes between {pair.cluster.named(a)} and {pair.cluster.named(b)} "
        f"({count(total, 'packet')}): "
        + ("next to the tunnel" if clear else "what is inside cannot be judged"),
        explanation=f"{count(total, 'packet')} between the nodes are encrypted ({kinds}). {unencrypted} Of "
        "encrypted packets, arrival, loss, size, order and delay can be judged; pods, inner protocols, "
        "checksums, names and drops inside a node cannot.",
        remedy="To look inside, capture before encryption: on the WireGuard device (Cilium cilium_wg0, "
        f"Calico wireguard.cali) or on the pods' interfaces. Leave room in the MTU: {name} takes "
        f"{path_mtu.cost(kind, 6 if ':' in a else 4)}.",
        evidence={
            "encrypted": Quantity(total, "packets"),
            "kind": Quantity(kinds),
            "tunnel_packets_in_clear": Quantity(clear, "packets"),
        },
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _rows(point: Point) -> NDArray[np.int32]:
    encrypted = (point.flows.encryption != Encryption.NONE) & (point.flows.tunnel == Tunnel.NONE)
    return rows_of(point.index.flow, encrypted)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
