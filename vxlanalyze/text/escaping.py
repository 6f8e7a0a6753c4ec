"""Sanitise strings from captures, file names and the cluster.

A DNS name, a pod's name or a file's name may contain terminal escapes, line breaks, right-to-left marks or 64
KB of letters. All output to a terminal, a log or a browser goes through `plain`.

In a log read by a CI server, a line that begins with ``::``, and ``##[`` anywhere, are commands. Output to
such a log goes through `inert`.

Sources: Unicode Standard Annex 44 (general categories); Unicode Technical Report 36 section 2.1
(bidirectional spoofing), "Trojan Source" (CVE-2021-42574); GitHub Docs, "Workflow commands for GitHub
Actions"; Azure Pipelines documentation, "Logging commands" (``##vso[``).
"""

import re
import unicodedata

LONGEST_WORD = 160  # a DNS name has at most 253 characters (RFC 1035 section 2.3.4), a label 63
_KEPT_AT_END = 24
_STACKED_MARKS = 2  # Vietnamese stacks two marks on a letter; more only overlap other lines
_COMMANDS = re.compile(r"(?m)^([^\S\n]*):(?=:)|#(?=#(?:\w+)?\[)")
_HARMLESS = frozenset(("L", "N", "P", "S"))


def plain(text: str, *, longest_word: int | None = LONGEST_WORD) -> str:
    r"""Write text so that it is only text: on one line, in visible characters, in order.

    White space becomes single spaces; control, format, private and unassigned characters and lone
    surrogates become escapes such as ``\x1b`` and ``\u202e``.

    Parameters
    ----------
    longest_word : int or None
        The middle of longer words is cut; None keeps them whole (display filters must be copyable).
    """
    line = " ".join(text.split())
    if not (line.isascii() and line.isprintable()):
        line = _escaped(line)
    if longest_word is None or len(line) <= longest_word:
        return line
    return re.sub(rf"\S{{{longest_word + 1},}}", lambda word: _shortened(word[0], longest_word), line)


def _escaped(line: str) -> str:
    written = []
    marks = 0
    for letter in line:
        category = unicodedata.category(letter)[0]
        marks = marks + 1 if category == "M" else 0
        kept = category in _HARMLESS or letter == " " or 0 < marks <= _STACKED_MARKS
        written.append(letter if kept else _escape(ord(letter)))
    return "".join(written)


def _escape(code: int) -> str:
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"


def _shortened(word: str, longest: int) -> str:
    kept = longest - _KEPT_AT_END - 1
    return f"{word[:kept]}…{word[-_KEPT_AT_END:]}"


def inert(text: str, escape: str = "\\x{:02x}") -> str:
    r"""Write text so that no line of it is a command to a CI server.

    Parameters
    ----------
    escape : str
        How the format writes a character by its number: ``\x3a`` by default.
    """
    if "::" not in text and "##" not in text:
        return text
    return _COMMANDS.sub(
        lambda found: f"{found[1]}{escape.format(58)}" if found[1] is not None else escape.format(35), text
    )
