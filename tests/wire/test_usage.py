"""What a capture holds of each flow."""

import numpy as np

from vxlanalyze.wire.usage import usage


def test_frames_of_each_flow_are_counted_and_their_ends_found():
    flow = np.array([1, -1, 0, 1, 1, 3], np.int32)
    found = usage(flow, np.array([10, 99, 20, 50, 40, 60]), 4)

    assert found.packets.tolist() == [1, 3, 0, 1]
    assert found.first_row.tolist() == [2, 0, -1, 5]
    assert found.last_row.tolist() == [2, 4, -1, 5]
    assert found.latest_ns[[0, 1, 3]].tolist() == [20, 50, 60]
    assert found.used.tolist() == [True, True, False, True]
