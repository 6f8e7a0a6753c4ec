"""What each kind of wrong outer checksum means, and what to do about it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from vxlanalyze.analysis.finding import Quantity
from vxlanalyze.analysis.integrity.forensics import Forensics, Kind
from vxlanalyze.text.words import count, listed, share

_TURN_OFF = (
    "`ethtool -K flannel.1 tx-checksum-ip-generic off` on {near} (Calico: vxlan.calico, or in the "
    "FelixConfiguration "
    '`featureDetectOverride: "ChecksumOffloadBroken=true"`; Cilium sends no outer checksum at all)'
)


@dataclass(frozen=True, slots=True)
class Said:
    """A kind in words: a clause for the summary, sentences, the remedy, and figures."""

    verdict: str
    words: str
    remedy: str
    evidence: dict[str, Quantity] = field(default_factory=dict)


def _all_ones(told: Forensics, near: str, far: str) -> Said:
    return Said(
        "all ones, as NAT makes of a checksum of zero",
        f"{share(told.of_kind, told.sampled).capitalize()} packets of a sample hold 0xFFFF, which is right "
        f"for none of them, {share(told.same_at_both, told.sampled)} at both points alike. Kernels before "
        "5.7 make that of an absent checksum (zero) when NAT rewrites the outer packet: kube-proxy's mark "
        "masquerades it a second time. Connections then open after 63 seconds, when a copy of the SYN "
        "escapes it.",
        f"On {near}, until the kernel is newer (fixed in 5.7; 5.6.13, 5.4.41, 4.19.123, 4.14.181) or "
        f"Kubernetes is (1.16.13, 1.17.9, 1.18.6): {_TURN_OFF.format(near=near)}. Let no rule masquerade "
        "the tunnel's own packets.",
    )


def _port(told: Forensics, near: str, far: str) -> Said:
    originals = listed(list(told.original_ports), at_most=4)
    seen = listed(list(told.seen_ports), at_most=4)
    how = (
        f"the capture of {near} shows these very ports, so something between the captures rewrites them"
        if told.proved
        else "one capture does not show where they are rewritten"
        if told.alone
        else f"the checksum is equal at both points, so the rewriting happens inside {near}, before the "
        "capture"
    )
    return Said(
        f"the source port was rewritten from {originals} to {seen} and the checksum left as it was",
        f"Each is right for another source port: {originals} instead of {seen}. {how[0].upper()}{how[1:]}. "
        "NAT that rewrites a port does not fold it into a checksum that the network card is to complete.",
        "Keep NAT away from the tunnel's packets (no masquerading of UDP to the tunnel's port: `iptables "
        "-t nat -S | grep MASQ`, conntrack -L -p udp), and let no card complete the checksum: "
        f"{_TURN_OFF.format(near=near)}.",
        {
            "original_source_ports": Quantity(originals),
            "arriving_source_ports": Quantity(seen),
            "original_shown_by_sender": Quantity("yes" if told.proved else "no"),
        },
    )


def _address(told: Forensics, near: str, far: str) -> Said:
    return Said(
        "an address was rewritten on the path and the checksum was not updated",
        f"The checksum is the one that {near} sent and was right there, but the outer addresses are others "
        "on arrival: something between the captures translates addresses and does not update the UDP "
        "checksum.",
        "Repair or avoid the translation between the nodes; until then send no outer checksum (`ip link "
        f"... type vxlan noudpcsum`), or {_TURN_OFF.format(near=near)}.",
    )


def _left_wrong(told: Forensics, near: str, far: str) -> Said:
    return Said(
        f"they are already invalid when they leave {near}",
        f"Both captures show the same invalid value ({share(told.same_at_both, told.sampled)} of a sample), "
        "and it is not what offload leaves in the field: a fault of the sending kernel, usually NAT "
        "together with checksum offload.",
        f"{_TURN_OFF.format(near=near)}; keep NAT away from the tunnel's packets.",
    )


def _segmented_twice(told: Forensics, near: str, far: str) -> Said:
    listing = f"ip -d link show type {told.link_type}" if told.link_type else "ip -d link show"
    return Said(
        f"{near} segments large TCP packets twice in software and copies one invalid checksum into "
        f"every segment",
        f"They come in {count(told.runs, 'run')} of up to {told.longest_run:,} consecutive segments of one "
        "flow; all segments of a run carry one and the same error, another run another one, and both "
        f"captures show the same values. {count(told.others_right, 'other packet')} of these flows "
        f"{'has' if told.others_right == 1 else 'have'} a right checksum: what is sent as a single segment "
        "is not segmented, retransmissions among it. That is how a packet looks that was merged on receipt "
        "(GRO), forwarded into the tunnel and cut a second time.",
        f"On {near}, let the kernel cut before the tunnel device and not after it. Its name (DEVICE):\n"
        f"{listing}\n"
        f"Then, on {near}:\n"
        "ethtool -K DEVICE tso off\n"
        "If checksums are still invalid, also:\n"
        "ethtool -K DEVICE gso off\n"
        "To undo it: the same commands with `on`. A kernel in which this is fixed needs neither.",
        {
            "runs_with_one_error": Quantity(told.runs, "runs"),
            "longest_run": Quantity(told.longest_run, "packets"),
            "right_in_the_same_flows": Quantity(told.others_right, "packets"),
        },
    )


def _vni(told: Forensics, near: str, far: str) -> Said:
    changes = listed([f"{before} to {after}" for before, after in told.vnis], at_most=4)
    return Said(
        f"the VNI was rewritten on the path from {changes} and the checksum was not updated",
        f"{share(told.of_kind, told.sampled).capitalize()} packets of a sample leave {near} with another VNI "
        f"than they arrive with ({changes}), under the checksum that was right there: a device between the "
        "captures translates VNIs, or damages them, and does not update the UDP checksum.",
        f"Find what changes the VNI between {near} and {far} (a VXLAN gateway or switch that translates "
        "segments, an offloading card), and take the tunnel out of its way; compare a frame of both "
        f"captures byte by byte. Without an outer checksum (`ip link ... type vxlan noudpcsum`), {far} would "
        "still drop what carries a VNI that it does not have.",
        {"vni_changes": Quantity(changes)},
    )


def _covered(told: Forensics, near: str, far: str) -> Said:
    return Said(
        "bytes that they cover were changed on the path",
        f"The checksum is the one that {near} sent and was right there, with the same outer addresses and "
        "ports: something changed the tunnel header or the inner headers and did not update the checksum.",
        "Look for devices between the nodes that rewrite what is inside UDP (a firewall with inspection, a "
        "load balancer, an offloading card), and compare a frame of both captures byte by byte.",
    )


def _filled_wrong(told: Forensics, near: str, far: str) -> Said:
    return Said(
        "a network card or hypervisor between the captures writes invalid ones",
        f"They are not invalid in the capture of {near} (right, absent or left to the card), and wrong on "
        f"arrival: what fills in or rewrites checksums between the two captures computes them wrongly.",
        f"On {near}, turn off tunnel offload of the network card: `ethtool -K <nic> "
        "tx-udp_tnl-csum-segmentation off tx-udp_tnl-segmentation off tx-checksum-ip-generic off`; if that "
        "cures it, update the card's firmware and driver, or the hypervisor (vmxnet3: ESXi, Linux 5.14 or "
        "later).",
    )


def _never_filled(told: Forensics, near: str, far: str) -> Said:
    return Said(
        "they were never completed",
        "They arrive as the sending kernel left them for its network card, with the sum of the pseudo-header "
        "only, and nothing of these flows is answered: the card promised to complete them and did not.",
        f"On {near}, do not leave it to the card: `ethtool -K <nic> tx-checksum-ip-generic off` (or "
        f"tx-udp_tnl-csum-segmentation off); or {_TURN_OFF.format(near=near)}.",
    )


def _untold(told: Forensics, near: str, far: str) -> Said:
    return Said(
        "a capture at the sender would show where they become invalid",
        "Neither all ones nor a rewritten port explains them. One capture does not show whether they left "
        "like this.",
        "Capture at the sender as well and give both: the comparison separates a fault of its "
        "kernel from one "
        f"of its network card or of the path. Until then: {_TURN_OFF.format(near=near)}.",
    )


KINDS: dict[Kind, Callable[[Forensics, str, str], Said]] = {
    Kind.ALL_ONES: _all_ones,
    Kind.PORT: _port,
    Kind.ADDRESS: _address,
    Kind.LEFT_WRONG: _left_wrong,
    Kind.SEGMENTED_TWICE: _segmented_twice,
    Kind.VNI: _vni,
    Kind.COVERED: _covered,
    Kind.FILLED_WRONG: _filled_wrong,
    Kind.NEVER_FILLED: _never_filled,
    Kind.UNTOLD: _untold,
}
