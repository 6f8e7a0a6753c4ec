"""Tasks for workers: pure functions, which may run anywhere and be repeated.

A worker may die and lose its results, so no task changes its arguments, and files are read where the task
runs.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from vxlanalyze import pairing, wire
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.stretches import Stretch
from vxlanalyze.errors import CaptureError
from vxlanalyze.export import packet, tables
from vxlanalyze.export.annotate import Annotated
from vxlanalyze.export.annotate import annotated as read_annotated
from vxlanalyze.export.decapsulate import packets_of
from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.pairing import between, nodes
from vxlanalyze.pairing.capture_facts import capture_facts
from vxlanalyze.pairing.model import CaptureFacts, Comparison
from vxlanalyze.pairing.strict import KeyedRows, Pairs
from vxlanalyze.pipeline import run as pipeline
from vxlanalyze.pipeline.rotated import require_one_node
from vxlanalyze.pipeline.run import Questions, Run
from vxlanalyze.report.model import Report
from vxlanalyze.wire import snap_lengths, table
from vxlanalyze.wire.joining import DecodedStretch
from vxlanalyze.wire.model import Decoded, Index
from vxlanalyze.wire.passages import COLUMN_DTYPES

if TYPE_CHECKING:
    import pandas as pd


class DecodeSettings(NamedTuple):
    """How captures are decoded; see `wire.decode`."""

    ports: tuple[int, ...]
    keep_inner_bytes: int | None


class DecodedCapture(NamedTuple):
    """A capture that was read completely, with its rows and flows."""

    source: LogicalCapture
    decoded: Decoded


class NodePart(NamedTuple):
    """The part of a capture that concerns a pair of nodes; `whole` is what the capture says about itself."""

    source: LogicalCapture
    decoded: Decoded
    whole: CaptureFacts


def decode_stretch(source: LogicalCapture, stretch: Stretch, settings: DecodeSettings) -> DecodedStretch:
    """Decode one stretch of a capture."""
    return wire.decode_stretch(_seen(source), stretch, **settings._asdict())


def join(source: LogicalCapture, parts: Sequence[DecodedStretch], settings: DecodeSettings) -> DecodedCapture:
    """Join all stretches of a capture."""
    source = _seen(source)
    again = partial(wire.decode_stretch, source, **settings._asdict())
    own = [DecodedStretch(part.learned, part.passage.apart()) for part in parts]
    return DecodedCapture(source, wire.join_stretches(source, own, again, **settings._asdict()))


def source_of(capture: DecodedCapture) -> LogicalCapture:
    """Give the capture alone, with the metadata found by reading it."""
    return capture.source


def cut_at_bytes(capture: DecodedCapture) -> int | None:
    """Give the captured length of truncated frames."""
    return snap_lengths.cut_at_bytes(capture.source, capture.decoded.index)


def without_rows(capture: DecodedCapture) -> DecodedCapture:
    """Give the capture with its flows only, which are few."""
    empty: list[Any] = [np.empty(0, dtype) for dtype in COLUMN_DTYPES]
    return DecodedCapture(capture.source, replace(capture.decoded, index=Index(*empty)))


def sightings(
    number: int, parts: int, capture: DecodedCapture, all_flows: Sequence[DecodedCapture]
) -> list[KeyedRows]:
    """Give the sightings of capture `number` for matching, partition by partition.

    Parameters
    ----------
    all_flows : sequence of DecodedCapture
        The result of `without_rows` for each capture, including this one.
    """
    captures = [*all_flows[:number], capture, *all_flows[number + 1 :]]
    return pairing.sightings(captures, number).parted(parts)


def sight(capture: DecodedCapture) -> nodes.NodeEvidence:
    """Give what the capture shows about the nodes of its cluster."""
    return nodes.sight(*capture)


def sha256_of(source: LogicalCapture) -> tuple[str, ...]:
    """Give the digest of each of its files, in hexadecimal."""
    return _seen(source).sha256()


def conclude(
    captures: Sequence[DecodedCapture],
    pairs: Sequence[Iterable[Pairs]] | None,
    questions: Questions,
    digests: Sequence[Sequence[str]],
) -> Run:
    """Determine the fate of each packet, and diagnose it.

    Parameters
    ----------
    pairs : sequence
        For each capture but the last, the pairs of all partitions with the next one; None to find them here.
    digests : sequence
        SHA-256 of the files of each capture, or empty.
    """
    sources = [_seen(capture.source) for capture in captures]
    for source, capture in zip(sources, captures, strict=True):
        require_one_node(source, capture.decoded)
    run = pipeline.conclude(sources, [capture.decoded for capture in captures], questions, pairs=pairs)
    sums = {source.name: sum_ for source, sum_ in zip(sources, digests, strict=False)}
    return replace(run, digests=sums)


def report_of(run: Run, plots: bool) -> Report:
    """Report a run; `plots` is whether to compute the series for plots."""
    return run.report(plots=plots)


def parts_of_table(run: Run, name: str) -> list[Any]:
    """List the batches of a table of a run."""
    parts: list[Any] = tables.TABLES[name].parts(run.comparison)
    return parts


def batch_of_table(run: Run, name: str, part: Any) -> Any:
    """Give one record batch of a table."""
    return tables.TABLES[name].batch(run.comparison, part)


def annotated(run: Run) -> list[Annotated]:
    """Read the frames of the findings."""
    return read_annotated(_readable(run), run.diagnosis.findings)


def packet_in(run: Run, row: int) -> packet.SeenPacket:
    """Give the packet in a row of the table of packets."""
    return packet.packet_in(_readable(run), row)


def requests(run: Run) -> "pd.DataFrame":
    """Give the table of requests."""
    from vxlanalyze.export.exchange_table import exchange_frame  # pandas

    return exchange_frame(_readable(run))


def _readable(run: Run) -> Comparison:
    """Give the comparison with captures that this worker can read, wherever it was made."""
    captures = [
        replace(facts, source=_seen(cast(LogicalCapture, facts.source))) for facts in run.comparison.captures
    ]
    return replace(run.comparison, captures=tuple(captures))


def frame_batches(source: LogicalCapture, part: int, ports: Sequence[int]) -> list[Any]:
    """Give the table of the frames of a part of a capture, in record batches."""
    return list(table.frame_batches(_seen(source).parts()[part], ports=ports))


def decapsulated(
    source: LogicalCapture, part: int, ports: Sequence[int], cipher: AddressCipher | None
) -> bytes:
    """Give the frames of a part of a capture with the tunnel removed, as blocks of a pcapng."""
    return packets_of(_seen(source).parts()[part], ports, cipher)


def part_of(capture: DecodedCapture, peers: Collection[str]) -> NodePart:
    """Give a capture without the packets exchanged with some addresses."""
    part = between.without_peers(capture.decoded, peers)
    return NodePart(capture.source, part, capture_facts(*capture))


def report_of_parts(parts: Sequence[NodePart], questions: Questions) -> Report:
    """Compare two nodes."""
    sources = [_seen(part.source) for part in parts]
    decoded = [part.decoded for part in parts]
    facts = [replace(part.whole, source=source) for part, source in zip(parts, sources, strict=True)]
    return pipeline.conclude(sources, decoded, questions, facts=facts).report(plots=False)


def _seen(source: LogicalCapture) -> LogicalCapture:
    """Give the capture through this worker's file system."""
    from distributed import get_worker

    try:
        return source.seen_here()
    except CaptureError as error:
        what = f"{error.what}, says the worker {get_worker().address}; all must see it under this path"
        raise CaptureError(error.path, what) from error
