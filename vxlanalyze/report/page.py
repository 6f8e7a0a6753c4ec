"""Lay out text in lines of a given width, with or without colour, in any character set.

All text goes through `plain`.

Source: ECMA-48 section 8.3.117, "select graphic rendition", for the colours.
"""

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells

from vxlanalyze.text import commands
from vxlanalyze.text.escaping import inert, plain

Span = tuple[str, str]
"""Text and its style, words of `_RENDITIONS`; the empty style is the plain one."""

_RENDITIONS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

# For character sets without these; other missing characters become escapes.
_ASCII = str.maketrans(
    {
        "─": "-",
        "│": "|",
        "►": ">",
        "◄": "<",
        "✗": "X",
        "→": "->",
        "≥": ">=",
        "≤": "<=",
        "×": "x",
        "±": "+-",
        "µ": "u",
        "–": "-",
        "…": "...",
        "’": "'",
    }
)


class Page:
    """Lines of text, one below the other.

    Parameters
    ----------
    width : int
        Columns of the terminal.
    ascii_only : bool
        Whether drawings must use ASCII characters only.
    """

    def __init__(self, width: int = 80, *, ascii_only: bool = False) -> None:
        self.width = width
        self.ascii_only = ascii_only
        self._lines: list[list[Span]] = []

    def heading(self, title: str) -> None:
        """Begin a section: an empty line and a title."""
        if self._lines:
            self.blank()
        self.paragraph((title, "bold"))

    def blank(self) -> None:
        """Leave a line empty."""
        self._lines.append([])

    def paragraph(self, *spans: Span, indent: int = 0, hanging: int = 0) -> None:
        """Write a paragraph; all lines after the first are indented by `hanging` columns."""
        room = max(self.width - indent - hanging, 20)
        spans = self._drawable((_spaced(words), style) for words, style in spans)
        for number, (start, end) in enumerate(_broken(_words(spans), room + hanging, room)):
            margin = " " * (indent + (hanging if number else 0))
            self._lines.append([(margin, ""), *_cut(spans, start, end)])

    def line(self, *spans: Span, indent: int = 0) -> None:
        """Write a paragraph on one line, truncated with a mark if it does not fit."""
        spans = self._drawable((_spaced(words), style) for words, style in spans)
        text, room = _words(spans), self.width - indent
        mark = "..." if self.ascii_only else "…"
        fits = cell_len(text) <= room
        end = len(text) if fits else len(chop_cells(text, room - len(mark))[0].rstrip())
        self._lines.append([(" " * indent, ""), *_cut(spans, 0, end), *(() if fits else ((mark, ""),))])

    def whole(self, label: str, words: str, *, indent: int = 0) -> None:
        """Write text for copying: complete, on one line however long."""
        spans = self._drawable([(label, "bold"), (plain(words, longest_word=None), "")])
        self._lines.append([(" " * indent, ""), *spans])

    def remedy(self, text: str, *, indent: int = 0, label: str = "Remedy: ") -> None:
        """Write a remedy: sentences, and numbered, complete commands with the node they run on."""
        number = 0
        for step in commands.merged_steps(text):
            if not step.command:
                title = [(label, "bold")] * bool(label)
                margins = (indent, 2) if label else (indent + 2, 0)
                self.paragraph(*title, (step.text, ""), indent=margins[0], hanging=margins[1])
            else:
                if label:
                    self.paragraph((label, "bold"), indent=indent)
                number += 1
                where = f"on {plain(step.node)}: " if step.node else ""
                self.whole(f"{number}. {where}", step.command, indent=indent + 2)
            label = ""

    def drawn(self, *spans: Span) -> None:
        """Write one line verbatim; names in it have already gone through `plain`."""
        spans = self._drawable(spans)
        self._lines.append(list(_cut(spans, 0, len(_words(spans).rstrip()))))

    def render(self, *, colour: bool = False) -> str:
        """Give all lines, each ended by a line feed."""
        lines = map(_painted if colour else _words, self._lines)
        return inert("".join(f"{line}\n" for line in lines))

    def _drawable(self, spans: Iterable[Span]) -> tuple[Span, ...]:
        return tuple((words.translate(_ASCII) if self.ascii_only else words, style) for words, style in spans)


def _words(spans: Iterable[Span]) -> str:
    return "".join(words for words, _ in spans)


def _painted(spans: Iterable[Span]) -> str:
    return "".join(
        f"\x1b[{_rendition(style)}m{words}\x1b[0m" if words and style else words for words, style in spans
    )


def _rendition(style: str) -> str:
    return ";".join(_RENDITIONS[name] for name in style.split())


def _cut(spans: Iterable[Span], start: int, end: int) -> Iterator[Span]:
    """Give a part of a text; spans keep their styles."""
    for words, style in spans:
        if part := words[max(start, 0) : max(end, 0)]:
            yield part, style
        start, end = start - len(words), end - len(words)


def _broken(text: str, room: int, room_after: int) -> Iterator[tuple[int, int]]:
    """Break a text into lines, given as ranges; those after the first have their own width."""
    start = 0
    while True:
        end = _end_of_line(text, start, room)
        yield start, end
        rest = text[end:].lstrip()
        if not rest:
            return
        start, room = len(text) - len(rest), room_after


def _end_of_line(text: str, start: int, room: int) -> int:
    """Find the end of a line: as many whole words as fit, or as much as fits of a long one."""
    end = start
    for word in re.finditer(r"\S+", text[start:]):
        if cell_len(text[start : start + word.end()]) > room:
            return end if end > start else start + len(chop_cells(text[start:], room)[0])
        end = start + word.end()
    return end


def _spaced(words: str) -> str:
    """Make words plain, keeping one space at either end where another span continues."""
    ends = (" " if words[:1] == " " else "", " " if words[-1:] == " " else "")
    return ends[0] + plain(words) + ends[1]
