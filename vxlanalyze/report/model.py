"""The report: plain data that survives JSON and from which every output can be reproduced.

Names and shapes are those of the published JSON Schema; it holds plain numbers, text, lists and dicts only.
"""

from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

SCHEMA = "vxlanalyze.report/1"
SEVERITIES = ("info", "warning", "critical")


class FileRecord(TypedDict):
    """One file of a capture; `sha256` is null where it was not requested."""

    path: str
    bytes: int
    sha256: str | None
    format: str
    compression: str | None


class CaptureRecord(TypedDict):
    """One capture; times are RFC 3339 with nanoseconds, null where it holds no frame.

    `accounting` counts its frames by class; `undecoded` those with an undecoded header before IP, by name.
    """

    name: str
    files: list[FileRecord]
    link_types: list[str]
    packets: int
    tunnel_packets: int
    first: str | None
    last: str | None
    snaplen: int | None
    dropped_by_kernel: int | None
    node_addresses: list[str]
    node_addresses_by: str
    accounting: NotRequired[dict[str, int]]  # missing from reports of earlier versions
    undecoded: NotRequired[dict[str, int]]  # likewise


# "from" and "to" are Python keywords, so these use the functional form.
ClockRecord = TypedDict(
    "ClockRecord",
    {
        "from": str,
        "to": str,
        "offset_ns": int | None,
        "drift_ppm": float | None,
        "uncertainty_ns": int | None,
        "method": str,
    },
)


class DelayRecord(TypedDict):
    """One-way delay quantiles in nanoseconds; null where none was measured."""

    min: int | None
    p50: int | None
    p90: int | None
    p99: int | None
    max: int | None
    uncertainty: int | None


class WindowRecord(TypedDict):
    """The time that both captures cover, by the sender's clock, and the evidence for it."""

    first: str
    last: str
    by: str


HopRecord = TypedDict(
    "HopRecord",
    {
        "from": str,
        "to": str,
        "direction": str,
        "sent": int,
        "delivered": int,
        "lost": int,
        "unknown": int,
        "unknown_reasons": dict[str, int],  # window, capture-loss, ambiguous, other-peer
        "loss_ratio": float | None,
        "low": float | None,  # 95 % interval of loss_ratio
        "high": float | None,
        "bytes_lost": int,
        "delay_ns": DelayRecord,
        "reordered": int,
        "duplicated": int,
        "corrupted": int,
        "largest_delivered": int | None,
        "smallest_lost": int | None,
        "window": WindowRecord | None,
        "not_assessed": str | None,  # why loss cannot be judged here
        "in_part": NotRequired[int],  # delivered, the first fragment alone; not in earlier reports
    },
)


class QuantityRecord(TypedDict):
    """A measured value with its unit."""

    value: int | float | str | None
    unit: str


class RuledOutRecord(TypedDict):
    """A lookalike and why it is ruled out."""

    code: str
    why: str


class FindingRecord(TypedDict):
    """One finding; see ``diagnostics.base.Finding``."""

    code: str
    severity: str
    direction: str | None
    summary: str
    explanation: str
    remedy: str
    evidence: dict[str, QuantityRecord]
    ruled_out: list[RuledOutRecord]
    because: str | None
    frames: dict[str, list[int]]
    frame_count: int
    display_filter: str
    open: NotRequired["OpenRecord | None"]  # missing from reports of earlier versions


class ProbeStepRecord(TypedDict):
    """A command of a probe and its node; "" means wherever the cluster can be reached."""

    node: str
    command: str
    purpose: str


class OutcomeRecord(TypedDict):
    """A possible outcome of a probe, the explanations that remain, and the title of the next probe."""

    seen: str
    leaves: list[str]
    next: str | None


class ProbeRecord(TypedDict):
    """The observation that decides most of what is open relative to its time."""

    title: str
    minutes: float
    steps: list[ProbeStepRecord]
    outcomes: list[OutcomeRecord]


class OpenRecord(TypedDict):
    """Explanations left open by the captures, and the next probe, null if none distinguishes them."""

    explanations: list[str]
    probe: ProbeRecord | None


def key_of(finding: FindingRecord) -> str:
    """Identifier of a finding: ``code@direction``, or ``code``."""
    return finding["code"] if finding["direction"] is None else f"{finding['code']}@{finding['direction']}"


class NotAssessedRecord(TypedDict):
    """A check that could not be decided."""

    code: str
    direction: str | None
    reason: str


class LatencyRecord(TypedDict):
    """Time from request to answer, nanoseconds."""

    p50: int | None
    p99: int | None


class DividedRecord(TypedDict):
    """The time of requests, as quantiles of each part; `forward` and `reverse` need both clocks."""

    exchanges: int
    forward: LatencyRecord
    server: LatencyRecord
    reverse: LatencyRecord
    transfer: LatencyRecord


class QuestionRecord(TypedDict):
    """DNS queries for one name and type, and their outcomes; the name is null if it is not text."""

    name: str | None
    type: str
    requests: int
    answered: int
    unanswered: int


class ServiceRecord(TypedDict):
    """Requests of one client to one server, and outcomes; `time_ns` is null if only one end saw them."""

    protocol: str
    client: str
    server: str
    service: str | None
    requests: int
    answered: int
    refused: int
    unanswered: int
    not_taken: NotRequired[int]  # only where there are any
    latency_ns: LatencyRecord
    time_ns: NotRequired[DividedRecord | None]  # missing from reports of earlier versions
    questions: NotRequired[list[QuestionRecord]]  # of DNS only


class SpreadRecord(TypedDict):
    """Smallest, median, 99th percentile and largest of a measurement; null if there is none."""

    min: int | None
    p50: int | None
    p99: int | None
    max: int | None


class ConnectionRecord(TypedDict):
    """How the time of one TCP connection is spent; `waited_ns` has a value for each of ``WAITED_FOR``."""

    client: str
    server: str
    service: str | None
    limit: str
    gain_ns: int
    active_ns: int
    idle_ns: int
    waited_ns: dict[str, int]
    client_bytes: int
    server_bytes: int
    bits_per_s: float
    rtt_ns: SpreadRecord
    think_ns: SpreadRecord
    window_bytes: SpreadRecord
    resent: int
    resent_ratio: float | None
    seen_at: str | None


class FactRecord(TypedDict):
    """A file given in addition to the captures; `capture` is null for files about the whole cluster."""

    capture: str | None
    kind: str
    path: str


class ToolRecord(TypedDict):
    """The program that created the report."""

    name: str
    version: str


@dataclass(frozen=True)
class Report:
    """The result of one run.

    `names` maps addresses to their names in the cluster; `verdict` is one sentence that answers "what is
    wrong?", `impact` describes who is affected; `plots` holds the aggregated series that plots are drawn from
    (keys by plot, plain numbers); `broken` names diagnostics that raised, with the error; `asked` are the
    codes of all diagnostics that ran; `inside` are the hops within nodes, which JSON lists after those
    between captures; `connections` are the TCP connections, of `connections_total`, with the most to gain.
    """

    tool: ToolRecord
    verdict: str
    captures: list[CaptureRecord]
    clock: list[ClockRecord]
    hops: list[HopRecord]
    findings: list[FindingRecord]
    not_assessed: list[NotAssessedRecord]
    services: list[ServiceRecord]
    names: dict[str, str]
    plots: dict[str, Any]
    broken: list[dict[str, str]]
    diagnostics: list[str] = field(default_factory=list)
    facts: list[FactRecord] = field(default_factory=list)
    inside: list[HopRecord] = field(default_factory=list)
    connections: list[ConnectionRecord] = field(default_factory=list)
    connections_total: int = 0
    impact: list[str] = field(default_factory=list)
    schema: str = SCHEMA
