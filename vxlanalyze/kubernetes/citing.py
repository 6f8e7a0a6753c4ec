"""How saved tables are cited: by capture, file and line."""

from pathlib import PurePath

from vxlanalyze.kubernetes.hosts import proc
from vxlanalyze.kubernetes.model import Fact


def file_of(fact: Fact) -> str:
    """Name the file of a fact with its capture: ``node2/nft.txt``, or ``node2/after/nft.txt``."""
    copied = proc.place(fact.path)
    if copied is not None:
        return f"{fact.capture}/{copied}"
    parts = PurePath(fact.path).parts
    name = "/".join(parts[-2:]) if len(parts) > 1 and parts[-2] in ("before", "after") else parts[-1]
    return f"{fact.capture}/{name}"


def place(file: str, line: str) -> str:
    """Format file and line for a sentence."""
    return f"{file}, line {line}" if line else file
