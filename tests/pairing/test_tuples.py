"""Distinct rows are those that numpy finds, also where two of them have one hash."""

import numpy as np
import pytest

from vxlanalyze.pairing import tuples


@pytest.mark.parametrize("width", [1, 8, 17, 38])
def test_distinct_rows_and_their_order_are_numpys(width: int):
    rng = np.random.default_rng(width)
    rows = rng.integers(0, 3, (500, width), dtype=np.uint8)

    names, code = tuples.distinct(rows)

    expected, inverse = np.unique(rows, axis=0, return_inverse=True)
    np.testing.assert_array_equal(names, expected)
    np.testing.assert_array_equal(code, inverse.reshape(-1))


def test_rows_of_one_hash_are_still_told_apart():
    words = np.array([[2, 1], [1, 2], [2, 1]], np.uint64)
    folded = [np.uint64(tuples.folded(np.uint64(0), word)) for word in words[:, 0]]
    words[1, 1] = folded[0] ^ words[0, 1] ^ folded[1]  # so that both are one number before the last step

    names, code = tuples.distinct(words.view(np.uint8))

    assert tuples.folded(folded[0], words[0, 1]) == tuples.folded(folded[1], words[1, 1])
    assert names.view(np.uint64).tolist() == [words[1].tolist(), [2, 1]]
    assert code.tolist() == [1, 0, 1]


def test_no_rows_have_no_names():
    names, code = tuples.distinct(np.zeros((0, 5), np.uint8))

    assert names.shape == (0, 5)
    assert len(code) == 0
