"""Views as sites show them that trust no notebook: an allowlist of elements and attributes, as GitHub's.

Source: the allowlist of github/html-pipeline (`SanitizationFilter`), with `class` kept as its viewer of
notebooks does; addresses of pictures may only be http or https, so ours give way to their words.
"""

from html import escape
from html.parser import HTMLParser

_ELEMENTS = """
h1 h2 h3 h4 h5 h6 br b i strong em a pre code img tt div ins del sup sub p picture ol ul table thead
tbody tfoot blockquote dl dt dd kbd q samp var hr ruby rt rp li tr td th s strike summary details
caption figure figcaption abbr bdo cite dfn mark small source span time wbr
"""
_KEPT = frozenset(_ELEMENTS.split())
_WITHOUT_CONTENT = ("script", "style", "iframe", "object", "svg")
_ATTRIBUTES = {"class", "alt", "title", "width", "height", "open", "colspan", "rowspan", "scope", "start"}


class _Sanitiser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []
        self._dropping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _WITHOUT_CONTENT:
            self._dropping += 1
        elif tag in _KEPT and not self._dropping:
            held = "".join(f' {n}="{escape(v or "")}"' for n, v in attrs if n in _ATTRIBUTES)
            self.kept.append(f"<{tag}{held}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in _WITHOUT_CONTENT:
            self._dropping -= 1
        elif tag in _KEPT and not self._dropping:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._dropping:
            self.kept.append(escape(data))


def sanitised(html: str) -> str:
    """Take out what such a site takes out."""
    reader = _Sanitiser()
    reader.feed(html)
    reader.close()
    return "".join(reader.kept)
