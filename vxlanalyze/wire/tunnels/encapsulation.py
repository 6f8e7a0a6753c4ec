"""What a tunnel's module says about itself."""

from collections.abc import Callable
from dataclasses import dataclass

from vxlanalyze.wire.fields import Record
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets

Read = Callable[[Octets, Record], int]
Recognise = Callable[[Octets, Record, int], bool]
Fits = Callable[[Octets, Record], bool]


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """One kind of tunnel.

    Parameters
    ----------
    tunnel : Tunnel
        Its number in the tables.
    title : str
        Its name in sentences; in the tables it stands in lower case.
    read : callable
        Compiled ``read(data, found) -> int``: reads the header at `AT`, moves `AT` behind it, and returns
        the EtherType of what follows, or STOP.
    recognise : callable
        Compiled ``recognise(data, found, carrier) -> bool``: tells by content whether this tunnel
        starts at `AT`; `carrier` is the IP protocol number of what carries it. Asked where neither
        port nor protocol number decides, in the order of ``TUNNELS``.
    udp_ports, ip_protocols : tuple of int
        What announces it.
    fits : callable, optional
        Compiled ``fits(data, found) -> bool``: whether the header at `AT` can be its own. Asked on its own
        ports, where all but what another tunnel may have been moved to is taken for it.
    """

    tunnel: Tunnel
    title: str
    read: Read
    recognise: Recognise
    udp_ports: tuple[int, ...] = ()
    ip_protocols: tuple[int, ...] = ()
    fits: Fits | None = None

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return self.title.lower()
