"""Read tables saved on a node with its capture: of a file, a directory, or an archive."""

from collections.abc import Iterator
from pathlib import Path

from vxlanalyze.capture.archives import inside, is_archive
from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.bundles import members
from vxlanalyze.kubernetes.contents import LARGEST_BYTES, facts_in
from vxlanalyze.kubernetes.homes import Belonging, Bundle
from vxlanalyze.kubernetes.model import Fact
from vxlanalyze.text.words import listed


def read_facts(capture_name: str, directory: str | Path) -> tuple[Fact, ...]:
    """Read every table in the files of a directory (or in one file), in the order of their paths.

    The directory may be in an archive (``ARCHIVE/FOLDER``).

    Captures among the files are skipped.

    Raises
    ------
    UsageError
        The directory or a file in it cannot be read.
    """
    root = Path(directory)
    folder = inside(root)
    if folder is not None and folder[1]:
        place = f"{folder[0]}/{folder[1]}"
        found = [(name, data) for name, data in members(folder[0]) if f"{name}/".startswith(place)]
        return tuple(fact for name, data in found for fact in facts_in(capture_name, name, data))
    if not root.exists():
        raise UsageError(f"{root}: no such directory; --facts NAME=DIR takes what was saved with a capture")
    files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
    return tuple(
        fact
        for path in files
        for name, data in _contents(path)
        for fact in facts_in(capture_name, name, data)
    )


def read_bundle(path: str | Path, belonging: Belonging) -> tuple[Fact, ...]:
    """Read a bundle of several nodes, each member for the capture that it belongs to.

    Raises
    ------
    UsageError
        It is not an archive, cannot be read, or none of its members belongs to a capture.
    """
    folder = inside(path)
    if folder is None:
        raise UsageError(
            f"--facts {path}: no archive; give a capture's name and a directory, as in node1=facts/node1"
        )
    root, below = folder
    found, known = _of_members(Bundle(root, (below,), {}), belonging)
    if not known:
        raise UsageError(
            f"{root}: no member's path holds the name of a capture ({listed(sorted(belonging.captures))}); "
            "give --facts NAME=BUNDLE"
        )
    return found


def read_members(bundle: Bundle, belonging: Belonging) -> tuple[Fact, ...]:
    """Read what an archive holds with the captures that came from it.

    Raises
    ------
    UsageError
        It cannot be read.
    """
    return _of_members(bundle, belonging)[0]


def _of_members(bundle: Bundle, belonging: Belonging) -> tuple[tuple[Fact, ...], bool]:
    """The facts of a bundle, and whether any of its members belongs to a capture."""
    found: list[Fact] = []
    known = False
    for name, data in members(bundle.path):
        member = name.removeprefix(f"{bundle.path}/")
        if bundle.holds(member) and (capture := belonging(member)) is not None:
            known = True
            found += facts_in(capture, name, data)
    return tuple(found), known


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's name and bytes, or those of the members of an archive."""
    try:
        if is_archive(path):
            yield from members(path)
            return
        with path.open("rb") as file:
            yield str(path), file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
