"""An endpoint answers one of two datagrams that leave a new socket together: a case of `endpoint-silent`.

DNS has its own diagnostic (`dns-unanswered`), where identifiers show which of the two died.
"""

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import dns_pairs
from vxlanalyze.analysis.requests.datagram_pairs import AnsweredOnce, answered_once
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.words import count

CODE = "endpoint-silent"


def find(pair: Comparison, label: str, requests: Requests, chance: float) -> list[Finding]:
    """Report the endpoint with the most pairs that got one answer; `chance` is that of a false alarm."""
    found = answered_once(pairs(pair), requests)
    likely = [each for each in found if each.chance * len(found) < chance]
    return [_finding(pair, label, each) for each in likely[:1]]


def _finding(pair: Comparison, label: str, found: AnsweredOnce) -> Finding:
    node = pair.captures[found.short.point.capture].name
    short = len(found.short)
    sockets = count(short + found.whole, "new socket")
    shown = exhibits.of_rows(pair, [(found.short.point, found.short.last_row)])
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=f"{found.server} answered only one of two datagrams that reached {node} together, for "
        f"{short:,} of {sockets}",
        explanation=f"For {found.whole:,} of the sockets both datagrams were answered, each by one of its "
        f"own; for {short:,} one answer is missing (probability of so many at an endpoint that ignores one "
        f"in fifty: {found.chance:.2g}). All datagrams are in {node}'s capture. That is how a race in "
        "connection tracking looks: both packets of a new socket make an entry, and the second is dropped. "
        "An endpoint that ignores some datagrams by itself would look the same.",
        remedy=dns_pairs.what_drops(node),
        evidence={
            "pairs": Quantity(short + found.whole, "sockets"),
            "answered_once": Quantity(short, "sockets"),
            "endpoint": Quantity(found.server),
            "chance": Quantity(found.chance, "probability"),
        },
        ruled_out=(RuledOut("packet-loss", f"all of these datagrams are in {node}'s capture"),),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )
