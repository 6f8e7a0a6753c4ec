"""Writes the pages of this folder that say what the code says: ``python docs/generate.py``.

A test fails where a page is not current.
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from vxlanalyze.command import options
from vxlanalyze.diagnostics import DIAGNOSTICS
from vxlanalyze.export.columns import FLOWS, PACKETS
from vxlanalyze.pipeline.opening import open_points
from vxlanalyze.pipeline.run import Questions, run
from vxlanalyze.report import RENDERERS
from vxlanalyze.report.expectation import FIGURES
from vxlanalyze.report.formats import as_text
from vxlanalyze.report.formats.as_json import schema
from vxlanalyze.wire.frame_columns import FRAME_COLUMNS

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
_TEN = {
    "The tunnel's port is blocked": "sample_pcaps/seed",
    "Large packets vanish": "sample_pcaps/mtu-blackhole",
    "A node corrupts its own checksums": "sample_pcaps/checksum",
    "Loss inside the receiving node": "sample_pcaps/four-points",
    "One of several equal-cost paths is dead": "tests/captures/ecmp-member",
    "The path fails while in use": "tests/captures/path-dies",
    "Fragments do not pass": "tests/captures/fragments-lost",
    "A tunnel entry points to a stale MAC": "tests/captures/stale-tunnel-mac",
    "The receiver's firewall drops what arrived": "tests/captures/receiver-firewall",
    "The tunnel map names the wrong node": "tests/captures/wrong-endpoint-third-node",
}
_NOTE = "<!-- Written by docs/generate.py: change the code, and run it. -->"


def pages() -> dict[str, str]:
    """Give every generated page by its file name."""
    return {
        "findings.md": findings(),
        "tables.md": tables(),
        "report.md": report(),
        "command.md": command(),
        "ten-faults.md": ten_faults(),
        "report.schema.json": json.dumps(schema(), indent=1) + "\n",
    }


def findings() -> str:
    """Put the manuals of all diagnostics on one page, in causal order."""
    manuals = {d.code: (import_module(d.check.__module__).__doc__ or "").strip() for d in DIAGNOSTICS}
    lines = [_NOTE, "# Findings", ""]
    lines += [
        "All findings, causes before consequences. The same text as `vxlanalyze --explain CODE`.",
        "",
    ]
    lines += ["| code | what it says |", "| --- | --- |"]
    lines += [
        f"| [`{code}`](#{code}) | {_cell(manual.splitlines()[0])} |" for code, manual in manuals.items()
    ]
    for code, manual in manuals.items():
        lines += ["", f"## {code}", "", *_markdown(manual)]
    return "\n".join(lines) + "\n"


def _markdown(manual: str) -> Iterator[str]:
    """Turn a manual to Markdown: what stands at the margin over indented lines is a heading."""
    lines = manual.splitlines()
    for number, line in enumerate(lines):
        after = lines[number + 1] if number + 1 < len(lines) else ""
        if line and not line.startswith(" ") and after.startswith("    "):
            yield from ("", f"#### {line}", "") if lines[number - 1] else (f"#### {line}", "")
        else:
            yield line.removeprefix("    ").replace("``", "`")


def tables() -> str:
    """List the columns of all tables."""
    lines = [_NOTE, "# Tables", ""]
    lines += [
        "Written by `--tables DIR` and `result.write_tables(DIR)` as Parquet; `result.packets`,",
        "`result.flows` and `capture.frames()` give the same as DataFrames. Absent fields are null.",
        "DuckDB, polars, pandas and pyarrow read these types directly.",
    ]
    for title, columns, about in (
        ("packets", PACKETS, "A row for each wire packet and hop, in path order; unsent packets come last."),
        ("flows", FLOWS, "A row for each inner 5-tuple, VNI and direction."),
    ):
        lines += [
            "",
            f"## {title}",
            "",
            about,
            "",
            "| column | type | what it holds |",
            "| --- | --- | --- |",
        ]
        lines += [f"| `{c.name}` | {_type(c.type)} | {_cell(c.meaning)} |" for c in columns]
    lines += [
        "",
        "## frames-NAME",
        "",
        "A row for each frame of a capture, with the fields of every layer.",
        "",
    ]
    lines += [
        "Columns that begin with `outer_` describe the outermost IP packet, tunnel or not; `src`, `dst`",
        "and those after them the innermost one and are null without a tunnel, except `mss`, `window_scale`",
        "and those that begin with `icmp_`, `quoted_`, `arp_` and `nd_`: the innermost packet in any case.",
        "",
    ]
    lines += ["| column | type | what it holds |", "| --- | --- | --- |"]
    lines += [f"| `{c.name}` | {_type(c.type)} | {_cell(c.meaning)} |" for c in FRAME_COLUMNS]
    return "\n".join(lines) + "\n"


def _type(type_: Any) -> str:
    text = str(type_)
    if text.startswith("dictionary"):
        return "string, dictionary-encoded"
    return {"list<item: string>": "list of strings", "bool": "boolean"}.get(text, text)


def report() -> str:
    """Describe the JSON report by its schema."""
    whole = schema()
    lines = [_NOTE, "# The JSON report", "", whole["description"], ""]
    lines += [
        "Its JSON Schema is [report.schema.json](report.schema.json), in the package as",
        "`vxlanalyze/report/schema.json`, and in Python `vxlanalyze.report.formats.as_json.schema()`.",
        "Keys may be added within a version; none changes its meaning.",
    ]
    lines += ["", *_properties(whole)]
    for name, definition in whole["$defs"].items():
        lines += ["", f"## {name}", "", definition["description"], "", *_properties(definition)]
    return "\n".join(lines) + "\n"


def _properties(node: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | type | what it holds |"
    yield "| --- | --- | --- |"
    for name, value in node.get("properties", {}).items():
        yield f"| `{name}` | {_cell(_kind(value))} | {_cell(value.get('description', ''))} |"


def _kind(value: Mapping[str, Any]) -> str:
    """Say in words what a schema allows."""
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name})"
    if "const" in value:
        return f'`"{value["const"]}"`'
    if "enum" in value:
        return " or ".join(f"`{entry}`" for entry in value["enum"])
    if "oneOf" in value:
        return " or ".join(_kind(choice) for choice in value["oneOf"])
    kinds = [value["type"]] if isinstance(value["type"], str) else value["type"]
    if kinds == ["array"]:
        return f"list of {_kind(value['items'])}"
    if kinds == ["object"] and "additionalProperties" in value:
        return f"object of {_kind(value['additionalProperties'])}"
    return " or ".join(kinds)


def command() -> str:
    """List the options, the formats, and the figures that an expectation may bound."""
    lines = [_NOTE, "# The command", "", "`vxlanalyze CAPTURE CAPTURE [CAPTURE ...] [options]`", ""]
    for title, entries in options.described().items():
        lines += [f"## {title[0].upper()}{title[1:]}", "", "| option | meaning |", "| --- | --- |"]
        lines += [f"| `{_cell(names)}` | {_cell(meaning)} |" for names, meaning in entries]
        lines += [""]
    lines += ["## Formats", "", "| `--format` | suffix of `-o` |", "| --- | --- |"]
    lines += [f"| `{r.name}` | {' '.join(f'`{s}`' for s in r.suffixes) or 'none'} |" for r in RENDERERS]
    lines += ["", "## Figures that an expectation can bound", "", ", ".join(f"`{name}`" for name in FIGURES)]
    lines += [
        "",
        "## Completion, and the manual page",
        "",
        "The wheel installs completions for bash, zsh and fish, and a manual page, below its prefix.",
        "Installed for all (`/usr/local`) or with `pip install --user`, shells find them. From a virtual",
        "environment, in bash:",
        "",
        "```sh",
        ". .venv/share/bash-completion/completions/vxlanalyze",
        "man .venv/share/man/man1/vxlanalyze.1",
        "```",
        "",
        "In zsh, `fpath+=(.venv/share/zsh/site-functions)` before `compinit`; in fish,",
        "`source .venv/share/fish/vendor_completions.d/vxlanalyze.fish`.",
    ]
    return "\n".join(lines) + "\n"


def ten_faults() -> str:
    """Show ten recorded faults: what was done, the command, and the beginning of its report."""
    lines = [_NOTE, "# Ten faults, ten captures", ""]
    lines += [
        "Each was recorded on real Linux tunnels, and its captures are in this repository;",
        "`truth.json` next to them states what the network really did. The reports are shortened to verdict,",
        "path and first finding.",
    ]
    for number, (title, folder) in enumerate(_TEN.items(), 1):
        lines += ["", f"## {number}. {title}", "", *_fault(ROOT / folder)]
    return "\n".join(lines) + "\n"


def _fault(folder: Path) -> Iterator[str]:
    """Tell one recorded fault."""
    captures = [str(path.relative_to(ROOT)) for path in sorted(folder.glob("*.pcap*"))]
    yield from (json.loads((folder / "truth.json").read_text())["story"].strip(), "", "```text")
    yield f"$ vxlanalyze {' '.join(captures)}"
    sources = open_points(str(ROOT / capture) for capture in captures)
    try:
        shown = as_text.render(run(sources, Questions(), digests=False).report(plots=False))
    finally:
        for source in sources:
            source.close()
    kept = shown.partition("\n2. ")[0]
    for heading in ("\nNote: ", "\nNot assessed", "\nRequests", "\nCaptures"):
        kept = kept.partition(heading)[0]
    yield from (kept.replace(f"{ROOT}/", "").rstrip(), "```")


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    for name, page in pages().items():
        (FOLDER / name).write_text(page, encoding="utf-8")
