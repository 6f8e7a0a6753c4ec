"""All known host outputs, and reading a text that is one of them."""

from collections.abc import Iterable, Iterator
from itertools import islice

from vxlanalyze.kubernetes.hosts import (
    configured,
    connections,
    counters,
    devices,
    drops,
    forwarding,
    iproute_json,
    iptables,
    iptables_list,
    nft_json,
    nftables,
    overlays,
    routes,
    settings,
    tracers,
)
from vxlanalyze.kubernetes.hosts.document import Document, locator, parse
from vxlanalyze.kubernetes.hosts.model import Line, Output, Row

_FIRST_LINES = 12
_MOST_ROWS = 100_000  # only a host's connection table is longer, and this many suffice
_MAY_BE_EMPTY = frozenset(("drops", "connections", "listeners"))  # nothing dropped, nothing tracked
OUTPUTS: tuple[Output, ...] = (
    iptables.OUTPUT,
    iptables_list.OUTPUT,
    nftables.OUTPUT,
    *counters.OUTPUTS,  # before devices: ip -s link has devices as well
    devices.OUTPUT,
    settings.OUTPUT,
    *routes.OUTPUTS,
    *connections.OUTPUTS,
    *overlays.OUTPUTS,
    forwarding.OUTPUT,
    *drops.OUTPUTS,
    *tracers.OUTPUTS,
    drops.LOG,
)
DOCUMENTS: tuple[Document, ...] = (nft_json.DOCUMENT, *iproute_json.DOCUMENTS, configured.DOCUMENT)


def read_output(lines: list[Line]) -> tuple[str, tuple[Row, ...]] | None:
    """Kind and rows of numbered lines; None if they are not a known output."""
    first = [line for _, line in lines[: 4 * _FIRST_LINES] if line.strip()][:_FIRST_LINES]
    if not first:
        return None
    for output in OUTPUTS:
        if output.opens(first):
            rows = tuple(islice(output.read(lines), _MOST_ROWS))
            if rows or output.kind in _MAY_BE_EMPTY:
                return output.kind, rows
    return None


def read_document(text: str) -> tuple[str, tuple[Row, ...]] | None:
    """Kind and rows of a text that is one JSON document; None if it is not a known one."""
    value = parse(text)
    if value is None:
        return None
    for document in DOCUMENTS:
        if document.opens(value):
            rows = tuple(islice(document.read(value, locator(text)), _MOST_ROWS))
            if rows:
                return document.kind, rows
    return None


def numbered(lines: Iterable[str], longest: int) -> Iterator[Line]:
    """Give lines with their numbers from 1, without overlong ones."""
    for number, line in enumerate(lines, 1):
        if len(line) <= longest and not line.startswith("```"):  # added by cilium-bugtool around an output
            yield number, line.rstrip()
