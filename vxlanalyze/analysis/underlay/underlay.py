"""What the outer headers reveal about the underlay, so that remedies name the right setting.

Sources: IEEE registration authority (VMware 00:50:56, 00:0c:29, 00:05:69, 00:1c:14; Microsoft 00:15:5d,
00:0d:3a, 60:45:bd; Xen 00:16:3e); the MAC prefixes that Google Cloud (42:01), OpenStack (fa:16:3e) and
the Azure gateway (12:34:56:78:9a:bc) use by their documentation. Tunnel ports and VNIs: RFC 7348 (4789),
RFC 8926 (6081), flannel Documentation/backends.md (8472, VNI 1), Calico FelixConfiguration (4789, VNI 4096).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.underlay import tunnel_ends
from vxlanalyze.analysis.underlay.capturing import PROTOCOL_RULES
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW, Encryption, Flows, Tunnel
from vxlanalyze.wire.tunnels import BY_TUNNEL

_VMWARE = "VMware (ESXi or NSX)"
_VENDORS = {
    0x005056: _VMWARE,
    0x000C29: _VMWARE,
    0x000569: _VMWARE,
    0x001C14: _VMWARE,
    0x00155D: "Hyper-V",
    0x000D3A: "Azure",
    0x6045BD: "Azure",
    0x123456: "Azure",
    0xFA163E: "OpenStack",
    0x00163E: "Xen",
}
_GOOGLE = 0x4201
_OUI_SHIFT, _TWO_OCTETS_SHIFT = 24, 32
_PROTOCOL_OF = {
    Tunnel.GRE: "GRE (IP protocol 47)",
    Tunnel.NVGRE: "GRE (IP protocol 47)",
    Tunnel.IPIP: "IP in IP (IP protocol 4)",
}
_DEVICES = {
    ("flannel", Tunnel.VXLAN): "flannel.1",
    ("calico", Tunnel.VXLAN): "vxlan.calico",
    ("cilium", Tunnel.VXLAN): "cilium_vxlan",
    ("cilium", Tunnel.GENEVE): "cilium_geneve",
}
PORT_SETTINGS = {
    "flannel": "flannel: Backend.Port in net-conf.json",
    "cilium": "Cilium: the Helm value tunnelPort",
    "calico": "Calico: vxlanPort in the FelixConfiguration",
}
_LINUX_PORT, _CALICO_VNI, _FLANNEL_VNI = 8472, 4096, 1


@dataclass(frozen=True, slots=True)
class Underlay:
    """The ends of the tunnel and what carries it.

    Parameters
    ----------
    src, dst : tuple of str
        Outer addresses.
    ports : tuple of int
        Outer destination ports.
    tunnel : Tunnel
        The tunnel that most flows use.
    platform : str or None
        What the nodes run on, according to their MAC addresses.
    cni : str or None
        "flannel", "cilium" or "calico", where ports, VNIs or the cluster's files show it.
    link_type : str
        The kind of the tunnel's device for ``ip link``; "" where unknown.
    has_esp : bool
        Whether it is ESP without a tunnel in clear and without UDP.
    """

    src: tuple[str, ...]
    dst: tuple[str, ...]
    ports: tuple[int, ...]
    tunnel: Tunnel
    platform: str | None
    cni: str | None
    link_type: str
    has_esp: bool = False

    @property
    def device(self) -> str:
        """The tunnel device as the network plugin names it; DEVICE where unknown."""
        return _DEVICES.get((self.cni or "", self.tunnel), "DEVICE")

    @property
    def listing(self) -> str:
        """The command that shows the tunnel devices of a node with their settings."""
        return f"ip -d link show type {self.link_type}" if self.link_type else "ip -d link show"

    @property
    def capture_rule(self) -> str:
        """The capture filter for what the sender sends through the tunnel."""
        portless = "proto 50" if self.has_esp else PROTOCOL_RULES.get(self.tunnel, "")
        tunnel = _either([f"udp port {port}" for port in self.ports]) or portless
        return " and ".join(filter(None, (tunnel, _either([f"src host {a}" for a in self.src]))))

    @property
    def near(self) -> str:
        """An address of the sender for commands; PEER where unknown."""
        return self.src[0] if self.src else "PEER"

    @property
    def far(self) -> str:
        """An address of the receiver for commands; PEER where unknown."""
        return self.dst[0] if self.dst else "PEER"

    @property
    def port_setting(self) -> str:
        """Where the tunnel's port is set: by the plugin, or by all plugins if it is unknown."""
        if self.cni in PORT_SETTINGS:
            return PORT_SETTINGS[self.cni]
        return "; ".join(PORT_SETTINGS.values())

    @property
    def is_vmware(self) -> bool:
        """Whether a node's MAC address is VMware's."""
        return self.platform == _VMWARE

    @property
    def ports_text(self) -> str:
        """What a firewall rule allows: ``UDP 8472``, or the IP protocol of tunnels without ports."""
        if self.ports:
            return f"UDP {', '.join(map(str, self.ports))}"
        if self.has_esp:
            return "ESP (IP protocol 50)"
        return _PROTOCOL_OF.get(self.tunnel, "the tunnel's port")

    @property
    def ends_text(self) -> str:
        """The addresses as a firewall rule names them: ``from A to B``."""
        return f"from {', '.join(self.src)} to {', '.join(self.dst)}"


def of(direction: Direction, cluster: Cluster, packets: NDArray[np.bool_] | None = None) -> Underlay:
    """Infer it from the flows of a direction, or of some of its packets; `cluster` may name the plugin."""
    flows = direction.sender.flows
    used = direction.flow if packets is None else direction.flow[packets]
    rows = np.flatnonzero(np.bincount(used[used != NO_FLOW], minlength=len(flows)))
    if direction.sender.routed:
        return _of_routed(direction, rows, cluster)
    tunnelled = rows[flows.tunnel[rows] != Tunnel.NONE]
    if not len(tunnelled):
        return _encrypted(flows, rows[flows.encryption[rows] != Encryption.NONE])
    rows = tunnelled
    kinds = np.bincount(flows.tunnel[rows], minlength=1)
    macs = np.concatenate((flows.outer_src_mac[rows], flows.outer_dst_mac[rows]))
    ports = tuple(int(p) for p in np.unique(flows.outer_dport[rows]) if p)
    tunnel = Tunnel(int(kinds.argmax()))
    return Underlay(
        src=_addresses(flows.outer_src[rows], flows.outer_family[rows]),
        dst=_addresses(flows.outer_dst[rows], flows.outer_family[rows]),
        ports=ports,
        tunnel=tunnel,
        platform=_platform(macs),
        cni=_cni(ports, np.unique(flows.vni[rows]), cluster),
        link_type=_link_type(tunnel, bool(flows.inner_src_mac[rows].any())),
    )


def _of_routed(direction: Direction, rows: NDArray[np.intp], cluster: Cluster) -> Underlay:
    """Infer it for pods that talk without a tunnel: the ends are the pods themselves."""
    flows = direction.sender.flows
    return Underlay(
        src=_addresses(flows.src[rows], flows.family[rows]),
        dst=_addresses(flows.dst[rows], flows.family[rows]),
        ports=(),
        tunnel=Tunnel.NONE,
        platform=_platform(np.concatenate((flows.outer_src_mac[rows], flows.outer_dst_mac[rows]))),
        cni="cilium" if tunnel_ends.is_cilium(cluster) else None,
        link_type="",
    )


def _either(terms: Sequence[str]) -> str:
    return f"({' or '.join(terms)})" if len(terms) > 1 else "".join(terms)


def _encrypted(flows: Flows, rows: NDArray[np.intp]) -> Underlay:
    """Infer it from encrypted flows, which are all that carries the pods' traffic."""
    esp = rows[(flows.encryption[rows] == Encryption.ESP) & (flows.dport[rows] == 0)]
    macs = np.concatenate((flows.outer_src_mac[rows], flows.outer_dst_mac[rows]))
    return Underlay(
        src=_addresses(flows.src[rows], flows.family[rows]),
        dst=_addresses(flows.dst[rows], flows.family[rows]),
        ports=tuple(int(p) for p in np.unique(flows.dport[rows]) if p),
        tunnel=Tunnel.NONE,
        platform=_platform(macs),
        cni=None,
        link_type="",
        has_esp=bool(len(esp)),
    )


def _link_type(tunnel: Tunnel, frames: bool) -> str:
    """The kind of device; Linux has one for GRE that carries frames, and one for GRE that carries packets."""
    if tunnel == Tunnel.NONE:
        return ""
    return "gretap" if tunnel == Tunnel.GRE and frames else BY_TUNNEL[tunnel].link_type


def _addresses(rows: NDArray[np.uint8], family: NDArray[np.uint8]) -> tuple[str, ...]:
    if len(rows) == 0:
        return ()
    both, _ = distinct(np.column_stack((family, rows)))
    return tuple(text(both[:, 1:], both[:, 0]))


def _platform(macs: NDArray[np.uint64]) -> str | None:
    for mac in np.unique(macs).tolist():
        if (vendor := _VENDORS.get(mac >> _OUI_SHIFT)) is not None:
            return vendor
        if mac >> _TWO_OCTETS_SHIFT == _GOOGLE:
            return "Google Cloud"
    return None


def _cni(ports: tuple[int, ...], vnis: NDArray[np.uint32], cluster: Cluster) -> str | None:
    if tunnel_ends.is_cilium(cluster):
        return "cilium"
    if vnis.tolist() == [_CALICO_VNI]:
        return "calico"
    if ports != (_LINUX_PORT,):
        return None
    if vnis.tolist() == [_FLANNEL_VNI]:
        return "flannel"
    return "cilium" if len(vnis) > 1 else None  # several VNIs are the identities of the sending pods
