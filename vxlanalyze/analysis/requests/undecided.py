"""Requests without an answer that prove nothing.

They were answered directly, decrypted on arrival, or sent by a trace; or no capture holds the way back.
"""

from dataclasses import replace

from vxlanalyze.analysis.requests import decrypted, direct_return, one_way, traced
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.pairing.model import Comparison


def left_open(comparison: Comparison, requests: Requests) -> Requests:
    """Treat all of them as undecided."""
    requests = direct_return.left_open(requests, comparison.points)
    requests = decrypted.left_open(requests, comparison.points)
    if any(one_way.holds(comparison, direction) for direction in comparison.directions):
        requests = replace(requests, decided=requests.decided & requests.answered)
    return traced.left_open(comparison, requests)
