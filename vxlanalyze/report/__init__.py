"""The report of one run, and the formats it can be written in.

A format is one module with ``render(report, judgement=None) -> str`` and one entry in `RENDERERS`.
"""

import os

from vxlanalyze.errors import UsageError
from vxlanalyze.report.renderer import Renderer

RENDERERS = (
    Renderer("text", (".txt",), "as_text"),
    Renderer("json", (".json",), "as_json", series=True),
    Renderer("html", (".html",), "as_html", series=True),
    Renderer("junit", (".xml",), "as_junit"),
    Renderer("github", (), "as_github"),
    Renderer("gitlab", (), "as_gitlab"),
    Renderer("markdown", (".md",), "as_markdown"),
)


def by_suffix(path: str) -> Renderer:
    """Give the format for a file name's suffix.

    Raises
    ------
    UsageError
        No format has this suffix.
    """
    suffix = os.path.splitext(path)[1].lower()
    for renderer in RENDERERS:
        if suffix in renderer.suffixes:
            return renderer
    known = " ".join(s for renderer in RENDERERS for s in renderer.suffixes)
    raise UsageError(f"{path}: the suffix selects the format and must be one of {known}")
