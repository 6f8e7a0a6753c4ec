"""New conversations fail from some moment on, in several protocols, while established ones continue.

What it checks
    Is there a moment after which no new conversation of a direction gets a single packet through, to several
    endpoints and in several protocols, while earlier conversations continue?
Why it matters
    Existing connections keep working, so monitoring stays green; every new connection fails, whatever its
    destination. It looks like a DNS problem, or like separate faults of each service, but is a single one.
How it decides
    A conversation is an inner 5-tuple. The moment is the beginning of the last one of which anything arrived.
    At least four conversations began later, to two addresses and in two protocols, and lost every packet; at
    least two earlier ones still deliver packets after it. Of all explanations, this fits the losses best, and
    random loss would look like this at most once in ten thousand directions. The same check applies to
    openings that arrive and are never answered, at addresses that answered before: then they die inside the
    receiving node.
When it cannot tell
    Everything stops (`path-blocked`), or only one protocol or service opens new conversations
    (`protocol-blocked`, `flow-blocked`).
What looks like it
    One dead path of several affects some new flows all the time. A limit on SYNs affects only TCP.
What to do
    Check connection tracking on the path: the conntrack table, a newly loaded policy, a firewall.
Sources
    kubernetes issue 71261; Linux Documentation/networking/nf_conntrack-sysctl; conntrack(8).
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, loss
from vxlanalyze.analysis.loss.beginnings import Beginnings
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.requests import new_silence
from vxlanalyze.analysis.requests.new_silence import NewSilence
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, moment

CODE = "new-flows-blocked"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction in which new conversations fail from some moment on."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[DiagnosticResult] = list(not_assessed)
    answers += [
        _finding(pair, p, e, p.lost.beginnings) for p in pictures if p.lost for e in p.of(LossKind.NEW)
    ]
    directions = {a.direction for a in answers if isinstance(a, Finding)}
    silent = [(d, new_silence.of(d)) for d in pair.directions if d.assessed and d.label not in directions]
    return answers + [_inside(pair, d, found) for d, found in silent if found is not None]


def _inside(pair: Comparison, direction: Direction, found: NewSilence) -> Finding:
    """Report conversations whose openings arrive and are never answered."""
    near, far, since = direction.sender.name, direction.receiver.name, moment(found.since_ns)
    shown = exhibits.of_packets(pair, direction, found.requests)
    requests = int(np.count_nonzero(found.requests))
    kinds = affected.packets(affected.protocols(direction, found.requests))
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"From {since} on, no new conversation from {near} is answered by {far}: "
        f"{count(found.conversations, 'conversation')} to {count(found.endpoints, 'endpoint')} arrive "
        f"there and get nothing, while {found.established:,} from before go on",
        explanation=f"{kinds} of conversations that began after that moment stand in the capture of {far}, "
        "and nothing answers them: they are dropped inside the node. The same addresses answered before, and "
        f"{count(found.established, 'conversation')} from before the moment are answered later: so it is "
        "neither the path nor the endpoints, but what keeps track of connections.",
        remedy=_remedy([far], since),
        evidence={
            "since": Quantity(since),
            "new_conversations": Quantity(found.conversations, "conversations"),
            "endpoints": Quantity(found.endpoints, "addresses"),
            "established_and_answered": Quantity(found.established, "conversations"),
            "unanswered_requests": Quantity(requests, "packets"),
            "inside": Quantity(far),
        },
        ruled_out=(
            RuledOut("path-blocked", f"all {count(requests, 'request')} counted here were seen on arrival"),
            RuledOut("not-answered", "conversations from before the moment go on being answered"),
            RuledOut("endpoint-silent", f"{count(found.endpoints, 'endpoint')} are concerned alike"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _finding(pair: Comparison, picture: Picture, explanation: Explanation, begun: Beginnings) -> Finding:
    direction = picture.direction
    lost = picture.packets_of([explanation])
    near, far = direction.sender.name, direction.receiver.name
    since = int(direction.sent_ns(np.flatnonzero(lost)[:1])[0])
    shown = exhibits.of_packets(pair, direction, lost)
    kinds = affected.packets(affected.protocols(direction, lost))
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"From {moment(since)} on, no new conversation gets from {near} to {far}: "
        f"{count(begun.conversations, 'conversation')} to {count(begun.endpoints, 'endpoint')} "
        f"lose every packet, while {begun.established:,} from before go on",
        explanation=f"{kinds} of conversations that began after that moment were sent and none was seen "
        f"at {far}. "
        f"They use {count(begun.protocols, 'protocol')}, so what matters is not service or protocol, but "
        f"when the conversation began; {count(begun.established, 'conversation')} from before deliver later. "
        f"{loss.by_chance([explanation])}",
        remedy=_remedy([near, far], moment(since)),
        evidence={
            "since": Quantity(moment(since)),
            "new_conversations": Quantity(begun.conversations, "conversations"),
            "endpoints": Quantity(begun.endpoints, "addresses"),
            "established_and_delivering": Quantity(begun.established, "conversations"),
            "lost": Quantity(int(lost.sum()), "packets"),
            "chance": Quantity(explanation.chance, "ratio"),
        },
        ruled_out=(
            *affected.not_by_size(direction, lost),
            RuledOut("path-blocked", "conversations from before the moment go on delivering"),
            RuledOut("flow-blocked", "several endpoints and protocols are concerned alike"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _remedy(nodes: list[str], since: str) -> str:
    table = (
        "dmesg -T | grep -i 'nf_conntrack: table full'",
        "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
        "conntrack -S",
    )
    more = (
        "conntrack -L 2>/dev/null | grep -o 'src=[^ ]*' | sort | uniq -c | sort -rn | head",
        "sysctl -w net.netfilter.nf_conntrack_max=$((2 * $(sysctl -n net.netfilter.nf_conntrack_max)))",
    )
    return written(
        f"Look at what keeps track of connections and changed at {since}:",
        *(on(node, *table) for node in nodes),
        "If the table is full, see which addresses fill it, and double its limit until the cause is found:",
        *(on(node, *more) for node in nodes),
        "If it is not full, look for what was loaded at that moment: a firewall between the nodes whose "
        "session table is full, or a network policy:",
        anywhere("kubectl get networkpolicy -A --sort-by=.metadata.creationTimestamp"),
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
