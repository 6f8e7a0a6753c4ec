"""Lines break and are coloured as rich breaks and colours them; rich itself takes long to load."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from vxlanalyze.report.page import Page

words = st.text("ab-漢é", min_size=1, max_size=12)
styles = st.sampled_from(["", "bold", "dim", "bold red", "yellow", "bold cyan", "green"])


def as_rich_does(text: str, style: str, width: int) -> str:
    console = Console(width=width, color_system="standard", force_terminal=True, _environ={})
    with console.capture() as capture:
        for line in Text(text, style).wrap(console, width):
            line.rstrip()
            console.print(line, highlight=False)
    return capture.get()


@given(st.lists(words, min_size=1, max_size=30).map(" ".join), styles, st.integers(20, 60))
def test_paragraphs_look_as_rich_makes_them(text, style, width):
    page = Page(width)
    page.paragraph((text, style))

    assert page.render(colour=True) == as_rich_does(text, style, width)


def test_a_style_goes_on_where_its_words_go_on():
    page = Page(22)
    page.paragraph(("To do: ", "bold"), ("lower the inner MTU", "red"), (" now", ""), hanging=2)

    assert page.render(colour=True) == (
        "\x1b[1mTo do: \x1b[0m\x1b[31mlower the inner\x1b[0m\n  \x1b[31mMTU\x1b[0m now\n"
    )


def test_a_word_that_fits_no_line_is_folded():
    page = Page(20)
    page.paragraph(("see " + "漢" * 25 + " there", ""))
    lines = page.render().splitlines()

    assert lines == ["see", "漢" * 10, "漢" * 10, "漢" * 5 + " there"]
    assert all(cell_len(line) <= 20 for line in lines)


def test_nothing_is_a_line_too():
    page = Page()
    page.paragraph(("", "bold"))
    page.blank()

    assert page.render(colour=True) == "\n\n"
