"""Encrypted packets between two nodes next to a tunnel in clear: part of the directions, though sealed.

Docker Swarm sends encrypted networks by ESP and the ingress network by plain VXLAN; WireGuard may run
beside a tunnel. What is inside is not known, but the packets are matched and their fate is known.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.home import End
from vxlanalyze.wire.model import Encryption, Tunnel


def between(end: End, src: NDArray[np.int32], dst: NDArray[np.int32], book: AddressBook) -> NDArray[np.bool_]:
    """Flows of encrypted packets from some addresses to others, outside of any tunnel; shape ``(f,)``."""
    flows, n = end.decoded.flows, end.place.capture
    sealed = end.place.flows & (flows.encryption != Encryption.NONE) & (flows.tunnel == Tunnel.NONE)
    return sealed & np.isin(book.src[n], src) & np.isin(book.dst[n], dst) if sealed.any() else sealed
