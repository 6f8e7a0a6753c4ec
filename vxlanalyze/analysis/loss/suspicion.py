"""A suspected cause of unexplained loss: stated as "perhaps", never as a finding, as it may be random."""

from dataclasses import dataclass

import numpy as np

from vxlanalyze.analysis.loss import affected
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.words import count, listed, moment, under_random_loss

CODE_OF = {
    LossKind.PATH: "path-blocked",
    LossKind.INTERRUPTION: "burst-outage",
    LossKind.SIZE: "mtu-blackhole",
    LossKind.PROTOCOL: "protocol-blocked",
    LossKind.FLOW: "flow-blocked",
    LossKind.ECMP: "ecmp-member-blocked",
}
_FEW_PORTS = 3  # this many source ports that deliver nothing are worth mentioning, proved or not
_PORTS_LISTED = 12


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A cause that fits without being proved.

    `perhaps` is a clause for the summary, "" where the evidence is too weak for it; `text` are sentences with
    the evidence, `remedy` says how to find out.
    """

    code: str
    perhaps: str
    text: str
    remedy: str


def of(picture: Picture, cluster: Cluster) -> Suspicion | None:
    """State the suspected cause of a direction's unexplained losses, if any."""
    suspected = picture.suspected
    if suspected is None:
        return _whole_ports(picture)
    code, packets = CODE_OF[suspected.kind], count(len(suspected.packets), "packet")
    perhaps, what, remedy = _words(picture, suspected, cluster)
    text = (
        f"{what} ({packets}). {under_random_loss(suspected.chance)} That is too probable to be sure: "
        f"{code} is only suspected. "
    )
    return Suspicion(code, perhaps, text, remedy)


def _words(picture: Picture, suspected: Explanation, cluster: Cluster) -> tuple[str, str, str]:
    direction, rule = picture.direction, suspected.rule
    from_to = f"from {direction.sender.name} to {direction.receiver.name}"
    if suspected.kind is LossKind.ECMP:
        perhaps = "perhaps one of several equal paths is dead"
        what = f"Whole outer source ports deliver nothing: {_ports(picture, suspected.packets)}"
        return perhaps, what, _MORE_CONNECTIONS
    if suspected.kind is LossKind.SIZE:
        perhaps = f"perhaps nothing longer than {rule.above_bytes or 0:,} bytes passes"
        largest = int(direction.wire_length[suspected.packets].max())
        what = f"All packets longer than {rule.above_bytes or 0:,} bytes are lost"
        return perhaps, what, f"To find out, send more packets of {largest:,} bytes {from_to}. "
    if suspected.kind in (LossKind.PROTOCOL, LossKind.FLOW) and picture.lost is not None:
        names = listed(affected.members(direction, picture.lost, rule, cluster))
        return f"perhaps {names} is blocked", f"Nothing of {names} arrives", _MORE.format(what=names)
    times = direction.sent_ns(suspected.packets)
    first, last = moment(int(times.min())), moment(int(times.max()))
    if suspected.kind is LossKind.INTERRUPTION:
        return "perhaps a short outage", f"Nothing arrives from {first} to {last}", _LOOK.format(at=first)
    if suspected.from_ns is None:
        return "perhaps the path is blocked", f"Nothing {from_to} arrives", _MORE.format(what="packets")
    perhaps = f"perhaps the path is blocked since {first}"
    return perhaps, f"Nothing {from_to} arrives from {first} on", _MORE.format(what="packets")


_MORE_CONNECTIONS = (
    "To find out whether one of several paths drops everything, capture more connections at once: if it "
    "does, the same outer source ports deliver nothing again. "
)
_MORE = "To find out, send more {what} and capture again. "
_LOOK = "If other captures show gaps too, look for what happened at {at}. "


def _ports(picture: Picture, packets: np.ndarray[tuple[int], np.dtype[np.intp]]) -> str:
    direction = picture.direction
    ports = present(direction.sender.flows.outer_sport[direction.flow[packets]])
    shown = ", ".join(str(int(p)) for p in ports[:_PORTS_LISTED])
    return shown + (f" and {len(ports) - _PORTS_LISTED} others" if len(ports) > _PORTS_LISTED else "")


def _whole_ports(picture: Picture) -> Suspicion | None:
    """Suspect whole ports where no outer source port with a loss delivers anything, while others do."""
    direction = picture.direction
    sport, flow = direction.sender.flows.outer_sport, direction.flow
    losing, delivering = (
        present(sport[flow[picture.unexplained]]),
        present(sport[flow[direction.delivered]]),
    )
    if len(losing) < _FEW_PORTS or len(delivering) == 0 or np.isin(losing, delivering).any():
        return None
    text = (
        f"None of the {count(len(losing), 'outer source port')} that lose packets delivers any "
        f"({_ports(picture, picture.unexplained)}): one failed path of several would look like this as well, "
        "and so would random loss where each sends few packets. "
    )
    return Suspicion(CODE_OF[LossKind.ECMP], "", text, _MORE_CONNECTIONS)
