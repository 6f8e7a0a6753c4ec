"""TCP sequence numbers, which wrap at 2**32 (RFC 9293 section 3.4)."""

from vxlanalyze.kernels.arrays import Integer
from vxlanalyze.kernels.decorator import compiled


@compiled
def after(one: Integer, other: Integer) -> Integer:
    """Give how far one sequence number is after the other, modulo 2**32."""
    return ((one - other + 0x80000000) & 0xFFFFFFFF) - 0x80000000
