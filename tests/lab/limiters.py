"""Who limits a connection, by construction: records cases and judges the program by them.

The cases are those of ``limiters.toml``, and the scenarios that name a limit, whose recordings are kept.

    python -m tests.lab.limiters [--keep FOLDER] [--judge] [NAME ...]

Each case is recorded with its twin, in which the fault is left out. A line says whether what the program
names is what was built, and how its shares differ from the kernel's own (``ss -tin``, read at the end of the
connection). Needs root, as all recording does; ``--judge`` only judges again what was kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vxlanalyze as vx
from tests.lab import scenario
from tests.lab.kernel_shares import Difference, differences
from tests.lab.namespaces import LabError
from tests.lab.record import record
from tests.lab.scenario import Scenario

CASES = Path(__file__).with_suffix(".toml")
SCENARIOS = sorted(Path(__file__).with_name("scenarios").glob("*.toml"))
PORT = 9100
ENDS = {"ab": "node1>node2", "ba": "node2>node1"}
MOST_POINTS = 10.0


def cases() -> Iterator[Scenario]:
    """Read every case, those of the table each followed by its twin."""
    yield from (each for each in map(scenario.load, SCENARIOS) if each.limit)
    for name, table in tomllib.loads(CASES.read_text()).items():
        twin = table.pop("twin", None)
        yield _case(name, table)
        if twin is not None:
            healthy = {} if table.get("root") == "none" else {"root": "none", "must": []}
            yield _case(f"{name}-twin", table | healthy | twin)


def _case(name: str, table: dict[str, Any]) -> Scenario:
    options = [each for each in (table["transfer"], table.get("also")) if each]
    work = [
        {"do": "transfer", "port": PORT + place, "options": each, "step": 1}
        for place, each in enumerate(options)
    ]
    if len(work) > 1:
        work[0]["wait_s"] = 0.3  # until the other one has filled the queue
    written = {
        "story": name.replace("-", " "),
        "work": work,
        "cluster": table.get("cluster", {"like": "k3s"}),
        "network": table.get("network", []),
        "fault": table.get("fault", []),
        "expected": {"root": table["root"], "must": table.get("must", []), "lost": False},
        "delay_ms": table["delay_ms"],
        "limit": table["limit"],
    }
    return scenario.parsed(name, written)


@dataclass(frozen=True)
class Judgement:
    """What is wrong with what the program says of a case, and what it said of the connection."""

    wrong: tuple[str, ...]
    shares: dict[str, float]
    active_s: float
    apart: tuple[Difference, ...]

    def __str__(self) -> str:
        shown = " ".join(f"{name}={100 * share:.0f}" for name, share in self.shares.items() if share >= 0.005)
        most = max((abs(each.points) for each in self.apart), default=0.0)
        return f"{self.active_s:.2f} s: {shown}; from the kernel's at most {most:.1f} points"


def judge(case: Scenario, folder: Path) -> Judgement:
    """Judge the program by one recording."""
    result = vx.compare(folder / "node1.pcap.gz", folder / "node2.pcap.gz")
    slow = result.slow()
    row = slow[slow["server"].str.endswith(f":{PORT}")].iloc[0]
    apart = differences(result, json.loads((folder / "ss.json").read_text()))
    wrong = [
        *_wrong(case, row["limit"], result.findings),
        *(str(e) for e in apart if abs(e.points) > MOST_POINTS),
    ]
    waited = {name: row[name] for name in slow.columns if name.startswith("waited_")}
    active_ns = max(row["active_ns"], 1)
    shares = {name[len("waited_") : -len("_ns")]: value / active_ns for name, value in waited.items()}
    return Judgement(tuple(wrong), shares, active_ns / 1e9, tuple(apart))


def _wrong(case: Scenario, limit: str, findings: vx.Findings) -> Iterator[str]:
    if limit not in case.limit:
        yield f"limit {limit}, not {' or '.join(case.limit)}"
    first = next((f.code for f in findings if f.severity != "info"), "none")
    roots = case.expected.root
    if first not in ((roots,) if isinstance(roots, str) else roots):
        yield f"first finding {first}, not {roots}"
    for must in case.expected.must:
        code, _, way = must.partition("@")
        if f"{code}@{ENDS[way]}" not in findings:
            yield f"{must} is missing"


def main() -> int:
    """Record and judge; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.limiters", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--keep", type=Path, help="keep the recordings in this folder")
    parser.add_argument("--judge", action="store_true", help="record nothing, judge what was kept")
    asked = parser.parse_args()
    chosen = [case for case in cases() if not asked.names or case.name.removesuffix("-twin") in asked.names]
    with tempfile.TemporaryDirectory() as scratch:
        bad = sum(_is_wrong(case, (asked.keep or Path(scratch)) / case.name, asked.judge) for case in chosen)
    sys.stdout.write(f"{len(chosen) - bad} of {len(chosen)} right\n")
    return 1 if bad else 0


def _is_wrong(case: Scenario, folder: Path, only_judge: bool) -> bool:
    try:
        if not only_judge:
            record(case, folder)
        told = judge(case, folder)
        wrong, shown = told.wrong, str(told)
    except LabError as error:
        wrong, shown = (str(error),), "not recorded"
    sys.stdout.write(f"{'WRONG' if wrong else 'right'} {case.name}: {shown}\n")
    sys.stdout.writelines(f"      {line}\n" for line in wrong)
    sys.stdout.flush()
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
