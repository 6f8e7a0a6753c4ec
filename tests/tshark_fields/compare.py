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
    """What the comparison of one capture came to."""

    frames: int = 0
    values: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


def compare(path: str) -> Outcome:
    """Compare all frames of one capture.

    Raises
    ------
    CaptureError
        The capture cannot be read.
    """
    outcome = Outcome()
    ours = {row["frame"]: row for row in our_rows(path)}
    for number, theirs, protocols in tshark_rows(path):
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
            reason = reasons.explain(difference, row, theirs)
            if reason is None:
                outcome.differences.append(difference)
            else:
                outcome.explained[reason] += 1
    outcome.differences += [Difference(number, "frame", number, None, "") for number in ours]
    return outcome


def our_rows(path: str) -> Iterator[dict[str, Any]]:
    """Give the frames table row by row, times as nanoseconds."""
    source = capture.open_source(path)
    try:
        for batch in frame_batches(source):
            time = batch.schema.get_field_index("time")
            yield from batch.set_column(time, "time", batch.column(time).cast(pa.int64())).to_pylist()
    finally:
        source.close()


def tshark_rows(path: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Give number, columns and protocols of each frame as tshark decodes it."""
    options = [word for preference in PREFERENCES for word in ("-o", preference)]
    options += [word for port in PORTS for word in ("-d", port)]
    command = ["tshark", "-r", path, "-n", *options, "-T", "json", "-J", layers.SHOWN]
    run = subprocess.run(command, capture_output=True, check=False)
    text = run.stdout.decode(errors="replace")
    for packet in json.loads(text or "[]", object_pairs_hook=list):
        shown = layers.get(layers.get(packet, "_source"), "layers")
        frame = layers.get(shown, "frame")
        number = int(layers.get(frame, "frame.number"))
        yield number, layers.columns(shown), layers.get(frame, "frame.protocols")
