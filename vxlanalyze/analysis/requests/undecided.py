"""Requests without an answer that prove nothing: answered directly, decrypted on arrival, or of a trace."""

from vxlanalyze.analysis.requests import decrypted, direct_return, traced
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.pairing.model import Comparison


def left_open(comparison: Comparison, requests: Requests) -> Requests:
    """Treat all of them as undecided."""
    requests = direct_return.left_open(requests, comparison.points)
    requests = decrypted.left_open(requests, comparison.points)
    return traced.left_open(comparison, requests)
