"""States of checksums at both points of a direction, and whether the receiver takes packets with wrong ones.

What a capture at the sender shows is often not what the wire carries: the network card fills checksums in
behind the capture. What a capture at the receiver shows is the wire, but for two cases: frames that
the kernel has merged again, and paths inside one host (veth, virtio), over which unfilled checksums
travel and are known to be right. Whether a wrong looking checksum hurts is told by the answers: a flow of
which every packet is wrong and which is answered was accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.diagnostics.answers import Answers
from vxlanalyze.pairing.model import NO_ROW, Direction, Point
from vxlanalyze.wire.model import UNFILLED, Checksum, checksum_states

WRONG = (Checksum.BAD, Checksum.ALL_ONES)
RIGHT = (Checksum.OK, Checksum.ABSENT)
_NOTHING_TO_JUDGE = (Checksum.NONE, Checksum.ABSENT, Checksum.UNVERIFIABLE)


@dataclass(frozen=True, slots=True)
class Checks:
    """One checksum field of a direction's `m` packets; all arrays have shape ``(m,)``.

    Parameters
    ----------
    sent, received : NDArray[np.uint8]
        `Checksum` at the sender and at the receiver; NONE where the packet did not arrive or arrived in a
        frame that was merged of several.
    judged : NDArray[np.bool_]
        Packets that carry this checksum and were captured whole at the receiver.
    """

    sent: NDArray[np.uint8]
    received: NDArray[np.uint8]
    judged: NDArray[np.bool_]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Arrived with a checksum that is no offload picture, shape ``(m,)``."""
        return among(self.received, WRONG)

    @property
    def unfilled(self) -> NDArray[np.bool_]:
        """Arrived with a checksum that nobody has filled in, shape ``(m,)``."""
        return among(self.received, UNFILLED)


def of(direction: Direction, shift: int) -> Checks:
    """Read one of the four states (`OUTER_L4_SHIFT`, ...) of a direction's packets at both points."""
    sender, receiver = direction.sender, direction.receiver
    single = direction.received_row != NO_ROW
    if receiver.segment_bytes.any():
        single[single] = receiver.segment_bytes[direction.received_row[single]] == 0
    received = np.zeros(len(direction), np.uint8)
    if single.any():
        received = checksum_states(receiver.index.checks[direction.received_row], shift)
        received[~single] = Checksum.NONE
    return Checks(
        checksum_states(sender.index.checks[direction.sent_row], shift),
        received,
        single & ~among(received, _NOTHING_TO_JUDGE),
    )


def among(states_: NDArray[np.uint8], kinds: Iterable[Checksum]) -> NDArray[np.bool_]:
    """Which states are of some kinds, shape kept; `np.isin` takes ten times as long."""
    result = np.zeros(len(states_), np.bool_)
    for kind in kinds:
        result |= states_ == kind
    return result


def states(point: Point, shift: int) -> NDArray[np.uint8]:
    """`Checksum` of every frame of a point's capture, shape ``(n,)``."""
    return checksum_states(point.index.checks, shift)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of conversations of which every packet arrived with an odd checksum.

    Parameters
    ----------
    accepted : int
        Conversations that were answered all the same: the receiver does not mind.
    ignored : NDArray[np.bool_]
        Shape ``(f,)``: flows of those that were not answered, whether they asked or not.
    """

    accepted: int
    ignored: NDArray[np.bool_]


def fate_of(odd: NDArray[np.bool_], direction: Direction, asked: Answers) -> Fate:
    """Tell whether the receiver takes packets with odd checksums; `odd` has shape ``(m,)``."""
    # Linux gives a SYN that is sent again another outer port, so one conversation may be several flows.
    identities, talk = np.unique(direction.sender.flows.identity, return_inverse=True)
    arrived = np.bincount(talk[asked.flow[direction.received_row != NO_ROW]], minlength=len(identities))
    wrong = np.bincount(talk[asked.flow[odd]], minlength=len(identities))
    whole = (wrong > 0) & (wrong == arrived)
    answered = np.zeros(len(identities), np.bool_)
    answered[talk[asked.answered]] = True
    return Fate(int((whole & answered).sum()), (whole & ~answered)[talk])


def where_it_became(wrong: NDArray[np.bool_], sent: NDArray[np.uint8], *, origin: bool) -> NDArray[np.bool_]:
    """Keep what became wrong on this hop; at the first point of a path, also what left it wrong."""
    return wrong if origin else wrong & ~among(sent, WRONG)
