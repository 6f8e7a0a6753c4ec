"""All outputs of hosts that are known, and the reading of a text that is one of them."""

from collections.abc import Iterator
from itertools import islice

from vxlanalyze.kubernetes.hosts import (
    connections,
    counters,
    devices,
    forwarding,
    iptables,
    nftables,
    overlays,
    routes,
    settings,
)
from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_FIRST_LINES = 12
_MOST_ROWS = 100_000  # of the tables of a host only connections are longer, and these decide
OUTPUTS: tuple[Output, ...] = (
    iptables.OUTPUT,
    nftables.OUTPUT,
    *counters.OUTPUTS,  # before devices: ip -s link has devices as well
    devices.OUTPUT,
    settings.OUTPUT,
    *routes.OUTPUTS,
    *connections.OUTPUTS,
    *overlays.OUTPUTS,
    forwarding.OUTPUT,
)


def read_output(lines: list[Line]) -> tuple[str, tuple[Row, ...]] | None:
    """Kind and rows of numbered lines; None where they are none of the outputs."""
    first = [line for _, line in lines[: 4 * _FIRST_LINES] if line.strip()][:_FIRST_LINES]
    if not first:
        return None
    for output in OUTPUTS:
        if output.opens(first):
            rows = tuple(islice(output.read(lines), _MOST_ROWS))
            if rows:
                return output.kind, rows
    return None


def numbered(text: str, longest: int) -> Iterator[Line]:
    """Give lines with their numbers from 1; those that are too long are left out."""
    yield from ((n, line.rstrip()) for n, line in enumerate(text.splitlines(), 1) if len(line) <= longest)
