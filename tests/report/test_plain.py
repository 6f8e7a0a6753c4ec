"""Names from captures are shown so that they can only be read."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.fixed import HOSTILE, REPORT
from vxlanalyze.report import RENDERERS
from vxlanalyze.text.escaping import LONGEST_WORD, plain

ANY_TEXT = st.text(st.characters(categories=None))  # lone surrogates too


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("coredns-8474476ff8-nz2tt", "coredns-8474476ff8-nz2tt"),
        ("노드1 é", "노드1 é"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\x00b", r"a\x00b"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066\u200b", r"\u2066\u200b"),
        ("a\r\n::error::b\u2028c\x85d", "a ::error::b c d"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("e" + "\u0301" * 4, "e\u0301\u0301\\u0301\\u0301"),
    ],
)
def test_what_is_shown(given_text, shown):
    assert plain(given_text) == shown


def test_a_long_word_loses_its_middle_and_the_sentence_stays():
    shown = plain(f"no answer for {'a' * 65_536}z from node1")

    assert shown.startswith("no answer for aaa")
    assert shown.endswith("az from node1")
    assert len(shown) <= LONGEST_WORD + len("no answer for  from node1")


def test_a_display_filter_keeps_every_letter():
    assert plain("x" * 5000, longest_word=None) == "x" * 5000


@given(ANY_TEXT)
def test_nothing_of_any_text_controls_a_terminal(text):
    shown = plain(text)

    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert "  " not in shown


@given(ANY_TEXT)
def test_plain_text_stays_as_it_is(text):
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda renderer: renderer.name)
def test_no_format_hands_on_control_characters(renderer):
    """The report holds terminal escapes and right-to-left marks in every place that a name can reach."""
    written = renderer.render(REPORT)

    assert "\x1b" in HOSTILE
    assert not [c for c in written if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"]
