"""Each kind of the field has three pairs of our own and a healthy one: here, or recorded in the lab."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.reported.registry import Pair, discover

CAPTURES = Path(__file__).parent.parent / "captures"
KINDS = [f"K{number:02}" for number in range(1, 33)]
# Recordings of a kind that has fewer pairs here, and the healthy twin where it is another kind's or recorded.
RECORDED = {
    "K07": ["ttl-of-the-device", "ttl-loop-ipv6"],
    "K22": ["guest-moves-entry-stays"],
    "K23": ["guest-address-twice", "node-address-twice"],
    "K28": ["accept-queue-full"],
}
TWINS = {
    "K07": ["ttl-healthy-far"],
    "K09": ["pod-refuses"],  # what the other node did send
    "K13": ["inner-fragments-healthy"],
    "K22": ["guest-moves-healthy"],
    "K23": ["address-fails-over-healthy"],
    "K28": ["bursts-healthy"],
    "K32": ["esp-underlay"],
}
# What these kinds hold looks like a fault and is none: the right answer is to find nothing.
ODD_AND_HEALTHY = {"K10", "K25", "K30"}


def kind_of(made: Pair) -> str:
    """Read the kind from a pair's name, where that says it; else it is its module's."""
    named = re.match(r"k(\d\d)-", made.name)
    return f"K{named[1]}" if named else made.kind


def by_kind(healthy: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for made in discover().values():
        if (made.root is None) == healthy:
            found[kind_of(made)].append(made.name)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_three_pairs_and_a_healthy_twin(kind: str) -> None:
    recorded, twins = RECORDED.get(kind, []), TWINS.get(kind, [])
    assert [name for name in recorded + twins if not (CAPTURES / name / "truth.json").exists()] == []
    shown = by_kind(healthy=False)[kind] + recorded
    healthy = by_kind(healthy=True)[kind] + twins
    if kind in ODD_AND_HEALTHY:
        assert len(shown) + len(healthy) >= 4
    else:
        assert len(shown) >= 3
    assert healthy
