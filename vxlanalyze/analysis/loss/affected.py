"""Describe which traffic an explained loss affects, and which it does not."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import RuledOut
from vxlanalyze.analysis.loss.hypothesis import Hypothesis
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.traits import Classes, Trait, server_port, serves_at_source
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.words import listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW, Flows
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, TITLES, UDP

_ICMP_TYPES = {0: "echo reply", 3: "unreachable", 8: "echo request", 128: "echo request", 129: "echo reply"}
_FAMILIES = {0: "what is not IP", 4: "IPv4", 6: "IPv6"}


def protocol_name(number: int) -> str:
    """Name an IP protocol: ``TCP``; ``protocol 89`` where it has no common name."""
    return "ARP" if number == 0 else TITLES.get(number, f"protocol {number}")


def members(direction: Direction, lost: Losses, rule: Hypothesis, cluster: Cluster) -> list[str]:
    """Name the classes of a rule."""
    if rule.trait is None:
        return []
    sorted_by = lost.traits[rule.trait]
    return [name(direction.sender.flows, sorted_by, int(m), cluster) for m in rule.members]


def name(flows: Flows, sorted_by: Classes, member: int, cluster: Cluster) -> str:
    """Name one class: ``TCP port 8080 of 10.233.65.20 (default/web)``, ``UDP``, ``45123``."""
    row = int(sorted_by.example[member])
    if sorted_by.trait is Trait.OUTER_PORT:
        return str(int(flows.outer_sport[row]))
    if sorted_by.trait is Trait.FAMILY:
        return _FAMILIES[int(flows.family[row])]
    if sorted_by.trait is Trait.PROTOCOL:
        return protocol_name(int(flows.protocol[row]))
    if sorted_by.trait is Trait.TUNNEL_ENDPOINT:
        return f"{_address(flows.outer_dst, flows.outer_family, row)} port {int(flows.outer_dport[row])}"
    if sorted_by.trait is Trait.SOURCE:
        return f"everything from {cluster.named(_address(flows.src, flows.family, row))}"
    if sorted_by.trait is Trait.DESTINATION:
        return f"everything to {cluster.named(_address(flows.dst, flows.family, row))}"
    return _service(
        flows, row, bool(sorted_by.from_server[row]), cluster, at_any=sorted_by.trait is Trait.PORT
    )


def protocols(direction: Direction, chosen: NDArray[np.bool_]) -> dict[str, int]:
    """Count chosen packets of a direction by inner protocol, the most frequent first."""
    flow = direction.flow[chosen]
    counts = np.bincount(direction.sender.flows.protocol[flow[flow != NO_FLOW]], minlength=1)
    order = np.argsort(-counts, kind="stable")
    return {protocol_name(int(p)): int(counts[p]) for p in order if counts[p]}


def service_ports(direction: Direction, chosen: NDArray[np.bool_]) -> list[str]:
    """Name the services of chosen packets by protocol and the server's port, at any address."""
    flows, rows = direction.sender.flows, np.unique(direction.flow[chosen & (direction.flow != NO_FLOW)])
    from_server = serves_at_source(flows)[rows]
    ports = server_port(flows, rows, from_server)
    both = zip(flows.protocol[rows].tolist(), ports.tolist(), strict=True)
    return [f"{protocol_name(p)} port {port}" for p, port in sorted(set(both))]


def families(direction: Direction, chosen: NDArray[np.bool_]) -> dict[str, int]:
    """Count chosen packets of a direction by inner address family, the most frequent first."""
    flow = direction.flow[chosen]
    counts = np.bincount(direction.sender.flows.family[flow[flow != NO_FLOW]], minlength=1)
    order = np.argsort(-counts, kind="stable")
    return {_FAMILIES[int(f)]: int(counts[f]) for f in order if counts[f]}


def sizes(direction: Direction, chosen: NDArray[np.bool_]) -> str:
    """State the wire lengths of chosen packets: ``110 to 155 bytes``."""
    lengths = direction.wire_length[chosen]
    least, most = int(lengths.min()), int(lengths.max())
    return f"{least:,} bytes" if least == most else f"{least:,} to {most:,} bytes"


def whatever(direction: Direction, chosen: NDArray[np.bool_]) -> str:
    """State what chosen packets do not have in common: ``, whatever their size and protocol``; "" if all."""
    varied = {
        "size": len(np.unique(direction.wire_length[chosen])) > 1,
        "protocol": len(protocols(direction, chosen)) > 1,
    }
    which = [what for what, varies in varied.items() if varies]
    return f", whatever their {' and '.join(which)}" if which else ""


def not_by_size(direction: Direction, lost: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    """Rule out a black hole for large packets where lost ones are no larger than some that arrive."""
    smallest, largest = int(direction.wire_length[lost].min()), direction.largest_delivered
    if largest is None or smallest > largest:
        return ()
    why = f"packets of {smallest:,} bytes are lost and packets of {largest:,} bytes arrive"
    if smallest == largest:
        why = f"other packets of the same {smallest:,} bytes arrive"
    return (RuledOut("mtu-blackhole", why),)


def tally(counts: dict[str, int]) -> str:
    """List counts by name: ``16 TCP and 6 UDP``."""
    return listed([f"{n:,} {what}" for what, n in counts.items()])


def packets(counts: dict[str, int]) -> str:
    """List counts by name as packets: ``1 ICMP packet``, ``16 TCP and 6 UDP packets``."""
    return f"{tally(counts)} {'packet' if sum(counts.values()) == 1 else 'packets'}"


def outer_ports(direction: Direction, chosen: NDArray[np.bool_]) -> int:
    """Count the outer source ports of chosen packets."""
    return len(present(direction.sender.flows.outer_sport[direction.flow[chosen]]))


def _service(flows: Flows, row: int, from_server: bool, cluster: Cluster, *, at_any: bool) -> str:
    port = int(server_port(flows, np.array([row]), np.array([from_server]))[0])
    protocol = int(flows.protocol[row])
    address = _address(flows.src if from_server else flows.dst, flows.family, row)
    kind = f"{_ICMP_TYPES.get(port, f'type {port}')}" if protocol in (ICMP, ICMPV6) else f"port {port}"
    what = (
        f"{protocol_name(protocol)} {kind}"
        if protocol in (ICMP, ICMPV6, TCP, UDP)
        else protocol_name(protocol)
    )
    if at_any:
        return f"answers from {what}" if from_server else what
    whom = cluster.named(address)
    if protocol in (ICMP, ICMPV6):
        return f"{what} to {whom}"
    return f"answers from {what} of {whom}" if from_server else f"{what} of {whom}"


def _address(addresses: NDArray[np.uint8], family: NDArray[np.uint8], row: int) -> str:
    return text(addresses[row : row + 1], family[row : row + 1])[0]
