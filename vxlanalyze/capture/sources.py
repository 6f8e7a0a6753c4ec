"""Open the captures named on the command line: names, files, directories, globs, rotated sets.

A rotated set (``tcpdump -C``, ``-G``, ``-W``; ``dumpcap -b``) is one logical capture: its files are ordered
by the time of their first frame, since the names in a ring do not show the order.
"""

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vxlanalyze.capture.logical import LogicalCapture, first_time_ns
from vxlanalyze.capture.opened import STANDARD_INPUT, OpenedFile, look_at
from vxlanalyze.capture.signatures import SUPPORTED
from vxlanalyze.capture.view import InterfaceView
from vxlanalyze.errors import CaptureError, UsageError

REFUSED_IN_NAMES = ">@/,="
DESCRIPTORS = ("/dev/fd/", "/proc/self/fd/")  # the names of a shell's <(...)
MAX_FILES = 1 << 15  # the file's number has 15 bits of a place


def open_source(spec: str | os.PathLike[str], *, name: str | None = None) -> LogicalCapture:
    """Open one capture.

    Parameters
    ----------
    spec : str or path-like
        A file, ``-``, a directory, a glob, or a comma-separated list of one rotated set; before it ``NAME=``
        where `name` is None; after a pcapng ``#INTERFACE`` for one of its interfaces. A file or directory
        with exactly this path takes precedence over every other interpretation.
    name : str, optional
        Name of the point; by default the file's name up to its first dot.

    Raises
    ------
    CaptureError
        There is no such file, or it is not a capture; the message says what it is instead.
    UsageError
        The name contains a character that is not allowed.
    """
    given, spec = _split_name(os.fspath(spec)) if name is None else (name, os.fspath(spec))
    point = _checked(given) if given is not None else name_of(spec)
    path, interface = _split_interface(spec)
    capture = LogicalCapture(point, _open_files(path))
    return capture if interface is None else _only_interface(capture, interface)


def open_sources(specs: Iterable[str | os.PathLike[str]]) -> list[LogicalCapture]:
    """Open the captures of one comparison, under distinct names.

    If two names that were not given explicitly are equal, the parent directory is prepended; if they are
    still equal, a number is appended.

    Raises
    ------
    CaptureError
        One of them cannot be read as a capture.
    UsageError
        A name is not allowed or given twice, or standard input is used twice.
    """
    split = [_split_name(os.fspath(spec)) for spec in specs]
    if sum(_members(spec).count(STANDARD_INPUT) for _, spec in split) > 1:
        raise UsageError("standard input (-) can be one capture only")
    names = _unique_names(split)
    captures: list[LogicalCapture] = []
    try:
        for name, (_, spec) in zip(names, split, strict=True):
            captures.append(open_source(spec, name=name))
    except BaseException:
        for capture in captures:
            capture.close()
        raise
    return captures


def _split_name(spec: str) -> tuple[str | None, str]:
    """Split off ``NAME=``, unless a file has the whole text as its name."""
    name, equals, rest = spec.partition("=")
    if not equals or not name or os.path.exists(spec):
        return None, spec
    if any(letter in REFUSED_IN_NAMES for letter in name):
        # As with a slash before it, the equals sign is part of a path, unless the remainder exists.
        if rest == STANDARD_INPUT or os.path.exists(rest):
            _checked(name)
        return None, spec
    if not rest:
        raise UsageError(f"{spec}: a capture must follow the equals sign, as in {name}=node1.pcap")
    return name, rest


def _split_interface(spec: str) -> tuple[str, str | None]:
    """Split off ``#INTERFACE``, unless a file has the whole text as its name."""
    path, hash_, interface = spec.rpartition("#")
    if not hash_ or os.path.exists(spec) or not os.path.exists(path):
        return spec, None
    return path, interface


def _only_interface(capture: LogicalCapture, interface: str) -> LogicalCapture:
    """View a capture through one of its interfaces, by name, description or number from 0."""
    seen: list[str] = []
    described: list[str | None] = []
    for _ in capture.chunks():
        seen = [entry.name or str(entry.index) for entry in capture.interfaces]
        described = [entry.description for entry in capture.interfaces]
        if interface in seen or interface in described:
            break
    if interface in seen or interface in described:
        return capture.seen_through(InterfaceView(names=frozenset((interface,))))
    if interface.isdecimal() and int(interface) < len(capture.interfaces):
        return capture.seen_through(InterfaceView(numbers=frozenset((int(interface),))))
    path = capture.files[0].path
    capture.close()
    there = ", ".join(dict.fromkeys(seen)) or "none"
    raise UsageError(f"{path}: has no interface {interface}; it has {there}")


def _checked(name: str) -> str:
    refused = [letter for letter in name if letter in REFUSED_IN_NAMES or not letter.isprintable()]
    if not name or refused:
        raise UsageError(f"{name!r} cannot name a capture: > @ / , = and control characters are refused")
    return name


def cleaned(name: str) -> str:
    """Turn the name of a file or interface into a valid name for an observation point."""
    kept = "".join(
        "-" if letter in REFUSED_IN_NAMES or not letter.isprintable() else letter for letter in name
    )
    return kept.strip("-") or "capture"


def name_of(spec: str) -> str:
    """Give the name of a capture from its first file or its directory, up to the first dot."""
    if spec == STANDARD_INPUT:
        return "stdin"
    if spec.startswith(DESCRIPTORS):
        return "pipe"
    path, interface = _split_interface(spec)
    last = _naming_path(path).name
    name = cleaned(last.lstrip(".").partition(".")[0] or last)
    return name if interface is None else f"{name}-{cleaned(interface)}"


def _name_with_parent(spec: str) -> str:
    if spec.startswith(DESCRIPTORS):
        return name_of(spec)
    parent = _naming_path(spec).parent.name
    return f"{cleaned(parent)}-{name_of(spec)}" if parent else name_of(spec)


def _naming_path(spec: str) -> Path:
    path = _members(spec)[0]
    if not os.path.exists(path) and glob.has_magic(path):
        fixed = re.split(r"[*?\[]", path, maxsplit=1)[0]
        # node1/*.pcap is the capture of node1; node1-*.pcap that of node1-
        path = fixed.rstrip("/") if fixed.endswith("/") else fixed
    return Path(os.path.abspath(path))


def _unique_names(split: Sequence[tuple[str | None, str]]) -> list[str]:
    given = [_checked(name) for name, _ in split if name is not None]
    for name in given:
        if given.count(name) > 1:
            raise UsageError(f"the name {name} is given twice")
    names = [name_of(spec) if name is None else name for name, spec in split]
    for better in (_name_with_parent, None):
        taken = {name for name in names if names.count(name) > 1}
        names = [
            name
            if name not in taken or given_name is not None
            else (better(spec) if better is not None else f"{name}-{position + 1}")
            for position, (name, (given_name, spec)) in enumerate(zip(names, split, strict=True))
        ]
    return names


def _members(spec: str) -> list[str]:
    """Split a comma-separated list, unless a file has the whole text as its name."""
    if os.path.exists(spec) or "," not in spec:
        return [spec]
    return [part for part in spec.split(",") if part] or [spec]


def _open_files(spec: str) -> list[OpenedFile]:
    opened: list[OpenedFile] = []
    try:
        for member in _members(spec):
            opened.extend(_open_member(member))
        if len(opened) > MAX_FILES:
            raise CaptureError(spec, f"{len(opened)} files; one capture may have {MAX_FILES}")
        return in_order(opened)
    except BaseException:
        for entry in opened:
            entry.close()
        raise


def _open_member(path: str) -> list[OpenedFile]:
    if path != STANDARD_INPUT and os.path.isdir(path):
        return _open_directory(path)
    if path == STANDARD_INPUT or os.path.exists(path) or not glob.has_magic(path):
        return [look_at(path)]
    found = sorted(entry for entry in glob.glob(path) if not os.path.isdir(entry))
    if not found:
        raise CaptureError(path, "no file matches")
    return [look_at(entry) for entry in found]


def _open_directory(path: str) -> list[OpenedFile]:
    """Open all captures of a directory; files that are clearly not captures are ignored."""
    try:
        entries = sorted(entry.path for entry in os.scandir(path) if entry.is_file())
    except OSError as error:
        raise CaptureError(path, f"cannot be listed: {error.strerror}") from error
    opened = [look_at(entry) for entry in entries if is_capture(entry)]
    if not opened:
        raise CaptureError(path, f"a directory without a capture; {SUPPORTED}")
    return opened


def is_capture(path: str) -> bool:
    """Whether a file in a directory is a capture; an unreadable one counts if it is named like one."""
    try:
        look_at(path)
    except CaptureError:
        return _is_called_capture(path)
    return True


def _is_called_capture(path: str) -> bool:
    return re.search(r"\.p?cap(ng)?\d*(\.\w+)?$", path) is not None


def in_order(opened: list[OpenedFile]) -> list[OpenedFile]:
    """Sort a rotated set by first frame; files without frames come last."""
    if len(opened) == 1:
        return opened
    seen = set()
    for path in (entry.file.path for entry in opened):
        if path in seen:
            raise UsageError(f"{path} occurs twice in one capture")
        seen.add(path)
    timed = [(first_time_ns(entry), position, entry) for position, entry in enumerate(opened)]
    timed.sort(key=lambda item: (item[0] is None, item[0] or 0, item[1]))
    return [entry for _, _, entry in timed]
