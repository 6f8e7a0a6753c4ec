"""Times as text: RFC 3339 with all nine digits of a nanosecond."""

from datetime import UTC, datetime

_NS_PER_S = 1_000_000_000


def rfc3339(time_ns: int) -> str:
    """Format nanoseconds since 1970 as RFC 3339 in UTC, such as ``2026-11-23T10:00:00.000000001Z``."""
    seconds, rest_ns = divmod(time_ns, _NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"
