"""What interface statistics say of the time that a capture covers, in whichever unit they are written."""

import numpy as np
import pytest

from tests.pairing.world import StubSource
from vxlanalyze.capture.model import InterfaceStatistics
from vxlanalyze.pairing.model import CaptureFacts
from vxlanalyze.pairing.window import OPEN_BEGIN, OPEN_END, cover

BEGIN_NS, END_NS = 1_700_000_000_000_000_000, 1_700_000_060_000_000_000


def facts(start_ns, end_ns, first_ns=None, last_ns=None):
    statistics = (InterfaceStatistics(0, start_ns, end_ns, 0, 0),)
    return CaptureFacts(
        name="node2",
        source=StubSource("node2"),
        files=(),
        interfaces=(),
        statistics=statistics,
        damages=(),
        packets=0 if first_ns is None else 2,
        tunnel_packets=0,
        first_ns=first_ns,
        last_ns=last_ns,
        snaplen_bytes=None,
        dropped_by_kernel=0,
    )


def covered(told):
    return cover(told, np.empty(0, np.int64), (0, 0), 0, 0)


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("frames", [(None, None), (BEGIN_NS + 5, END_NS - 5)])
def test_begin_and_end_are_read_in_nanoseconds_and_in_the_microseconds_of_dumpcap(unit, frames):
    """dumpcap states microseconds under any if_tsresol; a capture without a frame has nothing to compare."""
    found = covered(facts(BEGIN_NS // unit, END_NS // unit, *frames))

    assert (found.begin_ns, found.end_ns) == (BEGIN_NS, END_NS)
    assert "say when it began" in found.by


def test_nothing_stated_leaves_both_ends_open():
    found = covered(facts(None, None))
    assert (found.begin_ns, found.end_ns) == (OPEN_BEGIN, OPEN_END)


@pytest.mark.parametrize("frames", [(None, None), (BEGIN_NS, END_NS)])
@pytest.mark.parametrize("stated_ns", [0, 7_000_000])
def test_times_that_cannot_be_are_not_believed(stated_ns, frames):
    found = covered(facts(stated_ns, stated_ns, *frames))
    assert (found.begin_ns, found.end_ns) == (OPEN_BEGIN, OPEN_END)


def test_statements_that_the_frames_contradict_are_not_believed():
    found = covered(facts(BEGIN_NS + 10, END_NS - 10, BEGIN_NS, END_NS))
    assert (found.begin_ns, found.end_ns) == (OPEN_BEGIN, OPEN_END)
