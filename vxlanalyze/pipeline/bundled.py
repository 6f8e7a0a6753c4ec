"""Captures inside archives (fetched by ``--plan``, must-gather, a Retina capture's tarball).

An archive on the command line stands for the captures in it; ``ARCHIVE/FOLDER`` means those of one folder.
Other files in the same archive are used as facts without being named again.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from vxlanalyze.capture.archives import inside
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.opened import OpenedFile, look_into
from vxlanalyze.capture.sources import in_order, name_of
from vxlanalyze.errors import UsageError
from vxlanalyze.text.words import listed

if TYPE_CHECKING:
    from vxlanalyze.kubernetes.homes import Bundle

_MOST_POINTS = 2


class Archive(NamedTuple):
    """An archive on the command line: the name before it, its file, and the folder in it."""

    name: str
    path: Path
    below: str

    @property
    def place(self) -> Path:
        """The archive with the folder."""
        return self.path / self.below


def archive_of(spec: str | os.PathLike[str]) -> Archive | None:
    """Interpret a command line argument as an archive; None if it is not one."""
    whole = os.fspath(spec)
    name, equals, rest = whole.partition("=")
    given, text = (name, rest) if equals and not os.path.exists(whole) else ("", whole)
    found = inside(text)
    return None if found is None else Archive(given, *found)


def open_captures(archive: Archive, at_most: int | None = _MOST_POINTS) -> list[LogicalCapture]:
    """Open the captures of an archive; those with one folder and name are one rotated set.

    Parameters
    ----------
    at_most : int or None
        Maximum number; None for any number.

    Raises
    ------
    UsageError
        It contains none, or more than a comparison takes without a choice.
    CaptureError
        One of them cannot be read as a capture.
    """
    from vxlanalyze.kubernetes import bundles

    sets: dict[tuple[str, str], list[OpenedFile]] = {}
    try:
        for name, spool in bundles.captures(archive.path, archive.below):
            member = PurePosixPath(name)
            files = sets.setdefault((member.parent.as_posix(), name_of(member.name)), [])
            files.append(look_into(f"{archive.path}/{name}", spool))
        _require_few(archive, list(sets), at_most)
        return [LogicalCapture(name, in_order(sets[key])) for key, name in _names(archive, list(sets))]
    except BaseException:
        for file in (file for files in sets.values() for file in files):
            file.close()
        raise


def _require_few(archive: Archive, found: Sequence[tuple[str, str]], at_most: int | None) -> None:
    shown = archive.path if not archive.below else f"{archive.path}/{archive.below}"
    if not found:
        raise UsageError(f"{shown}: an archive without a capture; give facts with --facts NAME=PATH")
    most = 1 if archive.name else at_most
    if most is not None and len(found) > most:
        places = listed([f"{archive.path}/{folder}".removesuffix("/.") for folder, _ in found], at_most=8)
        raise UsageError(f"{shown}: holds {len(found)} captures; give those of two nodes: {places}")


def _names(archive: Archive, found: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], str]]:
    """Name each capture after its file, or after the folder that tells files of one name apart."""
    plain = [name for _, name in found]
    folders = [PurePosixPath(folder).parts for folder, _ in found]
    for folder, name in sorted(found):
        parts = PurePosixPath(folder).parts
        shared = sum(all(other[: at + 1] == parts[: at + 1] for other in folders) for at in range(len(parts)))
        parent = name_of(parts[min(shared, len(parts) - 1)]) if parts else name
        yield (folder, name), archive.name or (name if plain.count(name) == 1 else parent)


def bundles(specs: Sequence[str | os.PathLike[str]], sources: Sequence[LogicalCapture]) -> Iterator["Bundle"]:
    """Give the archives among the paths of captures, each with the folders of the captures opened from it."""
    below: dict[Path, list[str]] = {}
    for archive in filter(None, map(archive_of, specs)):
        below.setdefault(archive.path, []).append(archive.below)
    for path, folders in below.items():
        from vxlanalyze.kubernetes.bundles import capture_places
        from vxlanalyze.kubernetes.homes import Bundle, homes_of

        files = [(file.path, source.name) for source in sources for file in source.files]
        opened = {
            place.removeprefix(f"{path}/"): name for place, name in files if place.startswith(f"{path}/")
        }
        places = list(opened) if "" in folders else capture_places(path)
        yield Bundle(path, tuple(folders), homes_of(opened, places))
