"""Packets with chosen keys cannot make the tables of the matcher slow."""

import time

import numpy as np
import pytest

from vxlanalyze.pairing import match
from vxlanalyze.pairing.match import unique
from vxlanalyze.pairing.tuples import number_rows

MANY = 200_000


def seconds(work):
    begin = time.process_time()
    work()
    return time.process_time() - begin


def test_keys_that_fell_into_one_slot():
    """It was 48 s: keys whose halves are equal had one slot."""
    numbers = np.arange(MANY, dtype=np.uint64)
    chosen = numbers << np.uint64(32) | numbers
    partner = unique(chosen, chosen[::-1].copy())

    assert (partner == np.arange(MANY)[::-1]).all()
    assert seconds(lambda: unique(chosen, chosen)) < 2


def test_rows_that_differ_in_high_bits_alone():
    words = np.zeros((MANY, 5), np.uint64)
    words[:, 2] = np.arange(MANY, dtype=np.uint64) << np.uint64(46)

    code, first = number_rows(words)

    assert (code == np.arange(MANY)).all()
    assert (first == np.arange(MANY)).all()
    assert seconds(lambda: number_rows(words)) < 2


@pytest.mark.parametrize("few", [0, 1 << 30], ids=["by two threads", "by one"])
def test_keys_that_occur_once_on_each_side(few, monkeypatch):
    monkeypatch.setattr(match, "_FEW", few)
    rng = np.random.default_rng(1)
    left, right = (rng.integers(0, 300, 200).astype(np.uint64) << np.uint64(56) for _ in range(2))
    left, right = left | np.uint64(1), right | np.uint64(1)
    once = [k for k in set(left.tolist()) if (left == k).sum() == 1 and (right == k).sum() == 1]
    pairs = {(int(left[i]), int(right[j])) for i, j in enumerate(match.unique(left, right)) if j >= 0}

    assert pairs == {(k, k) for k in once}
