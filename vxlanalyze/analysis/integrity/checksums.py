"""States of checksums at both points of a direction, and whether the receiver accepts invalid ones.

A capture at the sender often differs from the wire: the network card fills in checksums after the capture. A
capture at the receiver shows the wire, with two exceptions: frames merged by the kernel, and paths inside one
host (veth, virtio), where unfilled checksums are passed on and known to be correct. Answers show whether a
checksum that looks invalid does harm: a flow whose packets are all invalid but which is answered was
accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.kernels.arrays import I32, U16
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import NO_ROW, Direction, Point
from vxlanalyze.pairing.tuples import number_rows
from vxlanalyze.wire.model import CHECK_MASK, UNFILLED, Checksum, checksum_states

WRONG = (Checksum.BAD, Checksum.ALL_ONES)
RIGHT = (Checksum.OK, Checksum.ABSENT)
_NONE, _ABSENT, _UNVERIFIABLE = (
    kind.value for kind in (Checksum.NONE, Checksum.ABSENT, Checksum.UNVERIFIABLE)
)


class Checks(NamedTuple):
    """One checksum field of a direction's `m` packets; all arrays have shape ``(m,)``.

    Parameters
    ----------
    sent, received : NDArray[np.uint8]
        `Checksum` at the sender and at the receiver; NONE where the packet did not arrive or arrived in a
        merged frame.
    judged : NDArray[np.bool_]
        Packets that carry this checksum and were captured in full at the receiver.
    """

    sent: NDArray[np.uint8]
    received: NDArray[np.uint8]
    judged: NDArray[np.bool_]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Arrived with an invalid checksum that offload does not explain, shape ``(m,)``."""
        return among(self.received, WRONG)

    @property
    def unfilled(self) -> NDArray[np.bool_]:
        """Arrived with an unfilled checksum, shape ``(m,)``."""
        return among(self.received, UNFILLED)


def of(direction: Direction, shift: int) -> Checks:
    """Read one of the four states (`OUTER_L4_SHIFT`, ...) of a direction's packets at both points."""
    sender, receiver = direction.sender, direction.receiver
    found = Checks(
        np.empty(len(direction), np.uint8),
        np.empty(len(direction), np.uint8),
        np.empty(len(direction), np.bool_),
    )
    _read(
        (direction.sent_row, direction.received_row),
        (sender.index.checks, receiver.index.checks),
        receiver.segment_bytes,
        shift,
        found,
    )
    return found


@compiled("(i4[] i4[]) (u2[] u2[]) u2[] i8 Checks(u1[] u1[] b1[])")
def _read(
    rows: tuple[I32, I32], checks: tuple[U16, U16], segment_bytes: U16, shift: int, found: Checks
) -> None:
    sent_row, received_row = rows
    sent_checks, received_checks = checks
    for i in range(len(sent_row)):
        there = received_row[i]
        single = there != NO_ROW and segment_bytes[there] == 0
        state = received_checks[there] >> shift & CHECK_MASK if single else _NONE
        found.sent[i] = sent_checks[sent_row[i]] >> shift & CHECK_MASK
        found.received[i] = state
        found.judged[i] = state != _NONE and state != _ABSENT and state != _UNVERIFIABLE


def among(states_: NDArray[np.uint8], kinds: Iterable[Checksum]) -> NDArray[np.bool_]:
    """Whether each state is one of some kinds, shape kept; `np.isin` takes ten times as long."""
    result = np.zeros(len(states_), np.bool_)
    for kind in kinds:
        result |= states_ == kind
    return result


def states(point: Point, shift: int) -> NDArray[np.uint8]:
    """`Checksum` of every frame of a point's capture, shape ``(n,)``."""
    return checksum_states(point.index.checks, shift)


@dataclass(frozen=True, slots=True)
class ConversationFate:
    """The fate of conversations whose packets all arrived with a suspicious checksum.

    Parameters
    ----------
    accepted : int
        Conversations that were answered nevertheless: the receiver accepts them.
    ignored : NDArray[np.bool_]
        Shape ``(f,)``: flows of those that were not answered, whether they sent requests or not.
    """

    accepted: int
    ignored: NDArray[np.bool_]


def fate_of(odd: NDArray[np.bool_], direction: Direction, responses: Answers) -> ConversationFate:
    """Determine whether the receiver accepts suspicious checksums; `odd` has shape ``(m,)``."""
    # Linux gives a retransmitted SYN another outer port, so one conversation may be several flows.
    talk, first = number_rows(direction.sender.flows.identity[:, np.newaxis])
    arrived = np.bincount(talk[responses.flow[direction.received_row != NO_ROW]], minlength=len(first))
    wrong = np.bincount(talk[responses.flow[odd]], minlength=len(first))
    whole = (wrong > 0) & (wrong == arrived)
    answered = np.zeros(len(first), np.bool_)
    answered[talk[responses.answered]] = True
    return ConversationFate(int((whole & answered).sum()), (whole & ~answered)[talk])


def where_it_became(wrong: NDArray[np.bool_], sent: NDArray[np.uint8], *, origin: bool) -> NDArray[np.bool_]:
    """Keep checksums that became invalid on this hop; at a path's first point, also those sent invalid."""
    return wrong if origin else wrong & ~among(sent, WRONG)
