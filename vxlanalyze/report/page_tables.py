"""Long tables of the HTML page: all rows as data that its script sorts, filters and draws on demand.

The first rows are also in the page itself, for readers without scripts and for paper. An empty column is left
out; less important columns are in the detail of a row, which the script opens.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from markupsafe import Markup

from vxlanalyze.report.model import ServiceRecord
from vxlanalyze.report.series.model import FlowList, LostList, Packed
from vxlanalyze.report.series.packed import TEXTS, pack, unpack
from vxlanalyze.text.escaping import plain
from vxlanalyze.text.formatting import NOTHING, arrow, count, ends, percent, size, span

STATIC_ROWS = 100
_MOST_QUESTIONS = 5


@dataclass(frozen=True, slots=True)
class PageColumn:
    """A column of a long table.

    Parameters
    ----------
    name : str
        Its heading.
    field : str
        The packed column that it shows.
    kind : str
        Format of its cells: a name of `_WRITTEN`, or "share" (of `field` in it and `beside`), "end" (an
        address with the port in `beside` and its name) or "text" (with `beside`, if any, below it).
    beside : str
        A second packed column shown in its cells.
    detail : bool
        Whether it is in the detail of a row.
    """

    name: str
    field: str
    kind: str = "text"
    beside: str = ""
    detail: bool = False

    @property
    def numeric(self) -> bool:
        """Whether its cells are numbers, which are sorted largest first."""
        return self.kind not in ("text", "way", "end", "lines")


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, and the small print below it."""

    text: str
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LongTable:
    """One table: `rows` are the first ones, as in the page, `data` all of them for its script."""

    id: str
    title: str
    what: str
    order: str
    total: int
    held: int
    columns: tuple[PageColumn, ...]
    rows: list[tuple[bool, list[Cell]]]
    data: Markup


_FLOWS = (
    PageColumn("Direction", "direction", "way"),
    PageColumn("Protocol", "protocol"),
    PageColumn("Source", "src", "end", "sport"),
    PageColumn("Destination", "dst", "end", "dport"),
    PageColumn("Sent", "sent", "count"),
    PageColumn("Lost", "lost", "count"),
    PageColumn("Loss", "lost", "share", "delivered"),
    PageColumn("VNI", "vni", "number", detail=True),
    PageColumn("Delivered", "delivered", "count", detail=True),
    PageColumn("Unknown", "unknown", "count", detail=True),
    PageColumn("Bytes of inner IP", "bytes", "count", detail=True),
    PageColumn("Largest delivered", "largest_delivered", "bytes", detail=True),
    PageColumn("Smallest lost", "smallest_lost", "bytes", detail=True),
    PageColumn("First frame", "first_frame", "number", detail=True),
    PageColumn("First lost frame", "first_lost_frame", "number", detail=True),
)
_LOST = (
    PageColumn("Time (s)", "time_ns", "seconds"),
    PageColumn("Direction", "direction", "way"),
    PageColumn("Frame", "frame", "number"),
    PageColumn("Protocol", "protocol"),
    PageColumn("Source", "src", "end", "sport"),
    PageColumn("Destination", "dst", "end", "dport"),
    PageColumn("On the wire", "wire_length", "bytes"),
    PageColumn("VNI", "vni", "number", detail=True),
    PageColumn("Segment of the super-packet", "segment", "number", detail=True),
    PageColumn("Inner length", "length", "bytes", detail=True),
    PageColumn("TCP flags", "flags", detail=True),
    PageColumn("TCP sequence number", "seq", "number", detail=True),
)
_SERVICES = (
    PageColumn("Protocol", "protocol"),
    PageColumn("Client", "client", "end"),
    PageColumn("Server", "server", "end"),
    PageColumn("Service", "service", "lines"),
    PageColumn("Requests", "requests", "count"),
    PageColumn("Answered", "answered", "count"),
    PageColumn("Refused", "refused", "count"),
    PageColumn("Unanswered", "unanswered", "count"),
    PageColumn("Answers not taken", "not_taken", "count", detail=True),
    PageColumn("Latency p50", "p50", "span"),
    PageColumn("p99", "p99", "span"),
    PageColumn("At the server p50", "own", "span", detail=True),
)


def flow_table(flows: FlowList, names: Mapping[str, str]) -> LongTable:
    """All flows, those with the most losses first."""
    order = "those that lost most, then those that sent most"
    return _table("flows", "Flows", ("flow", "flows", order), flows["total"], (_FLOWS, flows["table"], names))


def lost_table(lost: LostList, names: Mapping[str, str]) -> LongTable:
    """All lost packets."""
    said = ("lost packet", "lost packets", "the first of each direction")
    return _table("lost", "Lost packets", said, lost["total"], (_LOST, lost["table"], names))


def service_table(services: list[ServiceRecord], names: Mapping[str, str]) -> LongTable:
    """All pairs of client and server, those with the most unanswered requests first."""
    ordered = sorted(services, key=lambda s: -s["unanswered"])
    columns: dict[str, list[Any]] = {
        name: [dict(s)[name] for s in ordered] for name in ("protocol", "client", "server")
    }
    columns["service"] = ["\n".join(_service_lines(s)) or None for s in ordered]
    for name in ("requests", "answered", "refused", "unanswered"):
        columns[name] = [dict(s)[name] for s in ordered]
    columns["not_taken"] = [s.get("not_taken") for s in ordered]
    for name in ("p50", "p99"):
        columns[name] = [dict(s["latency_ns"])[name] for s in ordered]
    divided = [s.get("time_ns") for s in ordered]
    columns["own"] = [None if d is None else d["server"]["p50"] for d in divided]
    said = ("pair of client and server", "pairs of client and server", "")
    return _table("services", "Services", said, len(ordered), (_SERVICES, pack(columns), names))


def _service_lines(service: ServiceRecord) -> Iterator[str]:
    """The service, and below it the unanswered questions."""
    failed = [q for q in service.get("questions", []) if q["unanswered"]]
    if service["service"] or failed:
        yield plain(service["service"] or NOTHING)
    for q in failed[:_MOST_QUESTIONS]:
        answered = f"{q['answered']:,} of {q['requests']:,} answered"
        yield f"{plain(q['type'])} {plain(q['name'] or '(no text)')}: {answered}"


def _table(
    id_: str,
    title: str,
    said: tuple[str, str, str],
    total: int,
    content: tuple[tuple[PageColumn, ...], Packed, Mapping[str, str]],
) -> LongTable:
    columns, packed, names = content
    one, several, order = said
    columns = tuple(c for c in columns if packed["columns"].get(c.field, "").strip(","))
    first = unpack(packed, STATIC_ROWS)
    shown = [c for c in columns if not c.detail]
    return LongTable(
        id=id_,
        title=title,
        what=one if total == 1 else several,
        order=order,
        total=total,
        held=packed["rows"],
        columns=columns,
        rows=[(_is_bad(row), [_cell(c, row, names) for c in shown]) for row in first],
        data=_data(columns, packed, names),
    )


def _is_bad(row: Mapping[str, Any]) -> bool:
    """Whether a row is marked: it has losses, while others do not."""
    return bool(row.get("unanswered") or ("sent" in row and row["lost"]))


def _cell(column: PageColumn, row: Mapping[str, Any], names: Mapping[str, str]) -> Cell:
    value, beside = row[column.field], row.get(column.beside)
    if value is None:
        return Cell(NOTHING)
    if column.kind == "end":
        name = names.get(value)
        return Cell(ends(value, beside), (name,) if name else ())
    if column.kind == "lines":
        text, *below = str(value).split("\n")
        return Cell(text, tuple(below))
    if column.kind == "share":
        return Cell(percent(value / (value + beside) if beside is not None and value + beside else None))
    return Cell(_WRITTEN[column.kind](value))


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "text": str,
    "way": arrow,
    "number": str,
    "count": count,
    "bytes": size,
    "span": span,
    "seconds": lambda time_ns: f"{time_ns / 1e9:.6f}",
}


def _data(columns: tuple[PageColumn, ...], packed: Packed, names: Mapping[str, str]) -> Markup:
    """All rows as JSON for embedding in a page: sanitised, and without the end of its element."""
    fields = {f for c in columns for f in (c.field, c.beside) if f in packed["columns"]}
    known = set(packed["texts"])
    whole = {
        "columns": [asdict(c) | {"numeric": c.numeric} for c in columns],
        "texts": [_harmless(text) for text in packed["texts"]],
        "textual": [name for name in TEXTS if name in fields],
        "cells": {name: packed["columns"][name] for name in sorted(fields)},
        "names": {plain(a): plain(n) for a, n in sorted(names.items()) if a in known},
    }
    return Markup(json.dumps(whole, separators=(",", ":")).replace("<", "\\u003c"))


def _harmless(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))
