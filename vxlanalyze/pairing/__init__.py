"""Wire packets derived from captured frames and matched between points, with clocks and windows."""

from vxlanalyze.pairing.pair import pair, sightings

__all__ = ["pair", "sightings"]
