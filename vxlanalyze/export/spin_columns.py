"""Columns of `flows` with what QUIC's spin bit shows; null where there is none."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.quic import Spin, spins
from vxlanalyze.export.columns import SPIN
from vxlanalyze.pairing.model import Comparison, Direction

_NAMES = {Spin.CONSTANT: "constant", Spin.RANDOM: "random", Spin.SET: "set"}


def spin_columns(comparison: Comparison, direction: Direction, flow: NDArray[np.int32]) -> dict[str, Any]:
    """Give the columns for flows of a direction's sender, shape ``(k,)``, -1 where it did not see them."""
    found = spins(comparison, direction.sender)
    if found is None:
        return {column.name: pa.nulls(len(flow), column.type) for column in SPIN}
    safe = np.maximum(flow, 0)
    spin = np.where(flow >= 0, found.spin[safe], Spin.NONE)
    columns: dict[str, Any] = {
        "spin_bit": pa.array([_NAMES.get(Spin(each)) for each in spin.tolist()], pa.string())
    }
    for name, values in (
        ("spin_rtt_p50_ns", found.rtt_p50_ns),
        ("spin_rtt_p99_ns", found.rtt_p99_ns),
        ("spin_own_p50_ns", found.own_p50_ns),
    ):
        taken = np.where(spin == Spin.SET, values[safe], -1)
        columns[name] = pa.array(taken, pa.int64(), mask=taken < 0)
    return columns
