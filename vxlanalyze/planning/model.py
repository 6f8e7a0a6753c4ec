"""A plan: two nodes, what to run on each, and what to run on the machine that reaches them.

Nothing here runs anything. Whatever comes from outside (names, addresses) is quoted for a POSIX shell where
it enters a command.
"""

from dataclasses import dataclass
from shlex import quote

from vxlanalyze.errors import UsageError
from vxlanalyze.planning.networks import Network

_REFUSED = frozenset(">@/,=")  # a capture of this name would be refused, too


@dataclass(frozen=True, slots=True)
class Station:
    """A node to capture on, with its addresses (none where nothing gives them) and those of the pod on it."""

    name: str
    addresses: tuple[str, ...] = ()
    pod: str = ""
    pod_addresses: tuple[str, ...] = ()

    @property
    def quoted(self) -> str:
        """The name as a shell takes it."""
        return quote(self.name)


@dataclass(frozen=True, slots=True)
class Step:
    """One command line, and what it is for ("" where it says so itself)."""

    command: str
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Captures of two nodes at once, for a time, with what to save beside them."""

    stations: tuple[Station, Station]
    network: Network
    seconds: int
    kube: bool  # whether nodes and pods came from a file of kubectl


def demand_name(name: str) -> str:
    """Check that a node's name can stand in file names, options and comments.

    Raises
    ------
    UsageError
        It cannot.
    """
    if not name or name.startswith(("-", ".")) or not name.isprintable() or _REFUSED & set(name):
        shown = name.encode("unicode_escape").decode()
        raise UsageError(
            f"--plan: {shown[:80] or 'an empty name'} cannot name a node; give its name or NAME=ADDRESS"
        )
    return name
