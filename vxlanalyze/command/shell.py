"""Completions for bash, zsh and fish, and a manual page: ``python -m vxlanalyze.command.shell DIR``.

The wheel's build runs this, and installs its output below the prefix's ``share``. It needs shtab and
argparse-manpage, which the program itself does not.
"""

import argparse
import sys
from pathlib import Path

from vxlanalyze import __version__
from vxlanalyze.command.options import parser
from vxlanalyze.diagnostics import DIAGNOSTICS
from vxlanalyze.report import RENDERERS

PLACES = {
    "bash": "bash-completion/completions/vxlanalyze",
    "zsh": "zsh/site-functions/_vxlanalyze",
    "fish": "fish/vendor_completions.d/vxlanalyze.fish",
}
MANUAL = "man/man1/vxlanalyze.1"


def files() -> dict[str, str]:
    """Give each file's text by its path below ``share``."""
    import shtab

    known = _with_values()
    texts = {place: shtab.complete(known, shell=shell) for shell, place in PLACES.items()}
    return {**texts, MANUAL: _manual()}


def _with_values() -> argparse.ArgumentParser:
    """Create the program's parser, with the possible values of options where they can be listed."""
    import shtab

    known = parser()
    choices = {
        "format": [renderer.name for renderer in RENDERERS],
        "explain": [diagnostic.code for diagnostic in DIAGNOSTICS],
    }
    for action in known._actions:
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        if action.dest in choices:
            action.choices = choices[action.dest]
        elif "DIR" in metavar:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif "FILE" in metavar or action.dest in ("captures", "report", "diff"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return known


def _manual() -> str:
    from argparse_manpage.manpage import Manpage

    _, *lines = str(Manpage(parser(), format="pretty")).splitlines()
    head = f'.TH VXLANALYZE "1" "" "vxlanalyze {__version__}" "User Commands"'  # no date: reproducible
    name = r".SH NAME", r"vxlanalyze \- find the cause of a fault in paired captures of an overlay network"
    return "\n".join([head, *name, *lines[lines.index(".SH SYNOPSIS") :]]) + "\n"


def main(directory: str) -> None:
    """Write all files below a directory."""
    for place, text in files().items():
        path = Path(directory, place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
