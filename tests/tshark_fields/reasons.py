"""Why a value may differ from tshark's without being wrong: each reason is a sentence and a test."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vxlanalyze.wire.tunnels import KNOWN_PORTS

if TYPE_CHECKING:
    from tests.tshark_fields.compare import Difference

Row = dict[str, Any]
Test = Callable[["Difference", Row], bool]

DAMAGED = "at a damaged record and behind it, this program looks for the next good one"

_STOPPED = {"header_cut", "length_lies", "bad_version", "bad_header_length", "first_fragment"}


def _offload(difference: "Difference", ours: Row) -> bool:
    return difference.ours == "offload" and difference.theirs == "bad"


def _fragment(difference: "Difference", ours: Row) -> bool:
    return (
        "_checksum" in difference.column
        and bool({"first_fragment", "inner_fragment"} & set(ours["anomalies"]))
        and difference.ours in (None, "unverifiable")
    )


def _guessed(difference: "Difference", ours: Row) -> bool:
    return "tunnel_guessed" in ours["anomalies"] and difference.theirs in (None, 0)


def _cut_header(difference: "Difference", ours: Row) -> bool:
    stopped = bool(_STOPPED & set(ours["anomalies"])) or (
        "cut" in ours["anomalies"] and difference.column.startswith("quoted_")
    )
    return stopped and (difference.ours is None or difference.theirs in (None, 0))


def _packet_type(difference: "Difference", ours: Row) -> bool:
    return difference.column == "packet_type" and difference.theirs > 254 == difference.ours


def _other_addresses(difference: "Difference", ours: Row) -> bool:
    extended = any(name in difference.protocols for name in ("ipv6.routing", "ipv6.dstopts"))
    return extended and "_checksum" in difference.column


def _more_than_a_packet(difference: "Difference", ours: Row) -> bool:
    return (ours["outer_length"] or 0) > 65535


def _no_length(difference: "Difference", ours: Row) -> bool:
    return difference.column == "outer_length" and difference.theirs == 40


def _lying_length(difference: "Difference", ours: Row) -> bool:
    return "length_lies" in ours["anomalies"] and difference.ours == "unverifiable"


def _largest_length(difference: "Difference", ours: Row) -> bool:
    return difference.column == "original_length" and difference.theirs == 2**31 - 1


def _next_protocol(difference: "Difference", ours: Row) -> bool:
    return ours["tunnel"] == "vxlan-gpe" and "reserved_bits" in ours["anomalies"]


def _loopback(difference: "Difference", ours: Row) -> bool:
    return difference.protocols.startswith("null:") and ours["outer_src"] is None


def _odd_fraction(difference: "Difference", ours: Row) -> bool:
    return difference.column == "time" and (difference.ours - difference.theirs) % 2**32 == 0


def _from_a_tunnel_port(difference: "Difference", ours: Row) -> bool:
    return ours["tunnel"] is None and ours["outer_sport"] in KNOWN_PORTS


def _unknown_tunnel(difference: "Difference", ours: Row) -> bool:
    return ours["tunnel"] == "gue" and difference.theirs in (None, 0)


def _control_word(difference: "Difference", ours: Row) -> bool:
    return "pwethnocw" in difference.protocols and difference.theirs is None


def _llc_in_backbone_frame(difference: "Difference", ours: Row) -> bool:
    return difference.protocols.endswith("ieee8021ah:ethertype:data") and difference.theirs is None


def _first_fragment(difference: "Difference", ours: Row) -> bool:
    first = bool(ours["more_fragments"]) and ours["fragment_offset"] == 0
    return difference.column == "payload_length" and first and difference.ours < difference.theirs


REASONS: tuple[tuple[str, Test], ...] = (
    ("a checksum that the network card will fill in is bad to tshark, and offload here", _offload),
    ("tshark sums what one fragment of several holds", _fragment),
    (
        "of a first fragment, tshark gives the datagram's length, and this program what it holds",
        _first_fragment,
    ),
    ("a tunnel on a port that tshark does not know was recognised by its content", _guessed),
    ("of a header that is cut or malformed, tshark and this program show different parts", _cut_header),
    ("an SLL packet type above 254 is kept as 254", _packet_type),
    ("a routing header or home address changes the pseudo-header: not verifiable here", _other_addresses),
    (
        "packets above 65535 bytes, before segmentation, have lengths of 0 where tshark stops",
        _more_than_a_packet,
    ),
    ("an IPv6 payload length of 0 lasts as long as the frame", _no_length),
    ("tshark sums what there is of a packet whose length field lies", _lying_length),
    ("tshark's lengths end at 2147483647", _largest_length),
    ("tshark reads the next protocol of VXLAN-GPE even where the P flag says there is none", _next_protocol),
    ("a loopback header that holds an EtherType instead of an address family (IRIX, UNICOS)", _loopback),
    (
        "a time stamp whose fraction is a second or more: tshark keeps its nanoseconds in 32 bits",
        _odd_fraction,
    ),
    ("tshark takes a tunnel's port for one where it is the source's, too", _from_a_tunnel_port),
    ("tshark does not know GUE", _unknown_tunnel),
    ("tshark takes a pseudowire with a control word for one without", _control_word),
    ("tshark does not follow an LLC header inside of 802.1ah", _llc_in_backbone_frame),
)


def explain(difference: "Difference", ours: Row) -> str | None:
    """Give the reason that explains a difference, or None."""
    return next((reason for reason, test in REASONS if test(difference, ours)), None)
