"""What a report says in one place and denies in another."""

from collections.abc import Iterator, Mapping
from typing import Any

# Frames of these classes were not judged, though a healthy pair has none of them.
NEVER_IN_ORDER = ("not-arrived", "tunnel", "other-family", "other-vni", "undecoded")


def contradictions(report: Mapping[str, Any]) -> list[str]:
    """Hold the accounting against the frame counts, and the verdict against the tables."""
    found = [
        f"{c['name']}: {sum(c['accounting'].values())} of {c['packets']} frames accounted for"
        for c in report["captures"]
        if sum(c["accounting"].values()) != c["packets"]
    ]
    if report["verdict"].startswith("Nothing is wrong"):
        found += _open_in_tables(report)
    return found


def _open_in_tables(report: Mapping[str, Any]) -> Iterator[str]:
    for service in report["services"]:
        if service["unanswered"]:
            yield f"{service['unanswered']} requests {service['client']} > {service['server']} unanswered"
    for capture in report["captures"]:
        for code in NEVER_IN_ORDER:
            if capture["accounting"].get(code):
                yield f"{capture['name']}: {capture['accounting'][code]} frames {code}"
    for hop in report["hops"]:
        if hop["lost"]:
            yield f"{hop['lost']} packets lost {hop['direction']}"
    for finding in report["findings"]:
        if finding["severity"] != "info":
            yield f"{finding['code']} is {finding['severity']}"
