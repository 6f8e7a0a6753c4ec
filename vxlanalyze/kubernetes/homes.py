"""Which capture the files of a bundle belong to, by their places in it.

A path that names a capture, or a pod or node known from the cluster, decides. Otherwise a file belongs to the
capture whose folder it shares: a capture's home is the widest folder that holds no other capture. What is
neither belongs to none.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vxlanalyze.kubernetes.model import Cluster

_SEPARATOR = re.compile(r"[._-]")
_MOST_SEPARATORS = 40


def homes_of(opened: Mapping[str, str], places: Iterable[str]) -> dict[str, str]:
    """Give the folder of each opened capture, with the capture's name.

    Parameters
    ----------
    opened : mapping
        Names of captures by their members in the archive.
    places : iterable of str
        The members of all captures in the archive.
    """
    names = {place: opened.get(place, place) for place in (*places, *opened)}
    holds: dict[str, set[str]] = {}
    for place, name in names.items():
        for folder in _folders(place):
            holds.setdefault(folder, set()).add(name)
    found: dict[str, str] = {}
    for place, name in opened.items():
        widest = next((folder for folder in _folders(place) if len(holds[folder]) == 1), None)
        if widest is not None:
            found[widest] = name
    return found


def _folders(place: str) -> list[str]:
    """The folders around a member, the widest first: "" for the archive itself, then ``node1/``, ..."""
    parts = PurePosixPath(place).parts[:-1]
    return ["".join(f"{part}/" for part in parts[:depth]) for depth in range(len(parts) + 1)]


class Bundle(NamedTuple):
    """An archive that captures came from, the folders meant in it, and those of its captures (`homes_of`)."""

    path: Path
    below: tuple[str, ...]
    homes: Mapping[str, str]

    def holds(self, member: str) -> bool:
        """Whether a member lies in one of the folders meant, or with one of the captures."""
        return f"{member}/".startswith((*self.below, *self.homes))


class Belonging:
    """Determines the capture to which a member of an archive belongs.

    Parameters
    ----------
    captures : collection of str
        Names of all captures.
    cluster : Cluster
        Its nodes and pods; an agent's pod stands for its node.
    homes : mapping
        Folders of captures (`homes_of`).
    """

    def __init__(
        self, captures: Collection[str], cluster: Cluster, homes: Mapping[str, str] | None = None
    ) -> None:
        self.captures, self._homes = frozenset(captures), homes or {}
        self._owners: dict[str, str | None] = {
            pod.name: self._of(pod.node) for pod in cluster.pods if pod.node
        }
        self._owners |= {node.name: self._of(node.name) for node in cluster.nodes}
        self._owners |= {name: name for name in captures}
        self._known: dict[str, set[str | None]] = {}

    def __call__(self, member: str) -> str | None:
        """Give the name of the capture; None if it belongs to none."""
        for part in PurePosixPath(member).parts:
            if part not in self._known:
                self._known[part] = self._named_in(part)
            if len(self._known[part]) == 1:
                return next(iter(self._known[part]))
        return next((self._homes[folder] for folder in _folders(member) if folder in self._homes), None)

    def _named_in(self, part: str) -> set[str | None]:
        """The captures named in one part of a path, between separators; inside of a name counts no other."""
        ends = [match.start() for match in islice(_SEPARATOR.finditer(part), _MOST_SEPARATORS)]
        begins = [0, *(end + 1 for end in ends)]
        found: set[str | None] = set()
        done = 0
        for begin in begins:
            for end in (len(part), *reversed(ends)):
                if begin >= done and end > begin and part[begin:end] in self._owners:
                    found.add(self._owners[part[begin:end]])
                    done = end
        return found

    def _of(self, node: str) -> str | None:
        """The capture of a node, named by its full name or by its first part."""
        return next((name for name in (node, node.partition(".")[0]) if name in self.captures), None)
