"""A plan: two nodes, what to run on each, and what to run on the machine that reaches them.

Nothing here runs anything. Whatever comes from outside (names, addresses) is quoted for a POSIX shell where
it enters a command.
"""

from dataclasses import dataclass
from ipaddress import ip_network
from shlex import quote

from vxlanalyze.errors import UsageError
from vxlanalyze.planning.networks import Network

_MOST_NETWORKS = 16
_REFUSED = frozenset(">@/,=")  # a capture of this name would be refused, too


@dataclass(frozen=True, slots=True)
class Station:
    """A node to capture on, with its addresses (none where nothing gives them) and those of the pod on it."""

    name: str
    addresses: tuple[str, ...] = ()
    pod: str = ""
    pod_addresses: tuple[str, ...] = ()
    pod_networks: tuple[str, ...] = ()

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
    """Captures of two nodes at once, for a time, with what to save next to them."""

    stations: tuple[Station, Station]
    network: Network
    seconds: int
    kube: bool  # whether nodes and pods came from a file of kubectl

    @property
    def inner_filters(self) -> str:
        """Filters of tcpdump, without blanks in one, for inner IPv4 addresses of both nodes' pods.

        A packet that goes to a wrong node names neither of the two outside. The inner header lies behind UDP,
        VXLAN or Geneve without options, and Ethernet (8, 8 and 14 bytes).
        """
        given = [n for s in self.stations for n in (s.pod_networks or s.pod_addresses) if ":" not in n]
        networks = [ip_network(text, strict=False) for text in given[:_MOST_NETWORKS]]
        return " ".join(
            f"udp[{at}:4]&{int(n.netmask):#x}={int(n.network_address):#x}"
            for n in networks
            for at in (42, 46)
        )


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
