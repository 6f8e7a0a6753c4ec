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
        Its name in sentences; in the tables it is in lower case.
    priority : int
        Its rank, lowest first, among those whose contents are examined: where one header is a special case of
        another, it has the lower number.
    header_bytes : int or None
        Length of its header without options; None where the length depends on the header's flags.
    read : callable
        Compiled ``read(data, found) -> int``: reads the header at `AT`, moves `AT` past it, and returns the
        EtherType of what follows, or STOP.
    recognise : callable
        Compiled ``recognise(data, found, carrier) -> bool``: decides by content whether this tunnel starts at
        `AT`; `carrier` is the IP protocol number of what carries it. Called where neither port nor protocol
        number decides, in the order of ``TUNNELS``.
    udp_ports, ip_protocols : tuple of int
        The numbers that announce it.
    fits : callable, optional
        Compiled ``fits(data, found) -> bool``: whether the header at `AT` can be its own. Used on its own
        ports, where everything counts as this tunnel unless another one may have been moved there.
    link_type : str
        The kind of its device for ``ip link``, in commands of remedies; "" where Linux has none.
    options : str
        What may follow the header, as a term in a sum of header lengths.
    """

    tunnel: Tunnel
    title: str
    priority: int
    header_bytes: int | None
    read: Read
    recognise: Recognise
    udp_ports: tuple[int, ...] = ()
    ip_protocols: tuple[int, ...] = ()
    fits: Fits | None = None
    link_type: str = ""
    options: str = "more (options, a VLAN tag)"

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return self.title.lower()
