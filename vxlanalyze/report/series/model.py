"""The types of the series, as stored in ``Report.plots`` and JSON.

Times are nanoseconds since `start` (RFC 3339, by the first capture's clock); related lists have the same
length.
"""

from typing import NotRequired, TypedDict


class CountsOverTime(TypedDict):
    """Packets of a direction in each bin of time, by fate."""

    direction: str
    delivered: list[int]
    lost: list[int]
    unknown: list[int]


class Timeline(TypedDict):
    """Packets by send time and fate."""

    start: str
    bin_ns: int
    directions: list[CountsOverTime]


class CountsBySize(TypedDict):
    """Packets of a direction by length, for non-empty bins.

    A bin covers the lengths from `from_bytes` to below `from_bytes + bin_bytes`, of the outer IP packet,
    or of the inner one where it is unencapsulated. The two limits are exact, null where there is none;
    `lost_longer` are the lost packets longer than any that arrived.
    """

    direction: str
    bin_bytes: int
    from_bytes: list[int]
    delivered: list[int]
    lost: list[int]
    largest_delivered: int | None
    smallest_lost: int | None
    lost_longer: int


class DelayBands(TypedDict):
    """Quantiles of the one-way delay of a direction in nanoseconds, for non-empty bins.

    `uncertainty_ns` is that of the clock, null where unknown; `relative` delays count from the smallest.
    """

    direction: str
    uncertainty_ns: int | None
    relative: bool
    bin: list[int]
    min: list[int]
    p10: list[int]
    p50: list[int]
    p90: list[int]
    p99: list[int]
    max: list[int]


class Delays(TypedDict):
    """One-way delay over time."""

    start: str
    bin_ns: int
    directions: list[DelayBands]


class Who(TypedDict):
    """The ends of a conversation; null for fields that a protocol does not have."""

    direction: str
    protocol: str
    src: str
    sport: int | None
    dst: str
    dport: int | None
    vni: int | None


class Cells(TypedDict):
    """Non-empty cells of a grid of time and position."""

    time: list[int]
    position: list[int]


class Sequence(TypedDict):
    """One flow by time and position: bytes of the TCP stream, otherwise packets.

    `acknowledged` is the highest acknowledgement that had reached the sender at each time with one,
    `acknowledged_far` the same as it left the receiver, `allowed` the end of the window advertised to the
    sender; reports of earlier versions lack the last two.
    """

    flow: Who
    start: str
    unit: str
    packets: int
    lost: int
    cell_ns: int
    cell_units: int
    delivered: Cells
    lost_cells: Cells
    acknowledged: Cells
    acknowledged_far: NotRequired[Cells]
    allowed: NotRequired[Cells]


class SeenAt(TypedDict):
    """Where and when a point saw a packet."""

    frame: int
    time_ns: int


class FollowedPacket(Who):
    """One packet on its path; `seen` has an entry for each point in path order, null if not seen."""

    way: str
    fate: str
    length: int
    flags: str | None
    seen: list[SeenAt | None]


class Ladder(TypedDict):
    """Packets followed from point to point; `finding` is the key of the finding they show, or null."""

    finding: str | None
    points: list[str]
    start: str
    total: int
    packets: list[FollowedPacket]


class Packed(TypedDict):
    """A long table in columns: see `packed`. `texts` are the strings that columns refer to by index."""

    rows: int
    texts: list[str]
    columns: dict[str, str]


class FlowList(TypedDict):
    """The flows with the most losses, then those with the most packets; `total` counts all.

    A row is `Who`, and the outcome of the flow in packets (`sent`, `delivered`, `lost`, `unknown`, `bytes` of
    inner IP, `largest_delivered`, `smallest_lost`) with frames at the sender (`first_frame`,
    `first_lost_frame`).
    """

    total: int
    table: Packed


class LostList(TypedDict):
    """The first lost packets of each direction; `total` counts all.

    A row is `Who`, the send time (`time_ns`), its `frame` at the sender and its position in that frame's
    super-packet (`segment`), its `length` inside and on the wire (`wire_length`), `flags` and `seq` of TCP.
    """

    start: str
    total: int
    table: Packed


class Plots(TypedDict):
    """All series of a report."""

    timeline: Timeline
    sizes: list[CountsBySize]
    delay: Delays
    sequence: Sequence | None
    slow: NotRequired[list[Sequence]]
    ladders: list[Ladder]
    flows: FlowList
    lost_packets: LostList
