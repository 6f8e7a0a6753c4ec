"""Run both decoders over a capture and set their columns side by side."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tests.tshark_fields import layers, reasons
from vxlanalyze import capture
from vxlanalyze.capture.model import PLACE_OFFSET_MASK
from vxlanalyze.wire.table import frame_batches

PREFERENCES = (
    "ip.check_checksum:TRUE",
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "udp.check_checksum:TRUE",
    "udp.ignore_ipv6_zero_checksum:FALSE",
    "tcp.check_checksum:TRUE",
    "tcp.desegment_tcp_streams:FALSE",
    "tcp.analyze_sequence_numbers:FALSE",
    "sctp.checksum:CRC 32c",
)
LONGEST_RUN_S = 300
PORTS = ("udp.port==4789,vxlan", "udp.port==8472,vxlan", "udp.port==6081,geneve")


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not tshark's."""

    frame: int
    column: str
    ours: Any
    theirs: Any
    protocols: str


@dataclass(slots=True)
class Outcome:
    """What the comparison of one capture came to.

    `nulls` counts, by column and reason, where tshark has a value and this program has none; `not_compared`
    the frames whose layers are compared only up to one that tshark follows and this program does not.
    """

    frames: int = 0
    values: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    nulls: Counter[tuple[str, str]] = field(default_factory=Counter)
    not_compared: Counter[str] = field(default_factory=Counter)


def compare(path: str) -> Outcome:
    """Compare all frames of one capture.

    Raises
    ------
    CaptureError
        The capture cannot be read.
    """
    outcome = Outcome()
    rows, whole = our_rows(path)
    ours = {row["frame"]: row for row in rows}
    for number, theirs, protocols in tshark_rows(path):
        outcome.not_compared.update(layers.not_followed(protocols))
        if whole is not None and number >= whole:
            outcome.explained[reasons.DAMAGED] += 1
            continue
        if number not in ours:
            outcome.differences.append(Difference(number, "frame", None, number, protocols))
            continue
        outcome.frames += 1
        row = ours.pop(number)
        for column, value in theirs.items():
            outcome.values += 1
            if row[column] == value:
                continue
            difference = Difference(number, column, row[column], value, protocols)
            reason = reasons.explain(difference, row)
            if reason is None:
                outcome.differences.append(difference)
            else:
                outcome.explained[reason] += 1
                outcome.nulls[column, reason] += difference.ours is None
    unseen = [number for number in ours if whole is None or number < whole]
    outcome.differences += [Difference(number, "frame", number, None, "") for number in unseen]
    return outcome


def our_rows(path: str) -> tuple[list[dict[str, Any]], int | None]:
    """Give the rows of the frames table, times as nanoseconds, and how many stand before any damage."""
    source = capture.open_source(path)
    rows: list[dict[str, Any]] = []
    try:
        for batch in frame_batches(source):
            time = batch.schema.get_field_index("time")
            rows += batch.set_column(time, "time", batch.column(time).cast(pa.int64())).to_pylist()
        if not source.damages:
            return rows, None
        first = min(damage.offset_bytes for damage in source.damages)
        offsets = [frames.place & PLACE_OFFSET_MASK for frames in source.chunks()]
        return rows, sum(int((offset < first).sum()) for offset in offsets)
    finally:
        source.close()


def tshark_rows(path: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Give number, columns and protocols of each frame as tshark decodes it."""
    options = [word for preference in PREFERENCES for word in ("-o", preference)]
    options += [word for port in PORTS for word in ("-d", port)]
    command = ["tshark", "-r", path, "-n", *options, "-T", "json", "-J", layers.SHOWN]
    run = subprocess.run(command, capture_output=True, check=False, timeout=LONGEST_RUN_S)
    text = run.stdout.decode(errors="replace")
    blocks = 0
    for packet in json.loads(text or "[]", object_pairs_hook=list):
        shown = layers.get(layers.get(packet, "_source"), "layers")
        frame = layers.get(shown, "frame")
        if layers.get(frame, "frame.encap_type") is None:
            blocks += 1  # a custom block of pcapng, which tshark numbers like a frame
            continue
        number = int(layers.get(frame, "frame.number")) - blocks
        yield number, layers.columns(shown), layers.get(frame, "frame.protocols")
