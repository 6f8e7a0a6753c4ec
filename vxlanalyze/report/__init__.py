"""What one run has to say, and the formats it can be said in.

A format is one module with ``render(report, judgement=None) -> str`` and one entry in `RENDERERS`.
"""

from vxlanalyze.report.renderer import Renderer

RENDERERS = (
    Renderer("text", (".txt",), "as_text"),
    Renderer("json", (".json",), "as_json"),
    Renderer("html", (".html",), "as_html"),
    Renderer("junit", (".xml",), "as_junit"),
    Renderer("github", (), "as_github"),
    Renderer("markdown", (".md",), "as_markdown"),
)
