"""Contradictory evidence of which node took which capture: reported with both sides, never resolved silently.

Cluster files assign addresses to a node by the capture's name. The packets are independent evidence: the
kernel marks what it sends, the sender's capture shows a packet earlier than the receiver's, and only the
sender's capture shows checksums that its card has yet to fill in.
"""

from vxlanalyze.kubernetes.model import Cluster, Node
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Common
from vxlanalyze.text.words import count, listed

_CLEARLY_NS = 20_000  # a packet in transit between two hosts; within one host, captures differ by less
_ENOUGH = 8  # packets that show where checksums were filled in
_SWAPPED = "it may be another node's capture"
TABLES_OR_CAPTURE = "the capture or the tables may be another node's"


def by_marks(node: Node, own: tuple[int, ...], book: AddressBook, cluster: Cluster) -> str:
    """Describe where the capturing kernel marks packets of another node as its own; "" where it does not."""
    owners = {book.texts[n]: cluster.node_of(book.texts[n]) for n in own}
    others = [f"{a} ({name})" for a, name in owners.items() if name not in (None, node.name)]
    if not others or node.name in owners.values():
        return ""
    return (
        f"{node.name} has {listed(node.addresses)} by {node.addresses_by}, but its capture marks packets of "
        f"{listed(others)} as sent by the node itself: {_SWAPPED}"
    )


def shared(node: Node, cluster: Cluster) -> str:
    """Describe where the cluster gives all addresses of a node to other nodes as well; "" elsewhere."""
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
    """Describe where the packets shared by two captures show that these are swapped; "" where they do not.

    Parameters
    ----------
    names : tuple of str
        Of the captures.
    by : str
        The source of the first one's address.
    ends : tuple of int
        An address of each one's node, according to the cluster or its tables.
    """
    late_ns, filled = -common.ahead_ns(*ends), -common.filled_later(*ends)
    shown = []
    if late_ns >= _CLEARLY_NS:
        shown.append(f"shows its packets {late_ns / 1000:,.0f} µs later than the capture {names[1]} does")
    if filled >= _ENOUGH:
        shown.append(f"shows the checksums of {count(filled, 'packet')} complete that are partial there")
    if not shown or late_ns < 0 or filled < 0:
        return ""
    return (
        f"{book.texts[ends[0]]} is {names[0]}'s by {by}, but the capture {names[0]} "
        f"{' and '.join(shown)}: {TABLES_OR_CAPTURE if 'tables' in by else _SWAPPED}"
    )
