"""Loss that takes what opens conversations, and nothing else: its words, and where to look."""

from dataclasses import dataclass

import numpy as np

from vxlanalyze.analysis.loss.loss import Picture
from vxlanalyze.text.words import count, share, under_random_loss

_REMEDY = (
    "Look at what keeps track of connections, on both nodes and between them (insert_failed, drop and "
    "early_drop; "
    "how full the table is):\n"
    "conntrack -S\n"
    "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max\n"
    "Also limits on new connections (SYN protection, `hashlimit`), and the session table of a firewall or "
    "NAT.\n"
)


@dataclass(frozen=True, slots=True)
class NewConversations:
    """`which` packets, as a clause for the summary; `text` is the evidence, `remedy` says where to look."""

    which: str
    text: str
    remedy: str


def of(picture: Picture) -> NewConversations | None:
    """Say so where all unexplained losses of a direction open a conversation, beyond chance."""
    opening, lost = picture.opening, picture.lost
    if opening is None or lost is None or not np.isin(picture.unexplained, opening.packets).all():
        return None
    gone, told = len(picture.unexplained), lost.openings
    chance = f"{under_random_loss(opening.chance)} "
    if opening.rule.part is told.first:
        text = (
            f"Each of them is the first packet of its conversation, and no first packet arrives; of "
            f"{count(told.went_on, 'conversation')} later packets do. "
        )
        return NewConversations("first packets of conversations", text + chance, _REMEDY)
    others = lost.delivered - told.syn_delivered
    text = (
        "Each of them requests a connection (SYN): of these, "
        f"{share(gone, gone + told.syn_delivered)} are lost, and none of {count(others, 'other packet')}. "
    )
    return NewConversations("SYNs", text + chance, _REMEDY)
