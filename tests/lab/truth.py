"""The truth about a recording, out of the network's log: which wire packets it lost, and why.

``truth.json`` holds

=========  ==========================================================================================
story      what was done
root       the code, or one of the codes, that the first finding must have; null: nothing is wrong
must       findings that must be there, ``code`` or ``code@X>Y`` (``ab`` and ``ba`` are the first
           capture's node to the last's, and back)
mustnot    findings that must not be there
lost       [direction, source, destination, source port, destination port, protocol, IP ID] of every
           wire packet that was lost; absent where the log cannot say what the captures must show
clock      the second capture's clock minus the first's when both run, and its drift; or absent
kube       whether ``kube.json`` is given to the tool
network    frames by direction and by what was done to them
=========  ==========================================================================================

``fates.csv.gz`` beside it holds one line a frame: time, direction, innermost identity and fate.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab.packet import Identity
from tests.lab.scenario import Scenario

CAPTURED = ("node1", "node2")
DIRECTIONS = {"node1>node2": "ab", "node2>node1": "ba"}


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the network's log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def lost_packets(log: Iterable[dict[str, Any]]) -> list[list[Any]]:
    """List the lost wire packets between the captured nodes; of a packet in pieces, one piece is enough."""
    lost = []
    identities: dict[tuple[Any, ...], Identity] = {}
    already = set()
    for line in log:
        if line["direction"] not in DIRECTIONS or line["outer"] is None:
            continue
        src, dst, _, _, protocol, ip_id, _, offset, more = line["outer"]
        whole = (line["direction"], src, dst, protocol, ip_id)
        pieces = bool(more or offset)
        if pieces and line["inner"]:
            identities[whole] = Identity(*line["inner"])
        identity = identities.get(whole) if pieces else line["inner"] and Identity(*line["inner"])
        if not line["lost"] or not identity or (pieces and whole in already):
            continue
        already.add(whole)
        lost.append([DIRECTIONS[line["direction"]], *identity])
    return lost


def counts(log: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Count frames by direction, kind and what was done to them."""
    counted: Counter[str] = Counter()
    for line in log:
        kind = "tunnel" if line["inner"] else "other"
        for act in ["seen", *line["acts"]]:
            counted[f"{line['direction']}.{kind}.{act}"] += 1
    return dict(sorted(counted.items()))


def write(scenario: Scenario, log: list[dict[str, Any]], clock: dict[str, float] | None, folder: Path) -> None:
    """Write ``truth.json`` and ``fates.csv.gz``."""
    expected = scenario.expected
    truth: dict[str, Any] = {
        "name": scenario.name,
        "story": scenario.story,
        "root": None if expected.root == "none" else expected.root,
        "must": expected.must,
        "mustnot": expected.must_not,
        "kube": scenario.kube,
        "network": counts(log),
        "clock": clock if expected.clock else None,
        "lost": lost_packets(log) if expected.lost else None,
    }
    (folder / "truth.json").write_text(_json_lines(truth))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["time_ns", "direction", *Identity._fields, "fate"])
    for line in log:
        fate = "+".join(line["acts"]) or "delivered"
        table.writerow([line["time_ns"], line["direction"], *(line["inner"] or [""] * 6), fate])
    with (folder / "fates.csv.gz").open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.getvalue().encode())


def _json_lines(truth: dict[str, Any]) -> str:
    """JSON with one lost packet a line, so that a person can read it."""
    lost = truth.pop("lost")
    rows = "null" if lost is None else "[" + ",\n  ".join(json.dumps(row) for row in lost) + "]"
    return json.dumps(truth, indent=1, ensure_ascii=False)[:-2] + f',\n "lost": {rows}\n}}\n'
