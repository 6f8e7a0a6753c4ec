"""What each kind of invalid outer checksum means, and what to do about it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from vxlanalyze.analysis.finding import Quantity
from vxlanalyze.analysis.integrity.forensics import ChecksumKind, Forensics
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, share


class ChecksumCase(NamedTuple):
    """The case at hand: what the sample shows, the names of both nodes, and what carries the packets."""

    shows: Forensics
    near: str
    far: str
    below: Underlay


@dataclass(frozen=True, slots=True)
class Description:
    """A kind in words: a clause for the summary, sentences, the remedy, and figures."""

    verdict: str
    words: str
    remedy: str
    evidence: dict[str, Quantity] = field(default_factory=dict)


def _compute_in_kernel(case: ChecksumCase) -> str:
    """Have the sender's kernel compute what its tunnel device leaves to the card, and how to undo it."""
    below, device = case.below, case.below.device
    return written(
        "" if device != "DEVICE" else f"The name of the tunnel device of {case.near} (DEVICE):",
        "" if device != "DEVICE" else on(case.near, below.listing),
        "Have the kernel compute outer checksums instead of the network card:",
        on(case.near, f"ethtool -K {device} tx-checksum-ip-generic off"),
        "To undo it:",
        on(case.near, f"ethtool -K {device} tx-checksum-ip-generic on"),
        'To make it last, set featureDetectOverride: "ChecksumOffloadBroken=true" in Felix.'
        if below.cni == "calico"
        else "",
    )


def _offload_off(case: ChecksumCase, *features: str) -> str:
    """Turn features of the sender's network card off, and how to undo it."""
    near = case.near

    def switched(state: str) -> str:
        return on(near, f"ethtool -K NIC {' '.join(f'{name} {state}' for name in features)}")

    return written(
        f"On {near}, turn off tunnel offload of the network card (NIC, the device named in the route):",
        on(near, f"ip route get {case.below.far}"),
        switched("off"),
        "To undo it:",
        switched("on"),
    )


def _all_ones(case: ChecksumCase) -> Description:
    shows = case.shows
    return Description(
        "all ones, as NAT makes of a checksum of zero",
        f"{share(shows.of_kind, shows.sampled).capitalize()} packets of a sample hold 0xFFFF, which is right "
        f"for none of them, {share(shows.same_at_both, shows.sampled)} at both points alike. Kernels before "
        "5.7 make that of an absent checksum (zero) when NAT rewrites the outer packet: kube-proxy's mark "
        "masquerades it a second time. Connections then open after 63 seconds, when a copy of the SYN "
        "escapes it.",
        written(
            _compute_in_kernel(case),
            "This is needed until the kernel is newer (fixed in 5.7; 5.6.13, 5.4.41, 4.19.123, 4.14.181) or "
            "Kubernetes is (1.16.13, 1.17.9, 1.18.6). Let no rule masquerade the tunnel's own packets.",
        ),
    )


def _port(case: ChecksumCase) -> Description:
    shows, near = case.shows, case.near
    originals = listed(list(shows.original_ports), at_most=4)
    seen = listed(list(shows.seen_ports), at_most=4)
    how = (
        f"The capture of {near} shows these very ports, so something between the captures rewrites them"
        if shows.proved
        else "One capture does not show where they are rewritten"
        if shows.alone
        else f"The checksum is equal at both points, so the rewriting happens inside {near}, before the "
        "capture"
    )
    port = f" --dport {case.below.ports[0]}" if case.below.ports else ""
    return Description(
        f"the source port was rewritten from {originals} to {seen} and the checksum left as it was",
        f"Each is valid for another source port: {originals} instead of {seen}. {how}. NAT that rewrites a "
        "port does not fold it into a checksum that the network card is to complete.",
        written(
            f"On {near}, find the rule that translates the tunnel's own packets, and exempt them:",
            on(near, "iptables-save -t nat | grep -E 'MASQUERADE|SNAT'", f"conntrack -L -p udp{port}"),
            _compute_in_kernel(case),
        ),
        {
            "original_source_ports": Quantity(originals),
            "arriving_source_ports": Quantity(seen),
            "original_shown_by_sender": Quantity("yes" if shows.proved else "no"),
        },
    )


def _address(case: ChecksumCase) -> Description:
    return Description(
        "an address was rewritten on the path and the checksum was not updated",
        f"The checksum is the one that {case.near} sent and was right there, but the outer addresses are "
        "others on arrival: something between the captures translates addresses and does not update the UDP "
        "checksum.",
        written(
            "Repair or avoid the address translation between the nodes. Until then, let the tunnel device of "
            f"{case.near} send no outer checksum (option noudpcsum when the device is made). Which one it "
            "has now:",
            on(case.near, case.below.listing),
        ),
    )


def _left_wrong(case: ChecksumCase) -> Description:
    shows = case.shows
    return Description(
        f"they are already invalid when they leave {case.near}",
        f"Both captures show the same invalid value ({share(shows.same_at_both, shows.sampled)} of a "
        "sample), and it is not what offload leaves in the field: a fault of the sending kernel, usually "
        "NAT together with checksum offload.",
        written(
            _compute_in_kernel(case),
            "Exempt the tunnel's packets from NAT. The rules that may translate them:",
            on(case.near, "iptables-save -t nat | grep -E 'MASQUERADE|SNAT'"),
        ),
    )


def _segmented_twice(case: ChecksumCase) -> Description:
    shows, near = case.shows, case.near
    return Description(
        f"{near} segments large TCP packets twice in software and copies one invalid checksum into "
        f"every segment",
        f"They come in {count(shows.runs, 'run')} of up to {shows.longest_run:,} consecutive segments of one "
        "flow; all segments of a run carry one and the same error, another run another one, and both "
        f"captures show the same values. {count(shows.others_right, 'other packet')} of these flows "
        f"{'has' if shows.others_right == 1 else 'have'} a right checksum: what is sent as a single segment "
        "is not segmented, retransmissions among it. That is how a packet looks that was merged on receipt "
        "(GRO), forwarded into the tunnel and segmented a second time.",
        written(
            f"On {near}, let the kernel segment packets before the tunnel device (DEVICE), not after it:",
            on(near, case.below.listing),
            "Then:",
            on(near, "ethtool -K DEVICE tso off"),
            "If checksums are still invalid, also:",
            on(near, "ethtool -K DEVICE gso off"),
            "To undo it:",
            on(near, "ethtool -K DEVICE tso on gso on"),
            "A kernel with the fix needs neither.",
        ),
        {
            "runs_with_one_error": Quantity(shows.runs, "runs"),
            "longest_run": Quantity(shows.longest_run, "packets"),
            "right_in_the_same_flows": Quantity(shows.others_right, "packets"),
        },
    )


def _vni(case: ChecksumCase) -> Description:
    shows, near, far = case.shows, case.near, case.far
    changes = listed([f"{before} to {after}" for before, after in shows.vnis], at_most=4)
    return Description(
        f"the VNI was rewritten on the path from {changes} and the checksum was not updated",
        f"{share(shows.of_kind, shows.sampled).capitalize()} packets of a sample leave {near} with another "
        f"VNI than they arrive with ({changes}), under the checksum that was right there: a device between "
        "the captures translates VNIs, or damages them, and does not update the UDP checksum.",
        f"Find what changes the VNI between {near} and {far} (a VXLAN gateway or switch that translates "
        "segments, an offloading card), and take the tunnel out of its path; compare a frame of both "
        f"captures byte by byte. Sending no outer checksum does not help: {far} would still drop what "
        "carries a VNI that it does not have.",
        {"vni_changes": Quantity(changes)},
    )


def _covered(case: ChecksumCase) -> Description:
    return Description(
        "bytes that they cover were changed on the path",
        f"The checksum is the one that {case.near} sent and was right there, with the same outer addresses "
        "and ports: something changed the tunnel header or the inner headers and did not update the "
        "checksum.",
        "Look for devices between the nodes that rewrite what is inside UDP (a firewall with inspection, a "
        "load balancer, an offloading card), and compare a frame of both captures byte by byte.",
    )


def _filled_wrong(case: ChecksumCase) -> Description:
    return Description(
        "a network card or hypervisor between the captures writes invalid ones",
        f"They are not invalid in the capture of {case.near} (right, absent or left to the card), and wrong "
        "on arrival: what fills in or rewrites checksums between the two captures computes them wrongly.",
        written(
            _offload_off(case, "tx-udp_tnl-csum-segmentation", "tx-udp_tnl-segmentation", "tx"),
            "If that fixes it, update the card's firmware and driver, or the hypervisor (vmxnet3: ESXi, "
            "Linux 5.14 or later).",
        ),
    )


def _never_filled(case: ChecksumCase) -> Description:
    return Description(
        "they were never completed",
        "They arrive as the sending kernel left them for its network card, with the sum of the pseudo-header "
        "only, and nothing of these flows is answered: the card promised to complete them and did not.",
        written(
            _offload_off(case, "tx-udp_tnl-csum-segmentation", "tx"),
            "If the card does not let them be changed:",
            _compute_in_kernel(case),
        ),
    )


def _unknown(case: ChecksumCase) -> Description:
    return Description(
        "a capture at the sender would show where they become invalid",
        "Neither all ones nor a rewritten port explains them. One capture does not show whether they left "
        "like this.",
        written(
            f"Capture at {case.near} as well and give both: the comparison separates a fault of its kernel "
            "from one of its network card or of the path. Until then:",
            _compute_in_kernel(case),
        ),
    )


KINDS: dict[ChecksumKind, Callable[[ChecksumCase], Description]] = {
    ChecksumKind.ALL_ONES: _all_ones,
    ChecksumKind.PORT: _port,
    ChecksumKind.ADDRESS: _address,
    ChecksumKind.LEFT_WRONG: _left_wrong,
    ChecksumKind.SEGMENTED_TWICE: _segmented_twice,
    ChecksumKind.VNI: _vni,
    ChecksumKind.COVERED: _covered,
    ChecksumKind.FILLED_WRONG: _filled_wrong,
    ChecksumKind.NEVER_FILLED: _never_filled,
    ChecksumKind.UNKNOWN: _unknown,
}
