"""Evidence of whose capture is whose that contradicts itself: said with both sides, never chosen silently.

A file of the cluster gives a node its addresses by the capture's name. The packets speak for themselves: the
kernel marks what it sends, a packet is seen at its sender before it is seen where it goes, and only the
sender's capture shows checksums that its card is still to fill in.
"""

from vxlanalyze.kubernetes.model import Cluster, Node
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Common
from vxlanalyze.text.words import count, listed

_CLEARLY_NS = 20_000  # a packet on its way between two hosts; within one, captures differ by less
_ENOUGH = 8  # packets that show where checksums were filled in
_SWAPPED = "it may be another node's capture"


def by_marks(node: Node, own: tuple[int, ...], book: AddressBook, cluster: Cluster) -> str:
    """Say where the kernel that captured marks what another node sends as its own; "" where it does not."""
    owners = {book.texts[n]: cluster.node_of(book.texts[n]) for n in own}
    others = [f"{a} ({name})" for a, name in owners.items() if name not in (None, node.name)]
    if not others or node.name in owners.values():
        return ""
    return (
        f"{node.name} has {listed(node.addresses)} by {node.addresses_by}, but its capture marks packets of "
        f"{listed(others)} as sent by the node itself: {_SWAPPED}"
    )


def shared(node: Node, cluster: Cluster) -> str:
    """Say where all addresses of a node are other nodes' as well, by what the cluster says; "" elsewhere."""
    rivals = [n for n in cluster.nodes if n.name != node.name and set(n.addresses) & set(node.addresses)]
    if not node.addresses or set(node.addresses) - {a for rival in rivals for a in rival.addresses}:
        return ""
    also = [f"{rival.name} by {rival.addresses_by}" for rival in rivals]
    return (
        f"{listed(node.addresses)} is an address of {node.name} by {node.addresses_by}, and of "
        f"{listed(also)}: which node is meant cannot be determined"
    )


def by_packets(
    names: tuple[str, str], by: str, ends: tuple[int, int], common: Common, book: AddressBook
) -> str:
    """Say where the packets that two captures share show that each is the other's; "" where they do not.

    Parameters
    ----------
    names : tuple of str
        Of the captures.
    by : str
        What gives the first one its address.
    ends : tuple of int
        An address of each one's node, by what the cluster or its tables say.
    """
    late_ns, filled = -common.ahead_ns(*ends), -common.filled_after(*ends)
    shown = []
    if late_ns >= _CLEARLY_NS:
        shown.append(f"shows its packets {late_ns / 1000:,.0f} µs later than the capture {names[1]} does")
    if filled >= _ENOUGH:
        shown.append(f"shows the checksums of {count(filled, 'packet')} complete that are partial there")
    if not shown or late_ns < 0 or filled < 0:
        return ""
    return (
        f"{book.texts[ends[0]]} is {names[0]}'s by {by}, but the capture {names[0]} "
        f"{' and '.join(shown)}: {_SWAPPED}"
    )
