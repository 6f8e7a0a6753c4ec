"""Choose the next probe: of the tests that a diagnostic declares, the one that decides most for its time.

A question is what a finding leaves open: its explanations, and tests that state which explanations remain for
each outcome. Open explanations count as equally likely unless the question weights them; the test that
decides the most bits per minute comes first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

from vxlanalyze.planning.model import Step
from vxlanalyze.report.model import FindingRecord
from vxlanalyze.text.places import node_name

_LEAST_BITS = 1e-9


@dataclass(frozen=True, slots=True)
class Case:
    """What a report says about the two ends of a finding, as needed by commands ("" where unknown)."""

    finding: FindingRecord
    near: str
    far: str
    near_address: str
    far_address: str
    port: int | None
    endpoint: str  # an inner address that does not answer
    client: str  # the client of the requests
    points: tuple[str, ...] = ()  # all captures

    @property
    def near_node(self) -> str:
        """The node of the first observation point: node1 for ``node1/eth0``."""
        return node_name(self.near)

    @property
    def far_node(self) -> str:
        """The node of the second observation point."""
        return node_name(self.far)

    @property
    def is_inside(self) -> bool:
        """Whether both observation points belong to one node."""
        return self.near_node == self.far_node or bool(self.value("inside"))

    @property
    def host(self) -> str:
        """The node inside which packets die, according to the evidence."""
        return str(self.value("inside") or self.far_node)

    @property
    def has_addresses(self) -> bool:
        """Whether the tunnel addresses of both nodes are known."""
        return bool(self.near_address and self.far_address)

    def value(self, name: str) -> int | float | str | None:
        """Give a figure of the finding's evidence; None if absent."""
        quantity = self.finding["evidence"].get(name)
        return quantity["value"] if quantity is not None else None


Steps = Sequence[tuple[str, Step]]  # each with its node; "" means where the cluster can be reached


@dataclass(frozen=True, slots=True)
class Observation:
    """A possible observation, and the explanations that remain."""

    seen: str
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """One test: its commands by node, in order, its duration, and the meaning of each outcome.

    `steps` gives none if the report lacks something that a command needs.
    """

    title: str
    minutes: float
    steps: Callable[[Case], Steps]
    outcomes: tuple[Observation, ...]


def probe(title: str, minutes: float, steps: Callable[[Case], Steps], *outcomes: tuple[str, str]) -> Probe:
    """Declare a test; each outcome has the keys of the explanations that remain."""
    return Probe(
        title, minutes, steps, tuple(Observation(seen, tuple(keys.split())) for seen, keys in outcomes)
    )


def always(*keys: str) -> Callable[[Case], Sequence[str]]:
    """Leave these explanations open, whatever the evidence."""
    return lambda case: keys


@dataclass(frozen=True, slots=True)
class Question:
    """What a finding leaves open.

    Parameters
    ----------
    explanations : dict
        Possible causes, by key.
    still_open : callable
        Gives the keys that the finding's own evidence leaves open; none if it does not fit.
    weights : mapping
        Relative likelihood of explanations; the default is 1.
    """

    code: str
    explanations: dict[str, str]
    still_open: Callable[[Case], Sequence[str]]
    tests: tuple[Probe, ...]
    weights: Mapping[str, float] = field(default_factory=dict)


def best(question: Question, keys: Sequence[str], case: Case | None = None) -> Probe | None:
    """Choose the test that decides most about the open explanations per minute; None if none does.

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
    """Expected number of bits that a test decides.

    An explanation that remains for several outcomes is divided equally among them; one that remains for none
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
