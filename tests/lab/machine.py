"""Sysctls that the kernel has once for all namespaces: set while a scenario is recorded, and restored."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ALLOWED = frozenset(("net.netfilter.nf_conntrack_max", "net.core.netdev_max_backlog"))
_SYSCTLS = Path("/proc/sys")
_LOCK = Path(tempfile.gettempdir()) / "vxlab-machine.lock"


@contextmanager
def settings(wanted: dict[str, int]) -> Iterator[None]:
    """Set sysctls of the machine for a time, by one recording at once.

    Raises
    ------
    ValueError
        One of them is not among those `ALLOWED`.
    """
    if unknown := set(wanted) - ALLOWED:
        raise ValueError(
            f"{', '.join(sorted(unknown))}: not a setting of the machine that scenarios may change"
        )
    with ExitStack() as stack:
        if wanted:
            lock = stack.enter_context(_LOCK.open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        for name, value in wanted.items():
            file = _SYSCTLS / name.replace(".", "/")
            stack.callback(file.write_text, file.read_text())
            file.write_text(f"{value}\n")
        yield
