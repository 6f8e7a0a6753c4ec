"""What dividing the time of connections and requests adds to a run, in processor time.

``python -m benchmarks.who_limits [PACKETS]``; the goal is a fifth at most, with a million packets a capture.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.__main__ import goal
from benchmarks.generate import generate
from vxlanalyze import diagnostics, pairing
from vxlanalyze.analysis.requests.services import services
from vxlanalyze.analysis.tcp.division import division
from vxlanalyze.analysis.tcp.exchanges import exchanges
from vxlanalyze.capture import open_sources
from vxlanalyze.diagnostics.performance import queueing_delay, slow_answer, window_limited, zero_window
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.build import build
from vxlanalyze.report.connection_records import connection_records
from vxlanalyze.report.service_times import service_times
from vxlanalyze.wire import decode

MOST_SHARE = 0.2
_PARTS: tuple[Callable[[Comparison], object], ...] = (
    *(division, exchanges, service_times, connection_records),
    *(each.check for each in (queueing_delay, window_limited, zero_window, slow_answer)),
)


def share(packets: int) -> float:
    """Give the processor time of these parts over that of all else that a run does."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(path) for path in generate(Path(folder), packets)]
        _run(paths)  # the compiled functions are loaded
        whole, parts = _run(paths)
    return parts / (whole - parts)


def _run(paths: list[str]) -> tuple[float, float]:
    """Give the processor seconds of a run, and those of the parts in it."""
    start = time.process_time()
    sources = open_sources(paths)
    comparison = pairing.pair([(source, decode(source)) for source in sources])
    services(comparison)  # what the parts share with others
    began = time.process_time()
    for part in _PARTS:
        part(comparison)
    taken = time.process_time() - began
    build(comparison, diagnostics.diagnose(comparison), digests={}, plots=False)
    return time.process_time() - start, taken


if __name__ == "__main__":
    goal(
        "who limits connections, over the rest of a run",
        share(int((*sys.argv[1:], "1000000")[0])),
        MOST_SHARE,
        "times",
    )
