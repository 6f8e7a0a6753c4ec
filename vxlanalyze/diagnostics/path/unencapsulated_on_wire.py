"""`not-encapsulated` for packets that pass a network card without a tunnel and never arrive.

Sources: Calico documentation, "eBPF dataplane" and FAQ (the host side of every pod interface has the MAC
ee:ee:ee:ee:ee:ee); calico issue 13191 (a reply sent out of the network card as a raw frame); Amazon EC2
documentation, "source/destination checking"; Calico `vxlanMode`, Cilium `routingMode`.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.underlay import native, underlay
from vxlanalyze.analysis.underlay.native import Unseen
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import anywhere, on
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import mac_text, text

CODE = "not-encapsulated"
_MOST_NAMED = 3
_CALICO_HOST_SIDE = 0xEEEEEEEEEEEE


def findings(pair: Comparison, chance: float) -> Iterator[Finding]:
    """Report each direction whose node sends packets of pods without a tunnel, none of which arrives.

    `chance` is the accepted false alarm probability, for a node that misroutes one packet in fifty.
    """
    for found in native.unseen(pair):
        direction = _direction(pair, found)
        rows = rows_of(found.point.index.flow, _mask(found))
        if direction is not None and silence.chance(len(rows), len(rows)) < chance:
            yield _finding(pair, direction, found, rows)


def _direction(pair: Comparison, found: Unseen) -> Direction | None:
    for direction in pair.directions:
        ends = (direction.sender.capture, direction.receiver.capture)
        if ends == (found.point.capture, found.other.capture):
            return direction
    return None


def _mask(found: Unseen) -> NDArray[np.bool_]:
    mask = np.zeros(len(found.point.flows), np.bool_)
    mask[found.flows] = True
    return mask


def _finding(pair: Comparison, direction: Direction, found: Unseen, rows: NDArray[np.int32]) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    by, to = (_named(pair, found, end) for end in ("src", "dst"))
    macs = _macs(found)
    shown = exhibits.of_rows(pair, [(found.point, rows)])
    what = "answers" if found.answers.all() else "packets"
    ignored = bool(found.to_tunnel.all())
    end = f"no client acknowledges any of {count(len(rows), 'packet')}"
    if not ignored:
        end = f"none of {count(len(rows), 'packet')} reaches {far}"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{near} sends the {what} of {listed(by, _MOST_NAMED)} to {listed(to, _MOST_NAMED)} "
        f"unencapsulated, to the MAC {listed(macs, _MOST_NAMED)}, and {end}",
        explanation=_explanation(found, direction, len(rows), _nobody(found)),
        remedy=_remedy(pair, direction, found),
        evidence={
            "packets": Quantity(len(rows), "packets"),
            "answers": Quantity(int(found.answers.sum()), "flows"),
            "destinations": Quantity(len(to), "addresses"),
            "destination_mac": Quantity(", ".join(macs)),
        },
        ruled_out=(
            RuledOut("path-blocked", "these packets never left in the tunnel"),
            RuledOut(
                "packet-loss",
                "none of these connections goes on, not some"
                if ignored
                else f"all of them are missing at {far}, not some",
            ),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _named(pair: Comparison, found: Unseen, end: str) -> list[str]:
    """Name the addresses at one end of the flows, those with the most flows first."""
    flows = found.point.flows
    rows = np.column_stack([flows.family, getattr(flows, end)])[found.flows]
    names, of = distinct(rows)
    order = np.argsort(-np.bincount(of), kind="stable")
    return [pair.cluster.named(a) for a in text(names[order, 1:], names[order, 0])]


def _macs(found: Unseen) -> list[str]:
    return [mac_text(int(mac)) for mac in np.unique(found.point.flows.outer_dst_mac[found.flows])]


def _nobody(found: Unseen) -> bool:
    """Whether the packets go to a MAC that no other packet of either capture comes from or goes to."""
    mine = found.point.flows.outer_dst_mac[found.flows]
    for point in (found.point, found.other):
        flows, used = point.flows, point.decoded.usage.used.copy()
        if point is found.point:
            used[found.flows] = False
        if np.isin(mine, np.append(flows.outer_src_mac[used], flows.outer_dst_mac[used])).any():
            return False
    return True


def _explanation(found: Unseen, direction: Direction, packets: int, nobody: bool) -> str:
    near, far = direction.sender.name, direction.receiver.name
    text = f"{count(packets, 'packet')} between pods pass the network card of {near} without a tunnel"
    if found.to_tunnel.all():
        text += (
            f", although they answer connection requests that came from {far} through it. None of these "
            "connections goes on: the clients acknowledge nothing, so no answer reaches them. "
        )
    else:
        text += f", and {far}'s capture, which shows unencapsulated packets too, holds none of them. "
    if (found.answers & ~found.to_tunnel).any():
        text += (
            f"They answer requests that {far} sent unencapsulated and that did reach {near}: forward and "
            "reverse direction take different paths. "
        )
    if nobody:
        text += "Nothing else in either capture comes from or goes to that destination MAC"
        raw = _CALICO_HOST_SIDE in found.point.flows.outer_dst_mac[found.flows].tolist()
        text += (
            ": Calico gives it to the host side of every pod interface, so the pod's own frame was put on "
            "the wire as it was, and no switch delivers it. "
            if raw
            else ", so no device on that link takes them. "
        )
    tunnelled = int(np.count_nonzero(direction.delivered))
    if tunnelled:
        text += f"Meanwhile {count(tunnelled, 'tunnel packet')} {direction.label} arrived."
    return text.rstrip()


def _remedy(pair: Comparison, direction: Direction, found: Unseen) -> str:
    near, far = direction.sender.name, direction.receiver.name
    flows, first = found.point.flows, found.flows[:1]
    target, source = (text(a[first], flows.family[first])[0] for a in (flows.dst, flows.src))
    if _CALICO_HOST_SIDE in flows.outer_dst_mac[found.flows].tolist():
        return (
            f"{near}'s eBPF program sends answers out of the interface that the request came in by, though "
            "the route back is the tunnel device. Make both directions take one path: compare the two routes."
            + on(near, f"ip route get {target}")
            + on(far, f"ip route get {source}")
            + "\nEither give the pods of both nodes the same way (all in the tunnel, or all routed by BGP), "
            "or use a calico-node with the repair (calico pull requests 13637 and 13264), or the iptables "
            "dataplane."
        )
    modes = {
        "calico": "Calico: vxlanMode: Always instead of CrossSubnet in the IPPool",
        "cilium": "Cilium: routingMode tunnel, without autoDirectNodeRoutes",
        "flannel": 'flannel: "DirectRouting": false in the Backend of net-conf.json',
    }
    cni = underlay.of(direction, pair.cluster).cni
    setting = modes[cni] if cni in modes else "; ".join(modes.values())
    return (
        f"{near} routes to {target} without encapsulation; compare what the two nodes do."
        + on(near, f"ip route get {target}")
        + on(far, f"ip route get {source}")
        + "\nEither let the network between them pass pod addresses (OpenStack: allowed-address-pairs; "
        f"EC2, for every node, what follows), or encapsulate always ({setting})."
        + anywhere("aws ec2 modify-instance-attribute --instance-id ID --no-source-dest-check")
    )
