"""Loss of whole super-packets: frames that the sender's card had to cut into segments.

Some cards and hypervisors cannot segment packets in a tunnel. What they are given to segment vanishes, and
packets that leave one by one arrive, even the same data when it is sent again.

Source: deckhouse PR 10087 (vmxnet3); Linux, networking/segmentation-offloads.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.peculiarity import Peculiarity
from vxlanalyze.analysis.loss.picture import Picture
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count

_LEAST = 3  # such frames
_OFFLOADS = ("tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation")


def of(picture: Picture, cluster: Cluster) -> Peculiarity | None:
    """Describe it where all losses are of such frames, and no segment of any of them arrived."""
    direction = picture.direction
    cut = _cut(direction)
    if not cut.any():
        return None
    lost = np.zeros(len(direction), np.bool_)
    lost[picture.unexplained] = True
    frames = len(np.unique(direction.sent_row[lost]))
    if frames < _LEAST or not cut[lost].all() or (cut & direction.delivered).any():
        return None
    alone = int(np.count_nonzero(direction.delivered))
    near = direction.sender.name
    return Peculiarity(
        which=f"those that left {near} in frames for its card to segment",
        text=f"They left in {count(frames, 'frame')} that the network card of {near} had to cut into "
        "segments (segmentation offload): no segment of any of them arrives, and all "
        f"{count(alone, 'packet')} that left one by one do. ",
        remedy=_remedy(near, underlay.of(direction, cluster).far),
        cause=f"the network card of {near}, or its hypervisor, cannot segment tunnel packets",
    )


def _cut(direction: Direction) -> NDArray[np.bool_]:
    """Packets that left in a frame with others, shape ``(m,)``."""
    segments = np.bincount(direction.sent_row, minlength=len(direction.sender.index))
    result: NDArray[np.bool_] = segments[direction.sent_row] > 1
    return result


def _remedy(near: str, peer: str) -> str:
    off, on_ = (" ".join(f"{name} {state}" for name in _OFFLOADS) for state in ("off", "on"))
    return written(
        f"Let {near} segment in software what goes through the tunnel (NIC, the device named in the route):",
        on(near, f"ip route get {peer}", f"ethtool -K NIC {off}"),
        "To undo it:",
        on(near, f"ethtool -K NIC {on_}"),
        "If that ends the loss, a driver or hypervisor update that segments tunnel packets is the remedy.",
    )
