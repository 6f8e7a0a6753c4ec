"""Find inner header fields that change between sender and receiver.

Fields that any path may change (TTL, DSCP, ECN, the checksum over them) are left out, and so are checksums,
which offload leaves unfilled.

Sources: RFC 791 section 3.1, RFC 8200 section 3, RFC 9293 section 3.1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.integrity.damaged_sample import Sample, SampleFrames
from vxlanalyze.text.words import listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.rows import Columns

_FIELDS = {
    "family": "IP version",
    "src": "source address",
    "dst": "destination address",
    "protocol": "protocol",
    "length": "total length",
    "ip_id": "IP ID",
    "sport": "source port",
    "dport": "destination port",
    "tcp_seq": "sequence number",
    "tcp_ack": "acknowledgement number",
    "tcp_flags": "TCP flags",
    "tcp_window": "TCP window",
}


@dataclass(frozen=True, slots=True)
class ChangedHeaders:
    """What a sample of packets with changed inner headers has in common.

    Parameters
    ----------
    sampled : int
        Packets in which a field differs.
    fields : dict of str to int
        Packets by differing field, the most frequent first.
    one_bit : bool
        Whether one bit of one field differs in each.
    example : str
        The first of them in words: the field, before and after.
    """

    sampled: int
    fields: dict[str, int]
    one_bit: bool
    example: str

    @property
    def shape(self) -> str:
        """Describe what differs, and how."""
        each = ", one bit each" if self.one_bit else ""
        return f"in the inner header, the {listed(list(self.fields))}{each}"


NONE = ChangedHeaders(0, {}, False, "")


def find(sample: Sample) -> ChangedHeaders:
    """Compare inner headers at both points.

    Packets of super-packets have no header of their own and are left out.
    """
    single = _single(sample.sent) & _single(sample.received)
    if not single.any():
        return NONE
    sent, received = (_headers(reading, single) for reading in (sample.sent, sample.received))
    bits = {name: _bits(sent[name], received[name]) for name in _FIELDS}
    # Where it is no longer IP, or another protocol, the fields after that cannot be compared.
    after = list(_FIELDS)[1:]
    for decisive in ("family", "protocol"):
        for name in after:
            if name != decisive:
                bits[name][bits[decisive] > 0] = 0
    total = np.sum(list(bits.values()), axis=0)
    counted = {_FIELDS[name]: int((b > 0).sum()) for name, b in bits.items()}
    fields = {name: n for name, n in sorted(counted.items(), key=lambda item: -item[1]) if n}
    differing = np.flatnonzero(total)
    example = _example(sent, received, bits, int(differing[0])) if len(differing) else ""
    return ChangedHeaders(len(differing), fields, bool((total[differing] == 1).all()), example)


def _single(reading: SampleFrames) -> NDArray[np.bool_]:
    return reading.point.segment_bytes[reading.rows] == 0


def _headers(reading: SampleFrames, chosen: NDArray[np.bool_]) -> Columns:
    # Without a tunnel, the only IP packet is the outermost.
    fields, prefix = reading.fields, "" if reading.point.encapsulated else "outer_"
    return {name: fields.get(prefix + name, fields[name])[chosen] for name in _FIELDS}


def _bits(sent: NDArray[np.integer[Any]], received: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Bits that differ in each packet, shape ``(k,)``; addresses have a row of bytes each."""
    counted = np.bitwise_count(sent ^ received).astype(np.int64)
    return counted.sum(axis=1) if counted.ndim > 1 else counted


def _example(sent: Columns, received: Columns, bits: dict[str, NDArray[np.int64]], at: int) -> str:
    name = next(n for n in _FIELDS if bits[n][at])
    before, after = (_value(c, name, at) for c in (sent, received))
    return f"{_FIELDS[name]} {before} became {after}"


def _value(found: Columns, name: str, at: int) -> str:
    if name in ("src", "dst"):
        return text(found[name][at : at + 1], found["family"][at : at + 1].astype(np.uint8))[0]
    value = int(found[name][at])
    return (
        "unreadable" if value < (name == "family") else f"{value:,}" if name.startswith("tcp") else str(value)
    )
