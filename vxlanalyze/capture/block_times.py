"""Convert the time units of a pcapng interface to nanoseconds, exactly and within 64 bits.

Source: draft-ietf-opsawg-pcapng section 4.2, ``if_tsresol`` and ``if_tsoffset``.
"""

from typing import Any

from vxlanalyze.capture.octets import NS_PER_S
from vxlanalyze.kernels.decorator import compiled

# Columns of the table of interfaces.
NUMBER, UNIT, FACTOR, SHIFT, OFFSET_NS, SNAPLEN, COLUMNS = 0, 1, 2, 3, 4, 5, 6
# How a count of the interface's units becomes nanoseconds.
MULTIPLY, DIVIDE, BINARY = 0, 1, 2

LAST_NS = (1 << 63) - 1
_LAST_S = LAST_NS // NS_PER_S
_BINARY_RESOLUTION = 0x80
_SMALLEST_DECIMAL = 28  # 2 ** 64 units of 10 ** -29 s, as of 2 ** -127 s, are less than a nanosecond


def unit_of(resolution: int) -> tuple[int, int, int]:
    """Give the conversion for a value of ``if_tsresol``: unit, factor and shift of `units_to_ns`."""
    if resolution & _BINARY_RESOLUTION:
        return BINARY, 1, resolution & ~_BINARY_RESOLUTION
    if resolution <= 9:
        return MULTIPLY, 10 ** (9 - resolution), 0
    if resolution <= _SMALLEST_DECIMAL:
        return DIVIDE, 10 ** (resolution - 9) // 2, 0
    return BINARY, 1, 127


def time_in_python(units: int, interface: tuple[int, ...]) -> int:
    """Like `time_of`, for a row of the table of interfaces, without the cost of calling a kernel.

    Python's integers are unbounded, so this is the definition.
    """
    _, unit, factor, shift, offset_ns, _ = interface
    last_ns = LAST_NS
    if unit == BINARY:
        time_ns, last_ns = units * NS_PER_S >> shift, _LAST_S * NS_PER_S - 1
    else:
        time_ns = units * factor if unit == MULTIPLY else units // (2 * factor)
    return LAST_NS if time_ns > last_ns else min(time_ns + offset_ns, LAST_NS)


@compiled
def units_to_ns(high: int, low: int, unit: int, factor: int, shift: int) -> Any:
    """Convert ``high << 32 | low`` units to nanoseconds, rounded down; -1 where int64 is too small.

    A unit is `factor` ns (``MULTIPLY``), 1 / (2 * `factor`) ns (``DIVIDE``: halved, since 10 ** 19 exceeds
    int64), or 2 ** -`shift` s (``BINARY``). All arithmetic is exact in 64 bits.
    """
    if unit == DIVIDE:
        return (high << 31 | low >> 1) // factor
    if unit == MULTIPLY:
        if high >= 1 << 31 or (high << 32 | low) > LAST_NS // factor:
            return -1
        return (high << 32 | low) * factor
    if shift <= 32:
        if high >> (shift + 2) > 0:
            return -1
        seconds = high << (32 - shift) | low >> shift
        fraction_ns = ((low & ((1 << shift) - 1)) * NS_PER_S) >> shift
    else:
        over = min(shift - 32, 63)
        seconds = high >> over
        fraction_ns = ((high - (seconds << over)) * NS_PER_S + ((low * NS_PER_S) >> 32)) >> over
    return -1 if seconds >= _LAST_S else seconds * NS_PER_S + fraction_ns


@compiled("i8 i8 i8[,] i8")
def time_of(high: int, low: int, table: Any, interface: int) -> Any:
    """Give the time in ns since 1970 by an interface's clock, and whether it had to be clamped."""
    offset_ns = table[interface, OFFSET_NS]
    time_ns = units_to_ns(
        high, low, table[interface, UNIT], table[interface, FACTOR], table[interface, SHIFT]
    )
    if time_ns < 0 or (offset_ns > 0 and time_ns > LAST_NS - offset_ns):
        return LAST_NS, True
    return time_ns + offset_ns, False
