"""The next probe: of the tests that a diagnostic declares, the one that decides most for its time.

A question is what a finding leaves open: its explanations, and tests, each of which says which explanations
every outcome leaves. Open explanations count as equally likely, unless the question weighs them; the test
that halves them soonest, by bits for each minute, comes first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

from vxlanalyze.planning.model import Step
from vxlanalyze.report.model import FindingRecord

_LEAST_BITS = 1e-9


@dataclass(frozen=True, slots=True)
class Case:
    """What a report says of the two ends of a finding, as far as commands need it ("" where it does not)."""

    finding: FindingRecord
    near: str
    far: str
    near_address: str
    far_address: str
    port: int | None
    endpoint: str  # an inner address that does not answer
    client: str  # whose requests
    points: tuple[str, ...] = ()  # all captures

    @property
    def near_node(self) -> str:
        """The node of the first observation point: of ``node1/eth0`` that is node1."""
        return self.near.partition("/")[0]

    @property
    def far_node(self) -> str:
        """The node of the second observation point."""
        return self.far.partition("/")[0]

    @property
    def is_inside(self) -> bool:
        """Whether both observation points belong to one node."""
        return self.near_node == self.far_node or bool(self.value("inside"))

    @property
    def host(self) -> str:
        """The node inside which packets die, as the evidence names it."""
        return str(self.value("inside") or self.far_node)

    @property
    def has_addresses(self) -> bool:
        """Whether the tunnel addresses of both nodes are known."""
        return bool(self.near_address and self.far_address)

    def value(self, name: str) -> int | float | str | None:
        """Give a figure of the finding's evidence; None where it has none of the name."""
        quantity = self.finding["evidence"].get(name)
        return quantity["value"] if quantity is not None else None


Steps = Sequence[tuple[str, Step]]  # each with its node, "" where the cluster can be reached


@dataclass(frozen=True, slots=True)
class Outcome:
    """What may be seen, and the explanations that it leaves."""

    seen: str
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """One test: what is run where, in order, how long it takes, and what each outcome means.

    `steps` gives none where the report does not show what a command needs.
    """

    title: str
    minutes: float
    steps: Callable[[Case], Steps]
    outcomes: tuple[Outcome, ...]


def probe(title: str, minutes: float, steps: Callable[[Case], Steps], *outcomes: tuple[str, str]) -> Probe:
    """Declare a test; each outcome stands with the keys of the explanations that it leaves."""
    return Probe(title, minutes, steps, tuple(Outcome(seen, tuple(keys.split())) for seen, keys in outcomes))


def always(*keys: str) -> Callable[[Case], Sequence[str]]:
    """Leave these explanations open, whatever the evidence."""
    return lambda case: keys


@dataclass(frozen=True, slots=True)
class Question:
    """What a finding leaves open.

    Parameters
    ----------
    explanations : dict
        What may be the cause, by key.
    still_open : callable
        Gives the keys that the finding's own evidence leaves open; none where it does not fit.
    weights : mapping
        How likely an explanation is next to the others, which have 1.
    """

    code: str
    explanations: dict[str, str]
    still_open: Callable[[Case], Sequence[str]]
    tests: tuple[Probe, ...]
    weights: Mapping[str, float] = field(default_factory=dict)


def best(question: Question, keys: Sequence[str], case: Case | None = None) -> Probe | None:
    """Choose the test that decides most of the open explanations for each minute; None where none does.

    Parameters
    ----------
    case : Case, optional
        Leaves out tests whose commands cannot be written for it.
    """
    prior = {key: question.weights.get(key, 1.0) for key in keys}
    rated = [(_bits(test, prior) / test.minutes, test) for test in question.tests]
    useful = [(gain, test) for gain, test in rated if gain > _LEAST_BITS and (not case or test.steps(case))]
    return max(useful, key=lambda pair: pair[0])[1] if useful else None


def _bits(test: Probe, prior: Mapping[str, float]) -> float:
    """How many bits a test is expected to decide.

    An explanation that several outcomes leave falls to each of them alike; one that no outcome leaves
    is not tested.
    """
    left = [[key for key in prior if key in outcome.leaves] for outcome in test.outcomes]
    shares = {key: prior[key] / max(1, sum(key in some for some in left)) for key in prior}
    weighed = [[shares[key] for key in some] for some in left if some]
    total = sum(map(sum, weighed))
    if not weighed or total < sum(prior.values()) * (1 - _LEAST_BITS):
        return 0.0
    return _entropy(list(prior.values())) - sum(sum(some) / total * _entropy(some) for some in weighed)


def _entropy(weights: Sequence[float]) -> float:
    total = sum(weights)
    return -sum(w / total * log2(w / total) for w in weights)
