"""Loss that affects only packets that open conversations: its wording, and where to look."""

import numpy as np

from vxlanalyze.analysis.loss.peculiarity import Peculiarity
from vxlanalyze.analysis.loss.picture import Picture
from vxlanalyze.pairing.model import Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, share, under_random_loss

_SET_UP = (
    "A virtual switch that sets up each new flow in software may drop the packet that it does this for (Open "
    "vSwitch: lost in the output of ovs-appctl dpctl/show, on the hypervisor)."
)


def of(picture: Picture) -> Peculiarity | None:
    """Describe it where all unexplained losses of a direction open a conversation, beyond chance."""
    opening, lost = picture.opening, picture.lost
    if opening is None or lost is None or not np.isin(picture.unexplained, opening.packets).all():
        return None
    gone, openings = len(picture.unexplained), lost.openings
    chance = f"{under_random_loss(opening.chance)} "
    if opening.rule.part is openings.first:
        firsts = gone + openings.first_delivered
        which = "no first packet arrives" if gone == firsts else f"{share(gone, firsts)} of these are lost"
        text = (
            f"Each of them is the first packet of its conversation, and {which}; of "
            f"{count(openings.went_on, 'conversation')} later packets do arrive. "
        )
        remedy = written(_remedy(picture.direction), _SET_UP)
        return Peculiarity("first packets of conversations", text + chance, remedy)
    others = lost.delivered - openings.syn_delivered
    text = (
        "Each of them requests a connection (SYN): of these, "
        f"{share(gone, gone + openings.syn_delivered)} are lost, "
        f"and none of {count(others, 'other packet')}. "
    )
    return Peculiarity("SYNs", text + chance, _remedy(picture.direction))


def _remedy(direction: Direction) -> str:
    table = ("conntrack -S", "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max")
    return written(
        "Look at what keeps track of connections (insert_failed, drop and early_drop; how full the table "
        "is):",
        on(direction.sender.name, *table),
        on(direction.receiver.name, *table),
        "Also at limits on new connections (SYN protection, hashlimit rules), and at the session table of a "
        "firewall or NAT between the nodes.",
    )
