"""A pair of captures with everything that is made of it."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd

import vxlanalyze as vx
from vxlanalyze.capture import open_source
from vxlanalyze.report.formats import as_github, as_html, as_json, as_junit, as_markdown, as_text
from vxlanalyze.report.model import Report

WIDE = 100_000  # columns: nothing is wrapped
_TAG = re.compile(r"<[^>]*>")


@dataclass
class World:
    """One pair, and every output of it; each is made when a test first looks at it."""

    captures: list[Path]
    kube: Path | None = None
    scratch: Path = field(default_factory=Path)

    @cached_property
    def result(self) -> vx.Comparison:
        return vx.compare(*self.captures, kube=self.kube)

    @property
    def report(self) -> Report:
        return self.result.report

    @cached_property
    def saved(self) -> dict[str, Any]:
        """The JSON report, parsed."""
        saved: dict[str, Any] = json.loads(as_json.render(self.report))
        return saved

    @property
    def between(self) -> list[dict[str, Any]]:
        """The hops between captures, without those inside of nodes."""
        return [hop for hop in self.saved["hops"] if "/" not in hop["from"] + hop["to"]]

    @cached_property
    def text(self) -> str:
        return as_text.render(self.report, width=WIDE, verbose=True)

    @cached_property
    def short_text(self) -> str:
        return as_text.render(self.report, width=WIDE)

    @cached_property
    def page(self) -> str:
        """The words of the HTML report; what stood between tags is apart by a bar."""
        return _words(as_html.render(self.report))

    @cached_property
    def notebook(self) -> str:
        return _words(self.result._repr_html_())

    @cached_property
    def markdown(self) -> str:
        return as_markdown.render(self.report)

    @cached_property
    def junit(self) -> str:
        return as_junit.render(self.report)

    @cached_property
    def github(self) -> str:
        return as_github.render(self.report)

    @cached_property
    def packets(self) -> pd.DataFrame:
        return self.result.packets

    @cached_property
    def flows(self) -> pd.DataFrame:
        return self.result.flows

    @cached_property
    def reads(self) -> list[vx.Capture]:
        """Each capture by itself, decoded once for all that asks."""
        return [vx.read(path) for path in self.captures]

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The table of frames of each capture, by name, with the frame numbers as its index.

        One file that holds the interfaces of several nodes is several captures, and has none here.
        """
        if len(self.captures) != len(self.report.captures):
            return {}
        tables = (capture.frames().set_index("frame") for capture in self.reads)
        return dict(zip((c["name"] for c in self.report.captures), tables, strict=True))

    @cached_property
    def comments(self) -> dict[str, list[tuple[int, list[str]]]]:
        """Of each annotated capture: time and comments of each frame."""
        self.result.annotate(self.scratch)
        names = (c["name"] for c in self.report.captures)
        return {name: annotated(self.scratch / f"{name}.pcapng") for name in names}


def _words(html: str) -> str:
    body = re.sub(r"<(style|script)\b.*?</\1>", "", html, flags=re.DOTALL)
    said = unescape(re.sub(r"\s+", " ", _TAG.sub("|", body)))
    return re.sub(r"[\s|]*\|[\s|]*", "|", said)


def annotated(path: Path) -> list[tuple[int, list[str]]]:
    """Read times and comments of an annotated capture: enhanced packet blocks, by the standard alone."""
    source = open_source(str(path))
    times = [int(t) for frames in source.chunks() for t in frames.time_ns]
    source.close()
    return list(zip(times, _comments(path.read_bytes()), strict=True))


def _comments(data: bytes) -> list[list[str]]:
    """Comments (option 1) of each enhanced packet block (type 6).

    Source: draft-ietf-opsawg-pcapng sections 3.5 and 4.3.
    """
    found, at = [], 0
    while at < len(data):
        kind, length = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4))
        if kind == 6:
            captured = int.from_bytes(data[at + 20 : at + 24], "little")
            found.append(_options(data[at + 28 + captured + -captured % 4 : at + length - 4]))
        at += length
    return found


def _options(data: bytes) -> list[str]:
    said, at = [], 0
    while at + 4 <= len(data):
        code, length = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (0, 2))
        if code == 1:
            said.append(data[at + 4 : at + 4 + length].decode())
        at += 4 + length + -length % 4
    return said
