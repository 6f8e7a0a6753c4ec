"""In healthy worlds drawn at random, nothing is found above info."""

import pytest

from tests.reported.healthy import found_in

ODD = (104, 170)  # flooded ARP that one of several interfaces shows; WireGuard in mirrors


@pytest.mark.parametrize("seed", [*range(0, 60, 6), *ODD])
def test_nothing_is_found_where_nothing_is_wrong(seed, tmp_path):
    """``python -m tests.reported.healthy 400`` tries more."""
    assert found_in(seed, tmp_path) == []
