"""Answers that fit an assistant's context: the decisive parts of a report, with truncation stated."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

MOST_BYTES = 60_000
_LONGEST_TEXT = 1_500
_MOST_FINDINGS = 20
_MOST_FRAMES = 12
_MOST_ROWS = 40
_FINDING = ("code", "severity", "direction", "summary", "explanation", "remedy", "because", "display_filter")
_HOP = (
    "direction",
    "sent",
    "delivered",
    "lost",
    "unknown",
    "loss_ratio",
    "largest_delivered",
    "smallest_lost",
)
_SERVICE = ("protocol", "client", "server", "service", "requests", "answered", "refused", "unanswered")


def of_report(report: dict[str, Any]) -> dict[str, Any]:
    """Extract from a report's JSON what is wrong, and the evidence for it."""
    findings = [_finding(f) for f in report["findings"][:_MOST_FINDINGS]]
    open_ = [{k: n[k] for k in ("code", "direction", "reason")} for n in report["not_assessed"]]
    return {
        "verdict": report.get("verdict") or (findings[0]["summary"] if findings else "nothing was found"),
        "captures": [
            {"name": c["name"], "packets": c["packets"], "frames_from": 1} for c in report["captures"]
        ],
        "findings": findings,
        "directions": [{k: h.get(k) for k in _HOP} for h in report["hops"][:_MOST_ROWS]],
        "services": [{k: s.get(k) for k in _SERVICE} for s in _worst(report["services"])],
        "not_assessed": open_[:_MOST_ROWS],
        "note": "frames are frame numbers of each capture, as Wireshark counts; quote them with what you "
        "say. What was not assessed is not known to be healthy.",
    }


def _worst(services: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(services, key=lambda s: -s["unanswered"])[:_MOST_ROWS]


def _finding(finding: dict[str, Any]) -> dict[str, Any]:
    found = {key: _cut(finding[key]) for key in _FINDING}
    found["evidence"] = {
        name: quantity["value"] for name, quantity in list(finding["evidence"].items())[:_MOST_ROWS]
    }
    found["ruled_out"] = [f"{r['code']}: {_cut(r['why'])}" for r in finding["ruled_out"]]
    found["frames"] = {name: numbers[:_MOST_FRAMES] for name, numbers in finding["frames"].items()}
    found["frame_count"] = finding["frame_count"]
    return found


def _cut(value: Any) -> Any:
    if not isinstance(value, str) or len(value) <= _LONGEST_TEXT:
        return value
    return f"{value[:_LONGEST_TEXT]}... ({len(value) - _LONGEST_TEXT:,} characters more)"


def written(answer: dict[str, Any], shrinking: Iterable[str]) -> str:
    """Write an answer as JSON of at most `MOST_BYTES`; the lists named in `shrinking` are cut, in order."""
    answer = dict(answer)
    for name in shrinking:
        rows = answer.get(name)
        while isinstance(rows, list) and rows and len(_json(answer)) > MOST_BYTES:
            left = rows[: len(rows) // 2]
            answer[f"{name}_left_out"] = answer.get(f"{name}_left_out", 0) + len(rows) - len(left)
            answer[name] = rows = left
    text = _json(answer)
    if len(text) > MOST_BYTES:
        return _json({"error": "the answer is too long; ask for less"})
    return text


def _json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"), default=str)
