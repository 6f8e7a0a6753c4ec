"""Decode bytes to fields: every frame down to its innermost packet, in one pass.

The table of all frames is built in `vxlanalyze.wire.table` (it needs pyarrow), a single packet is turned into
objects in `vxlanalyze.wire.dissect` (dpkt): neither is loaded before it is used.
"""

from vxlanalyze.wire.joining import DecodedStretch, decode, decode_stretch, join_stretches
from vxlanalyze.wire.model import Decoded, Flows, Fragments, Index
from vxlanalyze.wire.rows import columns

__all__ = [
    "Decoded",
    "DecodedStretch",
    "Flows",
    "Fragments",
    "Index",
    "columns",
    "decode",
    "decode_stretch",
    "join_stretches",
]
