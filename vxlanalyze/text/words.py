"""Numbers in words, for summaries and explanations."""

from collections.abc import Sequence
from datetime import UTC, datetime

_NS_PER_S = 1_000_000_000
_ROUNDS_UP = 0.9995  # of a unit: three digits of the next smaller one would be 1,000


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Format a count: ``1 packet``, ``12,345 packets``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def span(duration_ns: float) -> str:
    """Format a duration: ``850 ns``, ``1.3 ms``, ``120 ms``, ``5.6 s``, ``2 min 5 s``, ``1 h 0 min 3 s``."""
    size = abs(duration_ns)
    if size >= 120 * _NS_PER_S:
        minutes, seconds = divmod(round(size / _NS_PER_S), 60)
        hours, minutes = divmod(minutes, 60)
        sign = "-" if duration_ns < 0 else ""
        return f"{sign}{hours:,} h {minutes} min {seconds} s" if hours else f"{sign}{minutes} min {seconds} s"
    for unit, unit_ns in (("s", _NS_PER_S), ("ms", 1_000_000), ("µs", 1_000)):
        if size >= _ROUNDS_UP * unit_ns:
            return f"{duration_ns / unit_ns:.3g} {unit}"
    return f"{duration_ns:.0f} ns"


def bit_rate(bits_per_s: float) -> str:
    """Format a rate in a suitable unit."""
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits_per_s >= size:
            return f"{bits_per_s / size:.3g} {unit}"
    return f"{bits_per_s:.3g} bit/s"


def share(part: int, whole: int) -> str:
    """Format a part of a whole: ``all 20``, ``5 of 20 (25 %)``."""
    if part == whole:
        return f"all {whole:,}"
    percent = 100 * part / whole
    return f"{part:,} of {whole:,} ({percent:.3g} %)"


def under_random_loss(chance: float) -> str:
    """State, as a sentence, the probability of an observation under random loss."""
    return f"Probability under random loss: {probability(chance)}."


def probability(bound: float) -> str:
    """Format an upper bound of a probability: ``at most 5e-11``."""
    return f"at most {bound:.0e}" if bound < 0.001 else f"at most {bound:.2g}"


def moment(time_ns: int) -> str:
    """Format a time: RFC 3339 in UTC, to the millisecond."""
    seconds, rest_ns = divmod(time_ns, _NS_PER_S)
    stamp = datetime.fromtimestamp(seconds, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


def listed(items: Sequence[object], at_most: int = 5) -> str:
    """List names: ``a, b and c``; ``a, b and 7 more`` if there are too many."""
    names = [str(i) for i in items[:at_most]]
    if len(items) > at_most:
        names = [*names[: at_most - 1], f"{len(items) - at_most + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def in_minutes(number: float) -> str:
    """Format a duration in minutes: ``2 min``, ``30 s``."""
    return f"{number:g} min" if number >= 1 else f"{round(number * 60)} s"
