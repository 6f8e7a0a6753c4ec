"""Old words do not come back into what users read: reports, help, manuals, pages."""

import json
import re
import tokenize
from pathlib import Path

import pytest

from tests.lab import __main__ as lab
from tests.test_recorded import analysed
from vxlanalyze.command.options import described
from vxlanalyze.report.formats import as_text
from vxlanalyze.report.formats.as_json import from_json

ROOT = Path(__file__).parents[1]
# What to say instead stands behind each.
OLD = {
    r"without a word": "silently",
    r"lost whole": "completely lost",
    r"arrive wrong": "are invalid on arrival",
    r"still to be filled in": "partial checksums",
    r"nothing speaks against": "no evidence to the contrary",
    r"taken to cover": "assumed to overlap",
    r"common time": "observation window, overlap",
    r"not to be told|cannot be told|be told apart": "cannot be determined, indistinguishable",
    r"with a chance of|by chance": "probability under random loss",
    r"so bad or worse": "this severity or higher",
    r"talks? badly": "has trouble",
    r"worth knowing": "note",
    r"asked and clear": "checked, no problem",
    r"it is not:": "Ruled out:",
    r"to do:": "Remedy:",
    r"proof:": "Evidence:",
    r"hence:": "Consequences:",
    r"on the way (?:to|back|from)\b": "on the path, on the return path",
    r"there and back": "round trip",
    r"stands? bare|\bbare packets?\b": "unencapsulated",
    r"nobody (?:has|listens|filled|answered)": "nothing, no host",
    r"\bmend\b": "fix",
    r"what it asks": "What it checks",
}
PATTERN = re.compile("|".join(f"({pattern})" for pattern in OLD), re.IGNORECASE)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "sample_pcaps").rglob("*.md")])


# In the code's docstrings and comments, too.
OLD_IN_CODE = {
    r"worth knowing": "a note",
    r"common (?:time|window)": "observation window, overlap",
    r"taken apart|told apart": "split, distinguished",
    r"stands? bare|\bbare packets?\b": "unencapsulated",
    r"\bon the way\b|there and back": "on the path, round trip",
    r"\bforetold\b": "predicted",
    r"right behind": "right after",
    r"cannot be told\b": "cannot be determined",
    r"without a word|lost whole": "silently dropped, completely lost",
}
CODE = re.compile("|".join(f"({pattern})" for pattern in OLD_IN_CODE), re.IGNORECASE)
MODULES = sorted((ROOT / "vxlanalyze").rglob("*.py"))


def old_words(text: str) -> list[str]:
    """Name what came back, with what to say instead; a line break is a space."""
    instead = list(OLD.values())
    found = PATTERN.finditer(" ".join(text.split()))
    return sorted({f"{match[0]}: say {instead[(match.lastindex or 1) - 1]}" for match in found})


def test_old_words_are_noticed():
    assert old_words("They are lost without\n  a word.") == ["without a word: say silently"]


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: p.name)
def test_pages_use_the_words_of_the_field(page: Path):
    """docs/findings.md holds all manuals, docs/command.md all options."""
    assert old_words(page.read_text()) == []


def test_the_help_uses_the_words_of_the_field():
    assert old_words(str(described())) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_and_comments_use_the_words_of_the_field(path: Path):
    with path.open("rb") as source:
        tokens = [
            t for t in tokenize.tokenize(source.readline) if t.type in (tokenize.COMMENT, tokenize.STRING)
        ]
    text = " ".join(" ".join(token.string for token in tokens).split())
    instead = list(OLD_IN_CODE.values())
    found = {f"{match[0]}: say {instead[(match.lastindex or 1) - 1]}" for match in CODE.finditer(text)}

    assert not found


@pytest.mark.parametrize("folder", [f for _, f in lab.recordings()], ids=lambda folder: folder.name)
def test_reports_use_the_words_of_the_field(folder: Path):
    report = from_json(json.dumps(analysed(folder)[3]), folder.name)

    assert old_words(as_text.render(report, verbose=True, width=200)) == []
