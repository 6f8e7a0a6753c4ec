"""Wire packets from captured frames, matched between the points, with clocks and windows."""

from vxlanalyze.pairing.pair import pair, sightings

__all__ = ["pair", "sightings"]
