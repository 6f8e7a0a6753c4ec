"""Packets with chosen keys cannot make the tables of the matcher slow."""

import time

import numpy as np

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
