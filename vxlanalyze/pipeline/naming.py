"""Name captures that come through a pipe after their node, as they have no file name.

The node of each capture is only known once the packets are paired; so a stream begins with a placeholder, and
results that depend on names are recomputed with the name found.
"""

from collections.abc import Sequence

from vxlanalyze.analysis.underlay import tunnel_ends
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.opened import STANDARD_INPUT
from vxlanalyze.capture.sources import DESCRIPTORS, name_of
from vxlanalyze.pairing.model import Comparison


def named_by_node(sources: Sequence[LogicalCapture], comparison: Comparison) -> list[LogicalCapture]:
    """Name captures from pipes after their nodes: by `--kube`, else by the first tunnel address.

    Captures with a name keep it, and so does one whose node is unknown or has a name already in use.
    """
    names = [_node_name(s, comparison) if _is_placeholder(s) else s.name for s in sources]
    return [
        source if name in (None, source.name) or names.count(name) > 1 else source.renamed(name)
        for source, name in zip(sources, names, strict=True)
    ]


def _is_placeholder(source: LogicalCapture) -> bool:
    path = source.files[0].path
    piped = path in (STANDARD_INPUT, "/dev/stdin") or path.startswith(DESCRIPTORS)
    return piped and source.name.partition("-")[0] == name_of(path)


def _node_name(source: LogicalCapture, comparison: Comparison) -> str | None:
    addresses = next((p.addresses for p in comparison.points if p.name == source.name), ())
    addresses = addresses or _sent_to(source.name, comparison)
    known = (comparison.cluster.node_of(address) for address in addresses)
    return next((name for name in known if name is not None), addresses[0] if addresses else None)


def _sent_to(name: str, comparison: Comparison) -> tuple[str, ...]:
    """Give the one address that the neighbour's tunnel packets go to, the only evidence on a dead path."""
    directions = [d for d in comparison.directions if d.receiver.name == name]
    to = {address for direction in directions for address in tunnel_ends.of(direction).destinations}
    return tuple(to) if len(to) == 1 else ()
