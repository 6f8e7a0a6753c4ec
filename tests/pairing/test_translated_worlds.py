"""Translated flows are paired rightly in worlds with known truth, and nothing is paired where nothing is."""

from itertools import pairwise

import numpy as np
import pytest

from tests.pairing.translated_world import TranslatedWorld, judged
from vxlanalyze.pairing import translation

LEAST_RECALL = 0.97


def play(worlds: range, *, translated: bool) -> tuple[int, int, int]:
    counts = [judged(TranslatedWorld(seed, translated=translated), translation.joined) for seed in worlds]
    found, right, true = np.array(counts).sum(axis=0).tolist()
    print(f"{len(worlds)} worlds: {found} pairs of flows found, {right} right, of {true}")
    return found, right, true


@pytest.mark.parametrize("worlds", [range(30), pytest.param(range(300), marks=pytest.mark.slow)])
def test_flows_are_paired_through_translation(worlds):
    found, right, true = play(worlds, translated=True)
    assert found == right
    assert right >= LEAST_RECALL * true


@pytest.mark.parametrize(
    "worlds", [range(1000, 1030), pytest.param(range(1000, 1300), marks=pytest.mark.slow)]
)
def test_nothing_is_paired_where_nothing_is_translated(worlds):
    assert play(worlds, translated=False) == (0, 0, 0)


def test_captures_without_translation_are_handed_on_as_they_are():
    pod, nic = TranslatedWorld(5, translated=False).play()
    for one, other in pairwise([pod, nic, nic]):
        assert translation.joined([one, other]).decoded == [one, other]
