"""Lays text out in lines of a given width, with or without colour, in any character set.

Whatever is written goes through `plain`; rich measures and colours, and never sees its own markup.
"""

import io

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from vxlanalyze.report.plain import plain

Span = tuple[str, str]
"""Text and its style, as rich names styles; the empty style is the plain one."""

# For character sets that have none of these; whatever else they lack becomes an escape.
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
        Whether what is drawn must do without the characters of other sets.
    """

    def __init__(self, width: int = 80, *, ascii_only: bool = False) -> None:
        self.width = width
        self.ascii_only = ascii_only
        self._lines: list[Text] = []
        self._console = Console(
            file=io.StringIO(), width=width, color_system=None, legacy_windows=False, _environ={}
        )

    def heading(self, title: str) -> None:
        """Begin a section: an empty line and a title."""
        if self._lines:
            self._lines.append(Text())
        self.paragraph((title, "bold"))

    def blank(self) -> None:
        """Leave a line empty."""
        self._lines.append(Text())

    def paragraph(self, *spans: Span, indent: int = 0, hanging: int = 0) -> None:
        """Write a paragraph; all lines after the first stand `hanging` columns further in."""
        room = max(self.width - indent - hanging, 20)
        text = self._text([(_spaced(words), style) for words, style in spans])
        for number, line in enumerate(self._wrapped(text, room, hanging)):
            margin = Text(" " * (indent + (hanging if number else 0)))
            self._lines.append(margin + line)

    def whole(self, label: str, words: str, *, indent: int = 0) -> None:
        """Write something that is to be copied: every letter of it, on one line however long it gets."""
        text = self._text([(label, "bold"), (plain(words, longest_word=None), "")])
        self._lines.append(Text(" " * indent) + text)

    def drawn(self, *spans: Span) -> None:
        """Write one line as it is; names in it have gone through `plain` before."""
        line = self._text(list(spans))
        line.rstrip()
        self._lines.append(line)

    def render(self, *, colour: bool = False) -> str:
        """Give all lines, each ended by a line feed."""
        out = io.StringIO()
        console = Console(
            file=out,
            width=self.width,
            color_system="standard" if colour else None,
            force_terminal=colour,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )
        for line in self._lines:
            console.print(line, soft_wrap=True)
        return out.getvalue()

    def _text(self, spans: list[Span]) -> Text:
        text = Text(no_wrap=False, overflow="fold")
        for words, style in spans:
            text.append(words.translate(_ASCII) if self.ascii_only else words, style or None)
        return text

    def _wrapped(self, text: Text, room: int, hanging: int) -> list[Text]:
        """Break a text; the first line has `hanging` columns more than the others."""
        if cell_len(text.plain) <= room + hanging:
            return [text]
        first = text.wrap(self._console, room + hanging)[0]
        rest = text[len(first.plain) :]
        first.rstrip()
        skipped = len(rest.plain) - len(rest.plain.lstrip())
        lines = rest[skipped:].wrap(self._console, room)
        for line in lines:
            line.rstrip()
        return [first, *lines]


def _spaced(words: str) -> str:
    """Make words plain, and keep one space at either end, where another span goes on."""
    ends = (" " if words[:1] == " " else "", " " if words[-1:] == " " else "")
    return ends[0] + plain(words) + ends[1]
