"""The one folder that an assistant may read: every path is resolved, including links, and must be in it."""

from collections.abc import Iterator
from pathlib import Path

from vxlanalyze.errors import UsageError

_MOST_FILES = 10_000
_MEANT_OTHERWISE = frozenset("*?[]#,")  # globs, interfaces, and rotated sets (use a folder)


class Root:
    """A folder, and the paths in it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise UsageError(f"--root {folder}: no such directory")

    def path(self, text: str) -> Path:
        """Find a file or folder; everything in a folder must also be in the root.

        Raises
        ------
        UsageError
            It is missing, or leads out of the root.
        """
        if "\0" in text or _MEANT_OTHERWISE & set(text):
            raise UsageError(f"{text[:200]!r}: give the path of one file or folder")
        found = (self.folder / text).resolve()
        if not self._holds(found):
            raise UsageError(f"{text[:200]}: lies outside of the folder that is served")
        if not found.exists():
            raise UsageError(f"{text[:200]}: no such file or folder below the folder that is served")
        for file in self.files(found) if found.is_dir() else ():
            if not self._holds(file.resolve()):
                raise UsageError(f"{text[:200]}: {file.name} in it leads out of the folder that is served")
        return found

    def files(self, folder: Path) -> Iterator[Path]:
        """All entries of a folder except folders, in order.

        Raises
        ------
        UsageError
            There are too many.
        """
        for count, path in enumerate(sorted(folder.rglob("*"))):
            if count > _MOST_FILES:
                raise UsageError(f"{self.shown(folder)}: holds more than {_MOST_FILES:,} files")
            if path.is_symlink() or not path.is_dir():
                yield path

    def named(self, text: str) -> tuple[str, Path]:
        """Split ``NAME=PATH``; the name is "" if only a path is given."""
        name, given, path = text.partition("=")
        return (name, self.path(path)) if given else ("", self.path(text))

    def shown(self, text: str | Path) -> str:
        """Make the paths in a text relative to the root."""
        return str(text).replace(f"{self.folder}/", "").replace(str(self.folder), ".")

    def _holds(self, path: Path) -> bool:
        return path == self.folder or self.folder in path.parents
