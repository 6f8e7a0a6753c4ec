"""What to call the node that has an address, in commands for it."""

from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.places import node_name


def node_at(pair: Comparison, address: str) -> str:
    """Name the node that has an outer address: as its capture, as the cluster, or by the address itself."""
    captured = (node_name(p.name) for p in pair.points if address in p.addresses)
    return next(captured, None) or pair.cluster.node_of(address) or address
