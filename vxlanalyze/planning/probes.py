"""The next probe: of the tests that a finding declares, the one that tells most for its time.

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

    def value(self, name: str) -> int | float | str | None:
        """Give a figure of the finding's evidence; None where it has none of the name."""
        quantity = self.finding["evidence"].get(name)
        return quantity["value"] if quantity is not None else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What may be seen, and the explanations that it leaves."""

    seen: str
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """One test: what is run where, in order, how long it takes, and what each outcome means."""

    title: str
    minutes: float
    steps: Callable[[Case], Sequence[tuple[str, Step]]]
    outcomes: tuple[Outcome, ...]


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


def best(question: Question, keys: Sequence[str]) -> Probe | None:
    """Choose the test that tells most of the open explanations for each minute; None where none tells any."""
    prior = {key: question.weights.get(key, 1.0) for key in keys}
    rated = [(_bits(test, prior) / test.minutes, test) for test in question.tests]
    useful = [(gain, test) for gain, test in rated if gain > _LEAST_BITS]
    return max(useful, key=lambda pair: pair[0])[1] if useful else None


def _bits(test: Probe, prior: Mapping[str, float]) -> float:
    """How many bits a test is expected to tell.

    An explanation that several outcomes leave falls to each of them alike; one that no outcome leaves
    is not asked about.
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
