"""Sizes on the path: what a limit on outer packets leaves for the pods, with the arithmetic.

Sources: RFC 7348 section 4.3 and section 5 (what VXLAN adds), RFC 8926 section 3.4 (Geneve and its options),
RFC 8200 section 5 (every IPv6 link carries 1280 bytes), the WireGuard white paper section 5.4 (32 bytes of
data message, next to UDP and IP); flannel Documentation/backends.md, Cilium Helm reference, Calico
"Configure MTU" (the settings).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.hypotheses import SMALLEST_LIKELY_MTU
from vxlanalyze.analysis.underlay import routed_pods, underlay
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text import commands
from vxlanalyze.wire import protocols
from vxlanalyze.wire.model import Anomaly, Encryption, Flows, Tunnel
from vxlanalyze.wire.tunnels import BY_TUNNEL

_IP_BYTES = {4: 20, 6: 40}
_UDP_BYTES, _ETHERNET_BYTES = 8, 14
_WIREGUARD = (32, "WireGuard")
_ESP = (37, "ESP in tunnel mode with AES-GCM, padding included")  # RFC 4303, RFC 4106: 8 + 8 + 5 + 16
_FRAGMENT_HEADER_BYTES = 8
_FRAGMENTED = np.uint32((Anomaly.FIRST_FRAGMENT | Anomaly.REASSEMBLED).value)
_CBC_MORE = 20  # its initialisation vector, and padding to whole blocks, with a digest of 16 bytes
_WIREGUARD_BYTES = {4: 60, 6: 80}
_USUAL_LINK = 1500
LARGEST_FRAME = 9216  # what switches call jumbo; longer captured frames are not yet segmented


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the tunnel adds to an inner IP packet; `text` shows the sum: ``20 IPv4 + 8 UDP + ...``."""

    bytes: int
    text: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Bounds on the largest outer packet that passes, in bytes of IP length.

    `passes` is the largest known to pass, `blocked` the smallest known not to (None where the limit
    itself is known, and `passes` is it). `measured` is what fragments of the opposite direction show the link
    to carry, where that lies between the two.
    """

    passes: int
    blocked: int | None
    overhead: Overhead
    inner_ipv6: bool
    measured: int | None = None

    @property
    def text(self) -> str:
        """The limit in words."""
        if self.blocked is None or self.blocked == self.passes + 1:
            return f"{self.passes:,} bytes"
        return f"between {self.passes:,} and {self.blocked - 1:,} bytes"

    @property
    def inner_mtu(self) -> int:
        """Inner MTU that is safe to set: what passes, but at least what every link carries."""
        safe = self.measured or self.passes
        if self.blocked is not None and self.blocked > SMALLEST_LIKELY_MTU:
            safe = max(safe, SMALLEST_LIKELY_MTU)
        inner = safe - self.overhead.bytes
        if self.inner_ipv6 and inner < SMALLEST_LIKELY_MTU <= self.inner_mtu_at_most:
            return SMALLEST_LIKELY_MTU
        return inner

    @property
    def inner_mtu_at_most(self) -> int:
        """Largest inner MTU that may work."""
        return (self.passes if self.blocked is None else self.blocked - 1) - self.overhead.bytes

    @property
    def added(self) -> str:
        """List what encapsulates the packets of pods, and the sum; "" where nothing is known to."""
        if not self.overhead.bytes:
            return ""
        added = f"What surrounds a pod's packet takes {self.overhead.bytes} bytes"
        return f"{added} ({self.overhead.text}): {self.arithmetic}"

    @property
    def arithmetic(self) -> str:
        """The sum that leads to the inner MTU: ``1,450 - 50 (20 IPv4 + ...) = 1,400``."""
        inner, added = self.inner_mtu, self.overhead
        if added.bytes == 0:
            return f"{inner:,} bytes"
        whole = inner + added.bytes
        known = "" if whole <= self.passes else " (not seen, but usual for every link)"
        if self.measured == whole:
            known = " (as fragments in the opposite direction show)"
        return f"{whole:,}{known} - {added.bytes} ({added.text}) = {inner:,}"


def limit(direction: Direction, packets: NDArray[np.bool_], passes: int, blocked: int | None) -> Limit:
    """State the bounds of a limit; the overhead is that of the given packets."""
    flows = direction.sender.flows
    inner_ipv6 = bool((flows.family[np.unique(direction.flow[packets])] == 6).any())
    return Limit(passes, blocked, overhead(direction, packets), inner_ipv6)


def overhead(direction: Direction, packets: NDArray[np.bool_]) -> Overhead:
    """Measure the largest encapsulation around the inner IP packets of some packets."""
    outer, inner = direction.outer_length[packets].astype(np.int64), direction.length[packets]
    if len(outer) == 0 or not outer.any():
        return _encrypted(direction, packets)
    widest = int(np.argmax(outer - inner))
    flows, row = direction.sender.flows, int(direction.flow[packets][widest])
    family, tunnel = int(flows.outer_family[row]), BY_TUNNEL[Tunnel(int(flows.tunnel[row]))]
    total = int(outer[widest]) - int(inner[widest])
    if family == 6 and direction.sender.index.anomalies[direction.sent_row[packets][widest]] & _FRAGMENTED:
        total -= _FRAGMENT_HEADER_BYTES  # only fragmented packets have it
    around = [(_IP_BYTES[family], f"IPv{family}")]
    if flows.outer_protocol[row] == protocols.UDP:
        around.append((_UDP_BYTES, "UDP"))
    inside = [(_ETHERNET_BYTES, "inner Ethernet")] if flows.inner_src_mac[row] != 0 else []
    rest = total - sum(size for size, _ in around + inside)
    own = rest if tunnel.header_bytes is None else tunnel.header_bytes
    parts = [*around, (own, tunnel.title), *inside, (rest - own, tunnel.options)]
    return Overhead(total, " + ".join(f"{size} {name}" for size, name in parts if size > 0))


def _encrypted(direction: Direction, packets: NDArray[np.bool_]) -> Overhead:
    """Overhead of WireGuard or ESP if the packets themselves are encrypted; otherwise none."""
    flows, rows = direction.sender.flows, np.unique(direction.flow[packets])
    # A WireGuard message as long as the MTU is not padded, so its length may not identify it.
    sealed = np.flatnonzero(flows.encryption != Encryption.NONE)
    sealed = sealed[np.isin(_ends(flows, sealed), _ends(flows, rows[flows.tunnel[rows] == Tunnel.NONE]))]
    if not len(sealed):
        return Overhead(0, "")
    row = int(sealed[0])
    family = int(flows.family[row])
    around = [(_IP_BYTES[family], f"IPv{family}")]
    if flows.protocol[row] == protocols.UDP:
        around.append((_UDP_BYTES, "UDP"))
    own = _WIREGUARD if flows.encryption[row] == Encryption.WIREGUARD else _ESP
    parts = [*around, own]
    return Overhead(sum(size for size, _ in parts), " + ".join(f"{size} {name}" for size, name in parts))


def _ends(flows: Flows, rows: NDArray[np.intp]) -> NDArray[np.void]:
    """Addresses, protocol and ports of some flows as one value each."""
    ports = np.column_stack((flows.protocol[rows].astype(np.uint16), flows.sport[rows], flows.dport[rows]))
    octets = np.ascontiguousarray(ports).view(np.uint8).reshape(len(rows), ports.shape[1] * ports.itemsize)
    both = np.ascontiguousarray(np.column_stack((flows.src[rows], flows.dst[rows], octets)))
    return both.view(np.dtype((np.void, both.shape[1]))).ravel()


def cost(kind: Encryption, family: int) -> str:
    """State the overhead of encryption per packet over IPv4 (4) or IPv6 (6)."""
    if kind is Encryption.WIREGUARD:
        return f"{_WIREGUARD_BYTES[family]} bytes"
    least = _IP_BYTES[family] + _ESP[0]
    return f"{least} bytes in tunnel mode with AES-GCM, up to {least + _CBC_MORE} with AES-CBC"


def encryption(direction: Direction) -> str:
    """State the overhead of encryption between the nodes, if the sender's capture shows it."""
    flows = direction.sender.flows
    for kind, name in ((Encryption.WIREGUARD, "WireGuard"), (Encryption.ESP, "IPsec (ESP)")):
        sealed = flows.encryption == kind
        if not sealed.any():
            continue
        family = 6 if (flows.family[sealed] == 6).any() else 4
        room = _USUAL_LINK - _WIREGUARD_BYTES[family]
        leaves = f", so a link of 1,500 bytes leaves {room:,}" if kind is Encryption.WIREGUARD else ""
        return f"{name} runs between the nodes: it adds {cost(kind, family)} around what enters it{leaves}. "
    return ""


_PLUGINS = ("calico", "flannel", "cilium")
_PLUGINS_OF = {
    Tunnel.GENEVE: ("cilium", "antrea", "ovn"),
    Tunnel.GRE: ("antrea",),
    Tunnel.NVGRE: ("antrea",),
    Tunnel.IPIP: ("calico", "flannel"),
}


def settings(pair: Comparison, direction: Direction, found: Limit) -> str:
    """Name the setting that lowers the inner MTU in the network plugin that the packets suggest."""
    inner, path = found.inner_mtu, found.inner_mtu + found.overhead.bytes
    if direction.sender.routed:
        return routed_pods.mtu(inner)
    below = underlay.of(direction, pair.cluster)
    of_device = "ipipMTU" if below.tunnel == Tunnel.IPIP else "vxlanMTU"
    if found.overhead.text.endswith(_WIREGUARD[1]):
        of_device = "wireguardMTU (IPv6: wireguardMTUV6)"
    texts = {
        "calico": f"Calico: mtu: {inner} under calicoNetwork of the Installation, or {of_device} in the "
        "FelixConfiguration",
        "flannel": f'flannel: "MTU": {path} in the Backend of net-conf.json (it subtracts the '
        "overhead itself)",
        "cilium": f"Cilium: the Helm value MTU={path} (it subtracts the overhead itself)",
        "antrea": f"Antrea: defaultMTU: {inner} in antrea-agent.conf",
        "ovn": f"OVN-Kubernetes: mtu {inner} of the cluster network",
    }
    named = (below.cni,) if below.cni in texts else _PLUGINS_OF.get(below.tunnel, _PLUGINS)
    setting = "; ".join(texts[name] for name in named)
    usual = _USUAL_LINK - found.overhead.bytes
    ethernet = ""
    if found.blocked is not None and found.blocked > _USUAL_LINK and inner < usual:
        ethernet = (
            f" If the links carry {_USUAL_LINK:,} bytes, as Ethernet does by default, {usual:,} will do."
        )
    return (
        f"Set the MTU of the pods and tunnel devices to {inner:,} on all nodes ({setting}), then restart the "
        f"pods: they keep the old MTU until then.{ethernet}"
    )


def probe(pair: Comparison, direction: Direction, found: Limit) -> str:
    """Give the commands that find the exact limit from the sending node; "" where it is known."""
    if found.blocked is None or found.blocked <= found.passes + 1:
        return ""
    below = underlay.of(direction, pair.cluster)
    node = below.dst[0] if below.dst else direction.receiver.name
    header = 48 if ":" in node else 28  # IP and ICMP echo header
    middle = (found.passes + found.blocked) // 2
    return (
        f"To find the exact limit, vary the size given to ping between {max(found.passes - header, 0)} and "
        f"{found.blocked - 1 - header} (the packet is {header} bytes of headers larger):"
        + commands.on(
            direction.sender.name, f"ping -M do -c 3 -s {middle - header} {node}", f"tracepath -n {node}"
        )
    )
