"""Build the matrix of the cluster from the reports of pairs of nodes."""

from collections.abc import Sequence

from vxlanalyze.report.matrix.model import BAD, CellRecord, Matrix, PairRecord
from vxlanalyze.report.matrix.verdict import verdict
from vxlanalyze.report.model import CaptureRecord, FindingRecord, HopRecord, Report
from vxlanalyze.report.verdict import UNKNOWN_BECAUSE


def build(names: Sequence[str], reports: Sequence[Report]) -> Matrix:
    """Combine the reports of pairs.

    Parameters
    ----------
    names : sequence of str
        Of all nodes, in the order of the matrix.
    reports : sequence of Report
        Of two nodes each, or of one without any peer; every node is in at least one.
    """
    pairs = [report for report in reports if report.hops]
    cells = {cell["direction"]: cell for report in pairs for cell in _cells(report)}
    every = [cells.get(f"{a}>{b}") or _idle(a, b) for a in names for b in names if a != b]
    nodes = [_node(name, reports) for name in names]
    return Matrix(
        tool=reports[0].tool,
        verdict=verdict(every, len(names)),
        nodes=nodes,
        cells=every,
        pairs=[_pair(report) for report in pairs],
    )


def _node(name: str, reports: Sequence[Report]) -> CaptureRecord:
    """Choose the record of a capture that shows its address."""
    records = [record for report in reports for record in report.captures if record["name"] == name]
    return max(records, key=lambda record: bool(record["node_addresses"]))


def _pair(report: Report) -> PairRecord:
    return {
        "nodes": [capture["name"] for capture in report.captures],
        "verdict": report.verdict,
        "impact": report.impact,
        "clock": report.clock,
        "findings": report.findings,
        "not_assessed": report.not_assessed,
        "services": report.services,
        "broken": report.broken,
    }


def _cells(report: Report) -> list[CellRecord]:
    ends = {capture["name"] for capture in report.captures}
    between = [hop for hop in report.hops if {hop["from"], hop["to"]} == ends]
    return [_cell(hop, report.findings) for hop in between]


def _cell(hop: HopRecord, findings: Sequence[FindingRecord]) -> CellRecord:
    worst = _worst(hop, findings)
    elsewhere = hop["unknown_reasons"].get("other-peer", 0)  # these have cells of their own
    unknown = hop["unknown"] - elsewhere
    if worst is not None:
        state, summary = worst["severity"], worst["summary"]
    elif hop["not_assessed"] is not None:
        state, summary = "undecided", hop["not_assessed"]
    elif hop["delivered"] + hop["lost"]:
        state, summary = "good", None
    elif unknown:
        reasons = ", ".join(
            UNKNOWN_BECAUSE.get(why, why) for why in hop["unknown_reasons"] if why != "other-peer"
        )
        state, summary = "undecided", f"no packet has a known fate: all are {reasons}"
    else:
        state, summary = "idle", None
    return {
        "from": hop["from"],
        "to": hop["to"],
        "direction": hop["direction"],
        "state": state,
        "finding": None if worst is None else worst["code"],
        "summary": summary,
        "sent": hop["sent"] - elsewhere,
        "delivered": hop["delivered"],
        "lost": hop["lost"],
        "unknown": unknown,
        "loss_ratio": hop["loss_ratio"],
        "low": hop["low"],
        "high": hop["high"],
        "delay_ns": hop["delay_ns"],
    }


def _idle(sender: str, receiver: str) -> CellRecord:
    """Two nodes without traffic between them."""
    return {
        "from": sender,
        "to": receiver,
        "direction": f"{sender}>{receiver}",
        "state": "idle",
        "finding": None,
        "summary": None,
        "sent": 0,
        "delivered": 0,
        "lost": 0,
        "unknown": 0,
        "loss_ratio": None,
        "low": None,
        "high": None,
        "delay_ns": None,
    }


def _worst(hop: HopRecord, findings: Sequence[FindingRecord]) -> FindingRecord | None:
    """The finding that decides the state of a direction.

    Findings of the direction itself come first, then those that affect the pair as a whole, such as different
    VNIs. Limits of a capture do not count against a direction.
    """
    own = [f for f in findings if f["direction"] == hop["direction"] and f["severity"] in BAD]
    whole = [f for f in findings if f["direction"] is None and f["severity"] == "critical"]
    return min(own or whole, key=lambda f: BAD.index(f["severity"]), default=None)
