"""Parse the values of options; errors are one line."""

import argparse

from vxlanalyze.errors import UsageError
from vxlanalyze.memory.limit import size_bytes
from vxlanalyze.report import RENDERERS
from vxlanalyze.text.nearest import nearest


def listed(text: str) -> tuple[str, ...]:
    """Comma-separated words."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def format(text: str) -> str:
    """The name of a format."""
    names = [renderer.name for renderer in RENDERERS]
    if text not in names:
        raise argparse.ArgumentTypeError(f"no format is called {text}{nearest(text, names)}")
    return text


def ports(text: str) -> tuple[int, ...]:
    """Comma-separated ports."""
    ports = [int(part) for part in listed(text) if part.isascii() and part.isdecimal()]
    if len(ports) != len(listed(text)) or not ports or not all(0 < port < 65536 for port in ports):
        raise argparse.ArgumentTypeError(f"{text}: ports are numbers from 1 to 65535, commas between")
    return tuple(ports)


def facts(text: str) -> tuple[tuple[str, str], ...]:
    """A capture and its saved files; the name is "" for a bundle of several nodes."""
    name, equals, directory = text.partition("=")
    if text and not equals:
        return (("", text),)  # a bundle of several nodes
    if not (name and equals and directory):
        raise argparse.ArgumentTypeError(
            f"{text}: give a capture's name and a directory, as in node1=facts/node1"
        )
    return ((name, directory),)


def positive(text: str) -> int:
    """A positive integer."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text}: must be a number of at least 1")
    return int(text)


def size(text: str) -> int:
    """A number of bytes, such as 2G."""
    try:
        return size_bytes(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
