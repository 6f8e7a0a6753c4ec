"""Orders and values by vectorised sorts are those that numpy gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxlanalyze.pairing.sorting import counted, present, stable_order

# Far apart, and close together:
several = st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 2))
alike = st.builds(
    lambda n, least: [least + k for k in n], st.lists(st.integers(0, 3)), st.integers(-(2**31), 2**31 - 4)
)
numbers = (several | alike).map(lambda n: np.array(n, np.int32))


@given(numbers)
def test_rows_of_one_group_keep_their_order(group):
    assert np.array_equal(stable_order(group), np.argsort(group, kind="stable"))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64, np.uint16, np.int8])
@given(values=numbers)
def test_values_are_given_once_and_counted(values, dtype):
    values = values.astype(dtype)
    expected, counts = np.unique(values, return_counts=True)

    assert np.array_equal(present(values), expected)
    assert present(values).dtype == dtype
    assert all(np.array_equal(a, b) for a, b in zip(counted(values), (expected, counts), strict=True))
