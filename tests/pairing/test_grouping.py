"""Members of many groups in one pass, and what stands next to the packets of one source."""

from ipaddress import IPv6Address

import numpy as np
import pytest

from vxlanalyze.pairing.addresses import Common, ahead_ns, with_neighbours
from vxlanalyze.pairing.grouping import members
from vxlanalyze.pairing.tuples import among
from vxlanalyze.wire.addresses import text


@pytest.mark.parametrize("seed", range(20))
def test_members_are_the_places_of_each_group(seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 9))
    group = rng.integers(-2, groups, int(rng.integers(0, 40)))

    found = members(group, groups)

    assert [f.tolist() for f in found] == [np.flatnonzero(group == g).tolist() for g in range(groups)]


@pytest.mark.parametrize("seed", range(20))
def test_neighbours_are_all_that_a_source_is_compared_with(seed):
    rng = np.random.default_rng(seed)
    source = rng.integers(0, 4, 60).astype(np.int32)
    common = Common(source, (source, source), rng.integers(0, 1000, 60), lambda: np.zeros(60, np.int8))
    rows = with_neighbours(*(np.flatnonzero(source == end) for end in (1, 2)))

    assert ahead_ns(source[rows], common.later_ns[rows], 1) == common.ahead_ns(1, 2)


@pytest.mark.parametrize("some", [1, 2, 30])
def test_rows_among_others(some):
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 3, (200, 3)).astype(np.uint8)
    wanted = {bytes(row) for row in rows[:some]}

    assert among(rows, rows[:some]).tolist() == [bytes(row) in wanted for row in rows]


@pytest.mark.parametrize(
    "address", ["::", "::1", "::ffff:102:304", "::102:304", "::ffff:0:102:304", "1:0:2::", "fd00::1:0:0:2"]
)
def test_addresses_are_written_as_ipaddress_writes_them(address):
    octets = np.frombuffer(IPv6Address(address).packed, np.uint8)[np.newaxis]

    assert text(octets, np.array([6], np.uint8)) == [address]
