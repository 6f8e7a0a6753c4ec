"""Hops within nodes, between two interfaces of one capture, for the path picture and the tables."""

from vxlanalyze.report.model import HopRecord, Report


def losing(report: Report) -> list[HopRecord]:
    """Give those with partial loss; hops where nothing passes are not part of the path."""
    judged = (hop for hop in report.inside if hop["not_assessed"] is None)
    return [hop for hop in judged if hop["lost"] and hop["delivered"]]


def lost_in(report: Report, name: str) -> int:
    """Packets lost inside the node of a capture according to findings, each counted once."""
    stated = (f["evidence"] for f in report.findings if "last_seen" in f["evidence"])
    return sum(int(e["lost"]["value"] or 0) for e in stated if e["inside"]["value"] == name)
