"""Bytes to fields: every frame down to its innermost packet, in one pass."""

from vxlanalyze.wire.index import decode
from vxlanalyze.wire.model import Decoded, Flows, Index
from vxlanalyze.wire.rows import columns

__all__ = ["Decoded", "Flows", "Index", "columns", "decode"]
