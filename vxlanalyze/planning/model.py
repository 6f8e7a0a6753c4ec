"""A plan: two nodes, what to run on each, and what to run on the machine that reaches them.

Nothing here runs anything. External values (names, addresses) are quoted for a POSIX shell when inserted into
a command.
"""

from dataclasses import dataclass
from ipaddress import ip_network
from shlex import quote

from vxlanalyze.errors import UsageError
from vxlanalyze.planning.networks import Network

_MOST_NETWORKS = 16
_REFUSED = frozenset(">@/,=")  # not allowed in names of captures either


@dataclass(frozen=True, slots=True)
class Station:
    """A node to capture on, with its addresses (empty if unknown) and those of the pod on it."""

    name: str
    addresses: tuple[str, ...] = ()
    pod: str = ""
    pod_addresses: tuple[str, ...] = ()
    pod_networks: tuple[str, ...] = ()

    @property
    def quoted(self) -> str:
        """The name quoted for a shell."""
        return quote(self.name)


@dataclass(frozen=True, slots=True)
class Step:
    """One command line, and its purpose ("" if obvious)."""

    command: str
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Simultaneous captures of two nodes for some time, with the facts to save."""

    stations: tuple[Station, Station]
    network: Network
    seconds: int
    kube: bool  # whether nodes and pods come from kubectl output

    @property
    def inner_filters(self) -> str:
        """Filters for tcpdump, each without blanks, for inner IPv4 addresses of both nodes' pods.

        The outer header of a packet to a wrong node may not name the other node. The inner header follows
        UDP, VXLAN or Geneve without options, and Ethernet (8, 8 and 14 bytes).
        """
        given = [n for s in self.stations for n in (s.pod_networks or s.pod_addresses) if ":" not in n]
        networks = [ip_network(text, strict=False) for text in given[:_MOST_NETWORKS]]
        return " ".join(
            f"udp[{at}:4]&{int(n.netmask):#x}={int(n.network_address):#x}"
            for n in networks
            for at in (42, 46)
        )


def require_name(name: str) -> str:
    """Check that a node's name can be used in file names, options and comments.

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
