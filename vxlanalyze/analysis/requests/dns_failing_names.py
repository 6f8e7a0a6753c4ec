"""Names that a DNS server never answers while it answers all others: the trouble is upstream of the server.

A server answers from its own zones at once, and asks an upstream server for other names. Where that one is
not reached, the query stays unanswered; the network between client and server is sound.

Source: CoreDNS manual, plugins `forward` and `kubernetes`.
"""

from collections.abc import Iterable
from shlex import quote

from vxlanalyze.analysis.finding import Quantity
from vxlanalyze.analysis.requests.dns_questions import questions
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import listed

_LEAST = 5  # answered queries, and unanswered ones, before names can be distinguished


def failing_names(pair: Comparison, places: Iterable[int]) -> list[str]:
    """Names without any answer, if all other names are always answered; empty where that does not hold.

    Parameters
    ----------
    places : iterable of int
        Pairs of client and server, as rows of `Pairs`.
    """
    answered: dict[str, int] = {}
    unanswered: dict[str, int] = {}
    by_pair = questions(pair)
    for question in (q for place in places for q in by_pair.get(place, ())):
        name = question.name or ""
        answered[name] = answered.get(name, 0) + question.answered
        unanswered[name] = unanswered.get(name, 0) + question.unanswered
    failing = sorted(name for name, count in unanswered.items() if count)
    if "" in failing or any(answered[name] for name in failing):
        return []
    enough = sum(answered.values()) >= _LEAST and sum(unanswered.values()) >= _LEAST
    return failing if enough else []


def remedy(node: str, server: str, names: list[str]) -> str:
    """Where to look for what the server cannot resolve."""
    return written(
        f"The server answers all other names: look at where it resolves {listed(names, 3)} (CoreDNS: the "
        "forward lines of its Corefile, and whether its pod reaches these servers):",
        on(node, f"dig @{server} {quote(names[0])}"),
        anywhere("kubectl get configmap -n kube-system coredns -o yaml"),
    )


def evidence(names: list[str]) -> dict[str, Quantity]:
    """Give them as a figure of the finding; nothing where there are none."""
    return {"failing_names": Quantity(listed(names, 5), "names")} if names else {}
