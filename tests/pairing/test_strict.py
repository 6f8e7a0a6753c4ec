"""Partitions of the strictest keys, matched apart, give what matching all at once gives."""

import numpy as np
import pytest

from vxlanalyze.pairing.strict import KeyedRows, pairs, partners


def sightings(rng: np.random.Generator, rows: int) -> KeyedRows:
    # Few values of many: most keys occur once or twice on a side, some on one side only.
    keys = rng.integers(0, 2**64, 3000, dtype=np.uint64)
    return KeyedRows(np.sort(rng.permutation(4 * rows)[:rows]).astype(np.int32), rng.choice(keys, rows))


@pytest.mark.parametrize("parts", [1, 2, 7, 64])
def test_partitions_together_pair_what_is_paired_at_once(parts):
    rng = np.random.default_rng(parts)
    first, second = sightings(rng, 1000), sightings(rng, 1200)
    second.key[:600] = first.key[:600]

    apart = [pairs(*both) for both in zip(first.parted(parts), second.parted(parts), strict=True)]

    at_once = partners([pairs(first, second)], 4000)
    assert (at_once >= 0).sum() > 100
    assert np.array_equal(partners(apart, 4000), at_once)


def test_each_sighting_lies_in_one_partition_in_its_order():
    seen = sightings(np.random.default_rng(1), 1000)

    parted = seen.parted(5)

    assert sorted(np.concatenate([part.row for part in parted])) == seen.row.tolist()
    assert all((np.diff(part.row) > 0).all() for part in parted)


def test_a_capture_without_anything_to_match():
    nothing = KeyedRows(np.zeros(0, np.int32), np.zeros(0, np.uint64))

    assert [len(part.row) for part in nothing.parted(3)] == [0, 0, 0]
    assert partners([pairs(nothing, nothing)], 2).tolist() == [-1, -1]
