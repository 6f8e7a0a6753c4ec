"""The library: what ``import vxlanalyze as vx`` gives."""
