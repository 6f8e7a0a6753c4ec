"""Wire packets from captured frames, matched between the points, with clocks and windows."""

from vxlanalyze.pairing.pair import common_bytes, cut_at_bytes, pair, sightings

__all__ = ["common_bytes", "cut_at_bytes", "pair", "sightings"]
