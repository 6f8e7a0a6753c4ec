"""Whose node a capture was taken on: told from what was seen, whatever the order of the captures."""

import numpy as np
import pytest

import vxlanalyze as vx
from tests.report.recorded import paths
from vxlanalyze.pairing import addresses
from vxlanalyze.wire.model import INNER_L4_SHIFT, OUTER_L4_SHIFT, Checksum


@pytest.mark.parametrize(
    "name",
    [
        "random-loss",  # both ways: by delay
        "receiver-firewall",  # one way, unfilled checksums
        "nic-bad-checksum",  # one way, and what is filled in is wrong
        "port-rewritten-on-the-way",  # one way, under other outer headers
        "path-dies",  # what is lost was seen at its sender
    ],
)
def test_captures_given_the_wrong_way_round_keep_their_addresses(name: str):
    first, last = paths(name)

    def homes(*captures: str) -> dict[str, tuple[str, ...]]:
        return {point.name: point.addresses for point in vx.compare(*captures).of_captures.comparison.points}

    assert homes(f"p={first}", f"q={last}") == homes(f"q={last}", f"p={first}")


def states(outer: Checksum, inner: Checksum) -> int:
    return outer << OUTER_L4_SHIFT | inner << INNER_L4_SHIFT


@pytest.mark.parametrize(
    ("here", "there", "nearer"),
    [
        (states(Checksum.LCO, Checksum.PARTIAL), states(Checksum.OK, Checksum.OK), 1),
        (states(Checksum.ABSENT, Checksum.BAD), states(Checksum.ABSENT, Checksum.PARTIAL), -1),
        (states(Checksum.PARTIAL, Checksum.OK), states(Checksum.ALL_ONES, Checksum.OK), 1),
        # Inside one host, both see them unfilled; a snap length hides them; without offload all are right.
        (states(Checksum.ABSENT, Checksum.PARTIAL), states(Checksum.ABSENT, Checksum.PARTIAL), 0),
        (states(Checksum.ABSENT, Checksum.PARTIAL), states(Checksum.ABSENT, Checksum.UNVERIFIABLE), 0),
        (states(Checksum.OK, Checksum.OK), states(Checksum.OK, Checksum.OK), 0),
    ],
)
def test_a_checksum_is_filled_in_behind_the_senders_capture(here: int, there: int, nearer: int):
    assert addresses.filled(np.array([here], np.uint16), np.array([there], np.uint16)) == [nearer]
