"""Requests that a node decrypted, seen a second time on the card that they came in by.

Linux takes what IPsec decrypts through the card's receive path again, so a capture shows ESP, and then the
packet in it; answers leave encrypted and are only seen as ESP. Nothing is missing.

Source: cilium issue 19274 (what tcpdump shows with IPsec); Linux, xfrm_input and gro_cells_receive.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.pairing.model import NO_ROW, Point
from vxlanalyze.wire.model import Encryption, Tunnel


def left_open(requests: Requests, points: Sequence[Point]) -> Requests:
    """Treat requests without an answer as undecided if they came encrypted, and their target sends nothing.

    That they came encrypted shows in the other captures, which do not hold them.
    """
    flows, used = requests.point.flows, requests.point.decoded.usage.used
    if not (used & (flows.encryption == Encryption.ESP)).any():
        return requests
    clear = used & (flows.tunnel == Tunnel.NONE) & (flows.encryption == Encryption.NONE)
    flow = requests.point.index.flow[requests.first_row]
    silent = (requests.answer_row == NO_ROW) & clear[flow]
    others = [p for p in points if p.capture != requests.point.capture]
    elsewhere = [p.flows.identity[p.decoded.usage.used] for p in others]
    speaks = flows.src[clear].view("V16").ravel()
    came_sealed = silent & ~np.isin(flows.dst[flow].view("V16").ravel(), speaks)
    for identities in elsewhere:
        came_sealed &= ~np.isin(flows.identity[flow], identities)
    return replace(requests, decided=requests.decided & ~came_sealed)
