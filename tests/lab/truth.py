"""The truth about a recording, out of the network's log: which wire packets it lost, and why.

``truth.json`` holds

=========  ==========================================================================================
story      what was done
root       the code, or one of the codes, that the first finding must have; null: nothing is wrong
must       findings that must be there, ``code`` or ``code@X>Y`` (``ab`` and ``ba`` are the first
           capture's node to the last's, and back)
mustnot    findings that must not be there
cites      lines of saved facts that the first finding must cite: ``FILE: text of the line``
captures   the captures in path order: name, path, and the pod's address where the point is a pod
lost       [direction, source, destination, source port, destination port, protocol, IP ID] of every
           wire packet that was lost; null where the program cannot be held to it
complete   whether the captures hold all that passed their points
clock      the second capture's clock minus the first's when both run, and its drift; or null
kube       whether ``kube.json`` is given to the program
networks   the pod networks of each node; `ports`: those of the tunnels
network    frames by direction and by what was done to them
=========  ==========================================================================================

``fates.csv.gz`` beside it holds one line a frame: true time, direction, innermost identity and fate.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab import packet as wire
from tests.lab.packet import Identity
from tests.lab.scenario import Scenario

NFLOG_HEADER_BYTES, NFLOG_PAYLOAD = 4, 9  # LINKTYPE_NFLOG: family, version, resource; then TLVs


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the network's log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def lost_packets(log: Iterable[dict[str, Any]], directions: dict[str, str]) -> list[list[Any]]:
    """List the wire packets lost in the given directions; of a packet in pieces, one piece is enough."""
    lost = []
    identities: dict[tuple[Any, ...], Identity] = {}
    already = set()
    for line in log:
        if line["direction"] not in directions or line["outer"] is None:
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
        lost.append([directions[line["direction"]], *identity])
    return lost


def dropped_inside(capture: Path, hop: str) -> list[list[Any]]:
    """List the packets that a node's firewall logged and dropped, as lost on a hop between two points."""
    data = capture.read_bytes()
    lost = []
    at = 24
    while at < len(data):
        captured = struct.unpack_from("<I", data, at + 8)[0]
        record = data[at + 16 : at + 16 + captured]
        packet = _nflog_payload(record)
        kind = wire.IPV4 if packet[0] >> 4 == 4 else wire.IPV6
        frame = bytes(12) + struct.pack("!H", kind) + packet
        lost.append([hop, *wire.parse(frame, frozenset()).layers[0].identity])
        at += 16 + captured
    return lost


def _nflog_payload(record: bytes) -> bytes:
    at = NFLOG_HEADER_BYTES
    while True:
        length, kind = struct.unpack_from("<HH", record, at)
        if kind == NFLOG_PAYLOAD:
            return record[at + 4 : at + length]
        at += (length + 3) // 4 * 4


def directions(scenario: Scenario) -> dict[str, str]:
    """Name the network's two directions between the captured nodes as ``truth.json`` does."""
    names = [item.name for item in scenario.captures if not item.folder]
    nics: dict[str, str] = {}
    for item in scenario.captures:
        node, _, interface = item.at.partition("/")
        if interface in ("nic", "any"):
            nics.setdefault(node, item.name)
    first, second = nics["node1"], nics["node2"]
    if len(names) == 2:
        return {"node1>node2": "ab", "node2>node1": "ba"}
    return {"node1>node2": f"{first}>{second}", "node2>node1": f"{second}>{first}"}


def counts(log: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Count frames by direction, kind and what was done to them."""
    counted: Counter[str] = Counter()
    for line in log:
        kind = "tunnel" if line["inner"] else "other"
        for act in ["seen", *line["acts"]]:
            counted[f"{line['direction']}.{kind}.{act}"] += 1
    return dict(sorted(counted.items()))


def write(
    scenario: Scenario,
    captures: list[dict[str, Any]],
    log: list[dict[str, Any]],
    more: dict[str, Any],
    folder: Path,
) -> None:
    """Write ``truth.json`` and ``fates.csv.gz``; `more` holds what the scenario and the log do not tell."""
    truth = {**expectations(scenario), "captures": captures, **more, "network": counts(log)}
    if not scenario.expected.clock:
        truth["clock"] = None
    if not scenario.expected.lost:
        truth["lost"] = None
    (folder / "truth.json").write_text(_json_lines(truth))
    _write_fates(log, folder / "fates.csv.gz")


def expectations(scenario: Scenario) -> dict[str, Any]:
    """Return the part of the truth that a person wrote: the story and what must be found."""
    expected = scenario.expected
    return {
        "name": scenario.name,
        "story": scenario.story,
        "root": _root(expected.root),
        "must": list(expected.must),
        "mustnot": list(expected.must_not),
        **({"cites": list(expected.cites)} if expected.cites else {}),
        "kube": scenario.kube,
        "complete": expected.complete,
    }


def _root(root: str | tuple[str, ...]) -> str | list[str] | None:
    if isinstance(root, tuple):
        return list(root)
    return None if root == "none" else root


def update(scenario: Scenario, folder: Path) -> None:
    """Bring that part up to date in a recording's ``truth.json``."""
    file = folder / "truth.json"
    known = json.loads(file.read_text()) | expectations(scenario)
    file.write_text(_json_lines(known))


def _write_fates(log: list[dict[str, Any]], file: Path) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["time_ns", "direction", *Identity._fields, "fate"])
    for line in log:
        fate = "+".join(line["acts"]) or "delivered"
        table.writerow([line["time_ns"], line["direction"], *(line["inner"] or [""] * 6), fate])
    with file.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.getvalue().encode())


def _json_lines(truth: dict[str, Any]) -> str:
    """JSON with one lost packet a line, so that a person can read it."""
    lost, rest = truth["lost"], {name: value for name, value in truth.items() if name != "lost"}
    rows = "null" if lost is None else "[" + ",\n  ".join(json.dumps(row) for row in lost) + "]"
    return json.dumps(rest, indent=1, ensure_ascii=False)[:-2] + f',\n "lost": {rows}\n}}\n'
