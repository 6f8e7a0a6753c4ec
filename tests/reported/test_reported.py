"""On every pair made after a report: the answer is right, by the judgement of score.py."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import vxlanalyze as vx
from tests.contradictions import contradictions
from tests.findings_to_act_on import shortcomings
from tests.reported.registry import Pair, discover, judge

ABSENT = {"direction": "", "src": "", "dst": "", "sport": 0, "dport": 0, "protocol": 0, "ip_id": -1}


@pytest.mark.parametrize("made", [pytest.param(p, id=p.name) for p in discover().values()])
def test_the_answer_is_right(made: Pair, tmp_path: Path) -> None:
    truth = made.write(tmp_path / "pair")
    captures = sorted(path for path in (tmp_path / "pair").iterdir() if path.suffix in (".pcap", ".pcapng"))
    why = []
    for cluster in {"both": (False, True)}.get(str(made.kube), (bool(made.kube),)):
        kube = tmp_path / "pair" / "kube.json" if cluster else None
        result = vx.compare(*captures, kube=kube)
        result.save(tmp_path / "report.json")
        report = json.loads((tmp_path / "report.json").read_text())
        why += contradictions(report) + shortcomings(report)
        why += judge(truth, report["findings"], lost_in(result), [path.stem for path in captures])
    assert why == []


def lost_in(result: vx.Comparison) -> Counter[tuple[Any, ...]]:
    lost = result.packets[result.packets["outcome"] == "lost"]
    columns = [lost[name].astype(object).where(lost[name].notna(), absent) for name, absent in ABSENT.items()]
    return Counter(zip(*columns, strict=True))
